import { ERRNO } from '../base/errno.ts';
import { encode, type RecordOf } from '../codec/struct.ts';
import {
  killpathBody,
  SM_CMD,
  SM_HEADER_BYTES,
  SM_MAGIC,
  SM_PROTO,
  type SmHeader,
  sanlkDisk,
  sanlkHost,
  sanlkHostEvent,
  sanlkLockspace,
  sanlkOptions,
  sanlkRentry,
  sanlkResource,
  sanlkRindex,
  smHeader,
} from '../wire/sanlock/socket.ts';
import { MAX_DISKS } from '../wire/sanlock/strings.ts';
import type { Client, Resource } from './state.ts';
import type { Survivor } from './survivors.ts';

/** One request as it came: the header and exactly the body its command has. */
export interface Request {
  readonly client: Client;
  readonly header: SmHeader;
  readonly body: Uint8Array;
}

/** One that is served later: when it is known what became of a lockspace, or of a lease. */
export interface HeldRequest {
  readonly request: Request;
  readonly cause: Survivor | Resource;
  /** Not longer than that. */
  readonly untilMs: number;
}

export const MAX_ACQUIRE = 8;
export const MAX_LVB_BYTES = 4096;

/** How long a request's body is, or that more bytes are needed to know, or why it is refused. */
export type BodyLength =
  | { readonly kind: 'known'; readonly bytes: number }
  | { readonly kind: 'more'; readonly bytes: number }
  | { readonly kind: 'refused'; readonly result: number };

const RESOURCE = sanlkResource.size;
const DISK = sanlkDisk.size;
const LOCKSPACE = sanlkLockspace.size;
const LVB_MESSAGE = SM_HEADER_BYTES + RESOURCE;

const FIXED: Readonly<Record<number, number>> = {
  [SM_CMD.ADD_LOCKSPACE]: LOCKSPACE,
  [SM_CMD.REM_LOCKSPACE]: LOCKSPACE,
  [SM_CMD.INQ_LOCKSPACE]: LOCKSPACE,
  [SM_CMD.EXAMINE_LOCKSPACE]: LOCKSPACE,
  [SM_CMD.HOST_STATUS]: LOCKSPACE,
  [SM_CMD.WRITE_LOCKSPACE]: LOCKSPACE,
  [SM_CMD.READ_LOCKSPACE]: LOCKSPACE,
  [SM_CMD.GET_HOSTS]: LOCKSPACE,
  [SM_CMD.SET_CONFIG]: LOCKSPACE,
  [SM_CMD.RENEWAL]: LOCKSPACE,
  [SM_CMD.END_EVENT]: LOCKSPACE,
  [SM_CMD.REG_EVENT]: LOCKSPACE + sanlkHostEvent.size,
  [SM_CMD.SET_EVENT]: LOCKSPACE + sanlkHostEvent.size,
  [SM_CMD.SET_HOST]: LOCKSPACE + sanlkHost.size,
  [SM_CMD.EXAMINE_RESOURCE]: RESOURCE,
  [SM_CMD.GET_LVB]: RESOURCE,
  [SM_CMD.CONVERT]: RESOURCE,
  [SM_CMD.ALIGN]: DISK,
  [SM_CMD.KILLPATH]: killpathBody.size,
  [SM_CMD.FORMAT_RINDEX]: sanlkRindex.size,
  [SM_CMD.REBUILD_RINDEX]: sanlkRindex.size,
  [SM_CMD.UPDATE_RINDEX]: sanlkRindex.size + sanlkRentry.size,
  [SM_CMD.LOOKUP_RINDEX]: sanlkRindex.size + sanlkRentry.size,
  [SM_CMD.CREATE_RESOURCE]: sanlkRindex.size + sanlkRentry.size,
  [SM_CMD.DELETE_RESOURCE]: sanlkRindex.size + sanlkRentry.size,
};

/** @param seen what has arrived behind the header so far */
export function bodyLength(header: SmHeader, seen: Uint8Array): BodyLength {
  switch (header.cmd) {
    case SM_CMD.ACQUIRE:
      return acquireLength(header, seen);
    case SM_CMD.RELEASE:
      return releaseLength(header);
    case SM_CMD.REQUEST:
    case SM_CMD.WRITE_RESOURCE:
    case SM_CMD.READ_RESOURCE:
    case SM_CMD.READ_RESOURCE_OWNERS:
      return resourceLength(seen);
    case SM_CMD.SET_LVB: {
      const lvb = header.length - LVB_MESSAGE;
      if (lvb < 0) return { kind: 'refused', result: -ERRNO.ENOMEM };
      if (lvb > MAX_LVB_BYTES) return { kind: 'refused', result: -ERRNO.E2BIG };
      return { kind: 'known', bytes: RESOURCE + lvb };
    }
    default:
      return { kind: 'known', bytes: FIXED[header.cmd] ?? 0 };
  }
}

function acquireLength(header: SmHeader, seen: Uint8Array): BodyLength {
  if (header.data > MAX_ACQUIRE || header.data < 0)
    return { kind: 'refused', result: -ERRNO.E2BIG };
  let at = 0;
  for (let n = 0; n < header.data; n++) {
    if (seen.length < at + RESOURCE) return { kind: 'more', bytes: at + RESOURCE };
    const disks = numDisks(seen, at);
    if (disks < 1 || disks > MAX_DISKS) return { kind: 'refused', result: -ERRNO.ERANGE };
    at += RESOURCE + disks * DISK;
  }
  return { kind: 'known', bytes: at + sanlkOptions.size };
}

function releaseLength(header: SmHeader): BodyLength {
  // A client may hold more than one request may name; a hundred is far above what any sends.
  if (header.data < 0 || header.data > 128) return { kind: 'refused', result: -ERRNO.E2BIG };
  return { kind: 'known', bytes: header.data * RESOURCE };
}

function resourceLength(seen: Uint8Array): BodyLength {
  if (seen.length < RESOURCE) return { kind: 'more', bytes: RESOURCE };
  const disks = numDisks(seen, 0);
  if (disks < 1 || disks > MAX_DISKS) return { kind: 'refused', result: -ERRNO.ERANGE };
  return { kind: 'known', bytes: RESOURCE + disks * DISK };
}

function numDisks(bytes: Uint8Array, at: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return view.getUint32(at + sanlkResource.fields.numDisks.offset, true);
}

/** A reply: the request's header echoed, with result and data behind it. */
export function replyBytes(
  header: SmHeader,
  answer: {
    readonly result: number;
    readonly data2?: number;
    readonly body?: Uint8Array;
    /** Other than 32 + body: some commands leave it out of the count. */
    readonly length?: number;
  },
): Uint8Array {
  const body = answer.body ?? new Uint8Array(0);
  const reply: RecordOf<typeof smHeader> = {
    ...header,
    magic: SM_MAGIC,
    version: SM_PROTO,
    length: answer.length ?? SM_HEADER_BYTES + body.length,
    data: answer.result,
    data2: answer.data2 ?? 0,
  };
  const bytes = new Uint8Array(SM_HEADER_BYTES + body.length);
  bytes.set(encode(smHeader, reply));
  bytes.set(body, SM_HEADER_BYTES);
  return bytes;
}

/** The answer to LOG_DUMP, whose length is that of the request. */
export function logReply(header: SmHeader, text: string): Uint8Array {
  const body = new TextEncoder().encode(text);
  return replyBytes(header, { result: body.length, body, length: header.length });
}
