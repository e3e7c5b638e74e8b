import { crc32c } from '../codec/crc32c.ts';
import {
  type Damage,
  damageOf,
  encodeInto,
  pad,
  type RecordOf,
  rangeOf,
  struct,
  u32,
  u64,
} from '../codec/struct.ts';
import type { Geometry } from './geometry.ts';
import { MAX_BALLOT, MAX_GENERATION, MAX_HOST_ID, MAX_LVER, MAX_TIMESTAMP_S } from './limits.ts';

/**
 * Flags of a host block. RELEASED: its host holds nothing of this version any more (spec 10 §8.3).
 */
export const DBLOCK_FLAGS = { RELEASED: 0x1 } as const;
/** Flags of a mode block. SHARED: its host holds the resource shared (spec 10 §9). */
export const MODE_FLAGS = { SHARED: 0x1 } as const;

/** One host's ballot block in a paxos lease (spec 10 §4.3). C: struct paxos_dblock. */
export const dblock = struct('dblock', 56, {
  mbal: u64(0, { most: MAX_BALLOT }), // highest ballot this host has started
  bal: u64(8, { most: MAX_BALLOT }), // last ballot of ours that reached phase 2
  inpHostId: u64(16, { most: BigInt(MAX_HOST_ID) }), // inp: the owner proposed; 0 = none yet
  inpGeneration: u64(24, { most: MAX_GENERATION }), // inp2
  inpTimestampS: u64(32, { most: MAX_TIMESTAMP_S }), // inp3: that host's monotonic seconds
  lver: u64(40, { most: MAX_LVER }), // lease version the ballot is about
  checksum: u32(48), // over the fields before it
  flags: u32(52, { most: DBLOCK_FLAGS.RELEASED }), // not protected
});
/** A ballot block as read or to be written; `u64` fields are bigint. */
export type Dblock = RecordOf<typeof dblock>;
const PROTECTED = rangeOf(dblock, 'mbal', 'checksum');

/** A host's shared hold, at byte 128 of its host sector (spec 10 §4.3). C: struct mode_block */
export const modeBlock = struct('modeBlock', 16, {
  flags: u32(0, { most: MODE_FLAGS.SHARED }), // no checksum: no host writes any other value
  padding: pad(4, 4),
  generation: u64(8, { most: MAX_GENERATION }),
});
/** A mode block as read or to be written. */
export type ModeBlock = RecordOf<typeof modeBlock>;

/** What of a block with a sound checksum cannot be, in an area of that geometry. */
export function damageOfBlock(block: Dblock, geometry: Pick<Geometry, 'maxHosts'>): Damage | null {
  const { mbal, bal, inpHostId } = block;
  const damage = damageOf(dblock, block);
  if (damage !== null) return damage;
  if (bal > mbal) return { field: 'bal', found: bal, wanted: `at most mbal, ${mbal}` };
  if (inpHostId <= BigInt(geometry.maxHosts)) return null;
  return { field: 'inpHostId', found: inpHostId, wanted: `0..${geometry.maxHosts}` };
}

/**
 * The checksum that a host block at `offset` should carry, over the fields before it. An empty
 * block carries 0 instead (spec 10 §2).
 */
export function dblockChecksum(bytes: Uint8Array, offset = 0): number {
  return crc32c(bytes, offset + PROTECTED.start, offset + PROTECTED.end);
}

/**
 * Encodes into the first 56 bytes at `offset`, with a fresh checksum in place of the record's. The
 * rest of the sector is the caller's.
 */
export function encodeDblock(record: Dblock, bytes: Uint8Array, offset = 0): void {
  encodeInto(dblock, record, bytes, offset);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  dblock.fields.checksum.set(view, offset, dblockChecksum(bytes, offset));
}
