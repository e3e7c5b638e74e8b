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

export const DBLOCK_FLAGS = { RELEASED: 0x1 } as const;
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
export type Dblock = RecordOf<typeof dblock>;
const PROTECTED = rangeOf(dblock, 'mbal', 'checksum');

/** A host's shared hold, at byte 128 of its host sector (spec 10 §4.3). C: struct mode_block */
export const modeBlock = struct('modeBlock', 16, {
  flags: u32(0, { most: MODE_FLAGS.SHARED }), // no checksum: no host writes any other value
  padding: pad(4, 4),
  generation: u64(8, { most: MAX_GENERATION }),
});
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

export function dblockChecksum(bytes: Uint8Array, offset = 0): number {
  return crc32c(bytes, offset + PROTECTED.start, offset + PROTECTED.end);
}

export function encodeDblock(record: Dblock, bytes: Uint8Array, offset = 0): void {
  encodeInto(dblock, record, bytes, offset);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  dblock.fields.checksum.set(view, offset, dblockChecksum(bytes, offset));
}
