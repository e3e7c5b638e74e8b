import { type ByteString, textToName } from '../base/bytes.ts';
import { fail, ok, type Result } from '../base/result.ts';
import { MAX_PATH_BYTES } from '../wire/sanlock/strings.ts';
import { hostIdOf } from './storage.ts';

/** What `fence_sanlockd -s` writes into the FIFO, at once: text with zeros behind it. */
export const START_MESSAGE_BYTES = 4096;

export interface FenceStart {
  readonly path: ByteString;
  readonly hostId: number;
}

export function startMessage(start: FenceStart): Uint8Array {
  const bytes = new Uint8Array(START_MESSAGE_BYTES);
  const text = `-p ${start.path} -i ${start.hostId}`;
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** The failure is one sentence: the daemon that waited ends with it (spec 25 §7). */
export function parseStartMessage(bytes: Uint8Array): Result<FenceStart, string> {
  const end = bytes.indexOf(0);
  const text = String.fromCharCode(...bytes.subarray(0, end < 0 ? bytes.length : end)).trim();
  // One character is one byte: \s would take 0xa0 for a blank, and it ends the letter à.
  const match = /^-p ([^ \n](?:.*[^ \n])?) -i ([0-9]+)[ \n]*$/.exec(text);
  if (match === null) return fail(`the FIFO wants '-p PATH -i HOST_ID', found '${text}'`);
  const path = match[1] ?? '';
  const hostId = hostIdOf(match[2] ?? '');
  if (hostId === null) return fail(`the FIFO wants a host id 1 to 128, found '${match[2]}'`);
  if (path.length > MAX_PATH_BYTES) return fail(`a path has at most ${MAX_PATH_BYTES} bytes`);
  return ok({ path, hostId });
}

/** A path as typed by an administrator; null when sanlock cannot take it. */
export function pathOf(word: string): ByteString | null {
  const path = textToName(word);
  const isUsable = path !== '' && path.length <= MAX_PATH_BYTES;
  return isUsable && !/[\0\n]|^ | $/.test(path) ? path : null;
}
