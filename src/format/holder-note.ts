import type { ByteString } from '../base/bytes.ts';
import { crc32c } from '../codec/crc32c.ts';
import {
  bytestring,
  damageOf,
  decode,
  encodeInto,
  pad,
  type RecordOf,
  struct,
  u32,
  u64,
} from '../codec/struct.ts';
import { MAX_GENERATION, MAX_HOST_ID, MAX_LVER, MAX_TIMESTAMP_S } from './limits.ts';

/**
 * Where a holder note begins in its host sector, in bytes: behind the two blocks that every host
 * reads (spec 10 §4.3), in what C neither reads nor writes by intention.
 */
export const HOLDER_NOTE_OFFSET = 256;

/** First word: 'HFHN' in the order of the bytes. */
const HOLDER_NOTE_MAGIC = 0x4e484648;
/** A reader knows one version: what another one means is not known. */
const HOLDER_NOTE_VERSION = 1;

/**
 * Which process took a hold for its host, and since when the host has it (spec 10 §4.7). For
 * readers alone: no host decides anything by it.
 */
const holderNote = struct('holderNote', 256, {
  magic: u32(0),
  version: u32(4),
  hostId: u64(8, { most: BigInt(MAX_HOST_ID) }), //      whose sector it is
  generation: u64(16, { most: MAX_GENERATION }), //      of the membership that wrote it
  lver: u64(24, { most: MAX_LVER }), //                  of the ballot block that it stands beside
  sinceUnixS: u64(32, { most: MAX_TIMESTAMP_S }), //      by its wall clock; 0 = not known
  sinceMonotonicS: u64(40, { most: MAX_TIMESTAMP_S }), // by the clock of its renewals
  pid: u32(48),
  padding: pad(52, 4),
  clientName: bytestring(56, 48), //  as the client calls itself: lvmlockd, the name of a guest
  command: bytestring(104, 16), //    as the kernel calls the process, without its arguments
  uuid: bytestring(120, 40), //       of a guest, 36 characters; empty = not known
  room: pad(160, 92),
  checksum: u32(252), // crc32c of bytes 0..251
});
const CHECKED_BYTES = 252;
const MAGIC_WORD = holderNote.fields.magic.offset + HOLDER_NOTE_OFFSET;

/** Room for names, in bytes. */
const NAME_BYTES = { clientName: 48, command: 16, uuid: 40 } as const;

/** A process that takes a hold for its host. Names are of any bytes; longer ones are cut. */
export interface Taker {
  readonly pid: number;
  readonly clientName: ByteString;
  readonly command: ByteString;
  readonly uuid: ByteString;
}

/** What a note says. Times in seconds; 0n where they are not known. */
export interface NoteFacts extends Taker {
  readonly sinceUnixS: bigint;
  readonly sinceMonotonicS: bigint;
}

/** The hold that a note is about. */
export interface NotedHold {
  readonly hostId: bigint;
  readonly generation: bigint;
  readonly lver: bigint;
}

/** Writes a note into a host sector, at its place. */
export function encodeHolderNote(facts: NoteFacts, hold: NotedHold, sector: Uint8Array): void {
  const record: RecordOf<typeof holderNote> = {
    ...hold,
    magic: HOLDER_NOTE_MAGIC,
    version: HOLDER_NOTE_VERSION,
    sinceUnixS: facts.sinceUnixS,
    sinceMonotonicS: facts.sinceMonotonicS,
    pid: facts.pid,
    clientName: cutName(facts.clientName, NAME_BYTES.clientName),
    command: cutName(facts.command, NAME_BYTES.command),
    uuid: cutName(facts.uuid, NAME_BYTES.uuid),
    checksum: 0,
  };
  encodeInto(holderNote, record, sector, HOLDER_NOTE_OFFSET);
  const end = HOLDER_NOTE_OFFSET + CHECKED_BYTES;
  const checksum = crc32c(sector, HOLDER_NOTE_OFFSET, end);
  encodeInto(holderNote, { ...record, checksum }, sector, HOLDER_NOTE_OFFSET);
}

/**
 * The note in the host sector that begins at `at`, if it is about that hold. A note of an earlier
 * hold, of another host or in damaged bytes is none: a hold without one is an ordinary hold.
 */
export function holderNoteOf(hold: NotedHold, bytes: Uint8Array, at = 0): NoteFacts | null {
  const magic = new DataView(bytes.buffer, bytes.byteOffset).getUint32(at + MAGIC_WORD, true);
  if (magic !== HOLDER_NOTE_MAGIC) return null; // almost always: no other byte need be looked at
  const start = at + HOLDER_NOTE_OFFSET;
  const note = decode(holderNote, bytes, start);
  if (note.version !== HOLDER_NOTE_VERSION) return null;
  if (note.checksum !== crc32c(bytes, start, start + CHECKED_BYTES)) return null;
  if (damageOf(holderNote, note) !== null) return null;
  const { hostId, generation, lver } = note;
  const isOfHold = hostId === hold.hostId && generation === hold.generation && lver === hold.lver;
  if (!isOfHold) return null;
  const { pid, clientName, command, uuid, sinceUnixS, sinceMonotonicS } = note;
  return { pid, clientName, command, uuid, sinceUnixS, sinceMonotonicS };
}

/** At most so many bytes of a name, and no part of a character of UTF-8 at their end. */
export function cutName(name: ByteString, mostBytes: number): ByteString {
  if (name.length <= mostBytes) return name;
  let end = mostBytes;
  while (end > 0 && isContinuation(name.charCodeAt(end))) end--;
  // Bytes that are no UTF-8 have no borders: then it is cut at the last byte.
  return name.slice(0, mostBytes - end > LONGEST_CHARACTER - 1 ? mostBytes : end);
}

const LONGEST_CHARACTER = 4;

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}
