import type { ByteString } from '../../base/bytes.ts';
import type { Result } from '../../base/result.ts';
import type { SanlockClient } from '../../client/sanlock.ts';
import type { SanlockFailure } from '../../wire/sanlock/failure.ts';
import type { CommandLine } from './command-line.ts';

export type ActionClient = Pick<SanlockClient, 'call' | 'registerProcess'>;

/** What is known of a failure besides its number. */
export interface Noted {
  failure: SanlockFailure | null;
  /** What was found, where the action saw more than a number. */
  known: string | null;
}

export interface ClientContext {
  readonly client: ActionClient;
  readonly noted: Noted;
  readonly line: CommandLine;
  /** A byte string, to stdout. */
  readonly print: (text: ByteString) => void;
}

/** Prints as the C program does and gives the final result: 0 ends the program with status 0. */
export type Action = (context: ClientContext) => Promise<number>;

/** A result as the C library would return it. */
export function codeOf(result: Result<unknown, SanlockFailure>): number {
  if (!result.ok) return result.error.code;
  return typeof result.value === 'number' ? result.value : 0;
}
