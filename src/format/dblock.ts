import { crc32c } from '../codec/crc32c.ts';
import { encodeInto, pad, type RecordOf, struct, u32, u64 } from '../codec/struct.ts';

export const DBLOCK_FLAGS = { RELEASED: 0x1 } as const;
export const MODE_FLAGS = { SHARED: 0x1 } as const;
export const DBLOCK_CHECKSUM_END = 48;

/** One host's ballot block in a paxos lease (spec 10 §4.3). C: struct paxos_dblock. */
export const dblock = struct('dblock', 56, {
  mbal: u64(0), // highest ballot this host has started
  bal: u64(8), // last ballot of ours that reached phase 2
  inpHostId: u64(16), // inp: the host proposed as owner; 0 = none yet
  inpGeneration: u64(24), // inp2
  inpTimestampS: u64(32), // inp3: that host's monotonic seconds
  lver: u64(40), // lease version the ballot is about
  checksum: u32(48), // over bytes 0..47
  flags: u32(52), // not protected
});
export type Dblock = RecordOf<typeof dblock>;

/** A host's shared hold, at byte 128 of its host sector (spec 10 §4.3). C: struct mode_block */
export const modeBlock = struct('modeBlock', 16, {
  flags: u32(0),
  padding: pad(4, 4),
  generation: u64(8),
});
export type ModeBlock = RecordOf<typeof modeBlock>;

export function dblockChecksum(bytes: Uint8Array, offset = 0): number {
  return crc32c(bytes, offset, offset + DBLOCK_CHECKSUM_END);
}

export function encodeDblock(record: Dblock, bytes: Uint8Array, offset = 0): void {
  encodeInto(dblock, record, bytes, offset);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setUint32(offset + DBLOCK_CHECKSUM_END, dblockChecksum(bytes, offset), true);
}
