import { type ByteString, readByteString, writeByteString } from '../base/bytes.ts';
import { fail, ok, type Result } from '../base/result.ts';
import { MAX_NAME_BYTES } from '../wire/sanlock/socket.ts';

/** A datagram to sanlk-resetd.sock: text with zeros behind it (spec 25 §6). */
export const CONTROL_BYTES = 256;
const ACTIONS = ['reg', 'end', 'clear'] as const;

export type ControlAction = (typeof ACTIONS)[number];

export interface ControlMessage {
  readonly action: ControlAction;
  /** `clear` names `all`. */
  readonly name: ByteString;
}

export function controlBytes(message: ControlMessage): Uint8Array {
  const bytes = new Uint8Array(CONTROL_BYTES);
  const text = `${message.action} ${message.name}`.slice(0, CONTROL_BYTES - 1);
  writeByteString(bytes, { offset: 0, size: CONTROL_BYTES }, text);
  return bytes;
}

/** The failure is one sentence. */
export function parseControl(bytes: Uint8Array): Result<ControlMessage, string> {
  const text = readByteString(bytes, 0, Math.min(bytes.length, CONTROL_BYTES));
  const [word = '', name = ''] = text.trim().split(/ +/);
  const action = ACTIONS.find((candidate) => candidate === word);
  if (action === undefined) return fail(`'${word}' is none of reg, end, clear`);
  const isName = name !== '' && name.length <= MAX_NAME_BYTES;
  if (!isName && action !== 'clear')
    return fail(`${action} wants a lockspace name, found '${name}'`);
  return ok({ action, name });
}
