import { fail, ok, type Result } from '../../base/result.ts';
import { MIB } from '../../base/units.ts';
import { decode, encodeInto, type RecordOf, zeroRecord } from '../../codec/struct.ts';
import {
  CLOSING_COMMANDS,
  SM_CMD,
  SM_HEADER_BYTES,
  SM_MAGIC,
  SM_PROTO,
  type SmHeader,
  smHeader,
} from './socket.ts';

/** The refusal of a call as its answer has it: a negative code, and the body sent along. */
export interface Refusal {
  readonly code: number;
  readonly body: Uint8Array;
}

/**
 * How an answer ends: `message`: header.length bytes; `log`: header.data bytes after the header;
 * `stream`: at EOF; `silence`: no answer is sent (spec 20 §4).
 */
export type ReplyShape = 'message' | 'log' | 'stream' | 'silence';

/** One command: its bytes, the end of its answer, and the decoding of the answer. Plain data. */
export interface SanlockCall<T> {
  /** The C spelling in lower case: 'add_lockspace'. */
  readonly name: string;
  readonly request: Uint8Array;
  readonly reply: ReplyShape;
  /** Used when the caller sets no deadline. */
  readonly patience: Patience;
  readonly decode: (header: SmHeader, body: Uint8Array) => Result<T, Refusal>;
}

/** `quick`: memory only. `disk`: a few reads and writes. `wait`: may wait for a host to be dead. */
export type Patience = 'quick' | 'disk' | 'wait';

/** Milliseconds until a call without an answer is given up. */
export const PATIENCE_MS: Readonly<Record<Patience, number>> = {
  quick: 60_000,
  disk: 600_000,
  wait: 86_400_000,
};

/** Longest answer taken: 949 lockspaces or a whole log are about 1 MiB, status may be more. */
export const MAX_REPLY_BYTES = 16 * MIB;

/** One request: a header, whose length counts header and parts unless given, then the parts. */
export function requestBytes(
  cmd: number,
  header: Partial<Pick<SmHeader, 'cmdFlags' | 'data' | 'data2' | 'length'>>,
  parts: readonly Uint8Array[] = [],
): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, SM_HEADER_BYTES);
  const bytes = new Uint8Array(length);
  const record: RecordOf<typeof smHeader> = {
    ...zeroRecord(smHeader),
    magic: SM_MAGIC,
    version: SM_PROTO,
    cmd,
    length,
    ...header,
  };
  encodeInto(smHeader, record, bytes);
  let at = SM_HEADER_BYTES;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Is it the last call of a connection that is not registered? The daemon closes it then. */
export function endsConnection(call: SanlockCall<unknown>): boolean {
  return CLOSING_COMMANDS.has(decode(smHeader, call.request).cmd);
}

/** Its connection becomes a channel: after the answer the daemon sends events, unasked. */
export function opensChannel(call: SanlockCall<unknown>): boolean {
  return decode(smHeader, call.request).cmd === SM_CMD.REG_EVENT;
}

/** For commands that answer only with a result: 0 or a positive value, else a refusal. */
export function resultOnly(header: SmHeader, body: Uint8Array): Result<number, Refusal> {
  return header.data < 0 ? fail({ code: header.data, body }) : ok(header.data);
}

/** A command that answers only with a result number. */
export function plainCall(
  name: string,
  request: Uint8Array,
  patience: Patience,
  reply: 'message' | 'silence' = 'message',
): SanlockCall<number> {
  return { name, request, reply, patience, decode: resultOnly };
}

/** An answer that is shorter than its command promises: EMSGSIZE. */
export const MALFORMED = -90;

/** The offsets of the records of `size` bytes that fill `bytes`. */
export function rowOffsets(bytes: Uint8Array, size: number): number[] {
  return Array.from({ length: Math.floor(bytes.length / size) }, (_, row) => row * size);
}
