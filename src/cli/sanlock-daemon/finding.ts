/** What became of a mistake: the daemon does not start, it starts all the same, or nothing is wrong. */
export type Verdict = 'refused' | 'questionable' | 'note';

/** One thing in sanlock.conf or on the command line that is not as it was meant, or has no effect. */
export interface Finding {
  readonly verdict: Verdict;
  /** `/etc/sanlock/sanlock.conf:3`, or `option -w`. */
  readonly place: string;
  /** The key or option as written; '' where the place is enough. */
  readonly key: string;
  readonly found: string;
  readonly wanted: string;
  /** What is used instead, or that nothing is. */
  readonly used: string;
}

/** The line for the administrator who wrote the setting. */
export function findingText({ place, key, found, wanted, used }: Finding): string {
  const where = key === '' || place.endsWith(key) ? place : `${place}: ${key}`;
  return `${where}: found ${found}, wanted ${wanted}; ${used}`;
}

export const NOT_STARTED = 'the daemon does not start';
const MAX_SHOWN = 100;

/** The text as written, quoted and cut to a length that fits a line of a log. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text);
}
