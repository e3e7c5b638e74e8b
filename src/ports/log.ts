import type { LogFields } from '../base/log-fields.ts';

/** Events with fields, `noun.happened`; never composed sentences. */
export interface Log {
  error(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  debug(event: string, fields?: LogFields): void;
}
