import { decode, encode, struct, u16, u32 } from '../../codec/struct.ts';

/** Eight bytes kept with the GL and VG leases (spec 30 §5). C: struct val_blk */
const valueBlock = struct('valueBlock', 8, {
  version: u16(0),
  flags: u16(2),
  rVersion: u32(4),
});
/** Length of a value block in bytes. */
export const VALUE_BLOCK_BYTES = valueBlock.size;
const FORMAT_VERSION = 0x0101;
const REMOVED = 0x0001;

/** What a value block says: a version that grows when the lock is released from `ex`. */
export interface ValueBlock {
  /** False when a newer lvmlockd wrote it: its meaning is not known. */
  readonly isReadable: boolean;
  readonly isRemoved: boolean;
  readonly version: number;
}

/** Reads the first eight bytes; fewer, or zeros, are a block that was never written: version 0. */
export function readValueBlock(bytes: Uint8Array): ValueBlock {
  if (bytes.length < valueBlock.size) return { isReadable: true, isRemoved: false, version: 0 };
  const block = decode(valueBlock, bytes);
  return {
    isReadable: block.version >> 8 <= FORMAT_VERSION >> 8,
    isRemoved: (block.flags & REMOVED) !== 0 && block.version !== 0,
    version: block.rVersion,
  };
}

/** The block to write for that version, of which the low 32 bits count. */
export function valueBlockBytes(version: number): Uint8Array {
  return encode(valueBlock, { version: FORMAT_VERSION, flags: 0, rVersion: version >>> 0 });
}
