import { writeSync } from 'node:fs';
import { errnoNameOf } from './system-error.ts';

/** What a shell shows for a program that wrote to a pipe without a reader. */
const STATUS_OF_SIGPIPE = 141;
/** It could not be done; 1 would be an answer. */
const STATUS_UNWRITTEN = 2;

/**
 * `program | head`: when the reader has gone there is nothing left to do, and nothing to complain
 * about. For programs that only show something; one that has anything to take down listens itself.
 * Where the output cannot be written for another reason, a full disk, one sentence says so.
 * @param streams to name one takes a millisecond of processor time: what is not written to is not
 */
export function endWithReader(streams = [process.stdout, process.stderr]): void {
  for (const stream of streams) stream.on('error', endUnwritten);
}

/** Ends a program whose output was not written. */
export function endUnwritten(error: unknown): never {
  const name = errnoNameOf(error);
  if (name === 'EPIPE') process.exit(STATUS_OF_SIGPIPE);
  try {
    writeSync(2, `cannot write what this command prints: ${name ?? String(error)}\n`);
  } catch {
    // stderr is not to be written either
  }
  process.exit(STATUS_UNWRITTEN);
}

/** For a program that has a job to do, whether anybody reads along or not. */
export function goOnWithoutReader(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
}
