import { join } from 'node:path';
import { NODE_ARGUMENTS } from '../../platform/clean-start.ts';
import type { Killpath } from '../../ports/keepers.ts';

/** sanlock has room for no more (spec 20 §14). */
const MOST_BYTES = 126;
const UUID_BYTES = 36;

/**
 * What sanlock runs when the lockspace of a guest is lost: `bin/guard-lost` with the guest's UUID.
 * @param dir of the built programs
 * @throws RangeError where their path is too long for sanlock
 */
export function lossProgram(dir: string): (uuid: string) => Killpath {
  const path = process.execPath;
  const words = [...NODE_ARGUMENTS, join(dir, 'guard-lost.cjs')].map(escaped).join(' ');
  const bytes = Buffer.byteLength(`${words} `) + UUID_BYTES;
  for (const [what, length] of [
    [path, Buffer.byteLength(path)],
    [words, bytes],
  ] as const) {
    if (length <= MOST_BYTES) continue;
    throw new RangeError(`sanlock cannot run ${what}: ${length} bytes, more than ${MOST_BYTES}`);
  }
  return (uuid) => ({ path, args: `${words} ${uuid}` });
}

/** sanlock parts the words at blanks, and takes a backslash away. */
function escaped(word: string): string {
  return word.replace(/[\\ ]/g, '\\$&');
}
