/**
 * `error` needs an administrator, `warn` may soon, `info` is a change of owner or member, `debug`
 * is each effect.
 */
export type LogLevel = 'error' | 'warn' | 'info' | 'debug';

/** What a log event says, by name; texts and numbers, never a composed sentence. */
export type LogFields = Readonly<Record<string, string | number | bigint | boolean | null>>;
