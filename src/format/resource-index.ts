import { bytestring, pad, type RecordOf, struct, u32, u64 } from '../codec/struct.ts';
import { NAME_BYTES } from './leader.ts';
import { MAX_OFFSET } from './limits.ts';

/** First word of an index of resource names (spec 10 §1). */
export const RINDEX_DISK_MAGIC = 0x01042018;
/** Version of the indexes that we write; another major one (high half) is refused. */
export const RINDEX_DISK_VERSION = 0x00010002;

/** Name of the resource that guards an index, one area behind it (spec 10 §11). */
export const INDEX_LEASE_NAME = 'rindex_lease';

/** Header of the index of resource names (spec 10 §4.4). Its align flags differ from a leader's. */
export const indexHeader = struct('indexHeader', 80, {
  magic: u32(0),
  version: u32(4),
  flags: u32(8),
  sectorSize: u32(12),
  maxResources: u32(16),
  unused: pad(20, 4),
  rxOffset: u64(24, { most: MAX_OFFSET }), // byte offset of this header on the device
  spaceName: bytestring(32, NAME_BYTES),
});
/** An index header as read or to be written. */
export type IndexHeader = RecordOf<typeof indexHeader>;

/** One entry; free when the offset is 0 and the name empty (spec 10 §4.5). */
export const indexEntry = struct('indexEntry', 64, {
  resourceOffset: u64(0, { most: MAX_OFFSET }),
  flags: u32(8),
  unused: pad(12, 4),
  resourceName: bytestring(16, NAME_BYTES),
});
/** An index entry as read or to be written. */
export type IndexEntry = RecordOf<typeof indexEntry>;
