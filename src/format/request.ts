import { pad, type RecordOf, struct, u32, u64 } from '../codec/struct.ts';
import { MAX_LVER } from './limits.ts';

export const REQ_DISK_MAGIC = 0x08292011;
export const REQ_DISK_VERSION = 0x00010001;

/** Another host's plea to let go, in sector 1 of a resource area (spec 10 §4.2). */
export const requestRecord = struct('requestRecord', 24, {
  magic: u32(0),
  version: u32(4),
  lver: u64(8, { most: MAX_LVER }), // the version asked for; 0 = no request
  forceMode: u32(16), // 1 force, 2 graceful
  padding: pad(20, 4), // the C daemon leaves garbage here
});
export type RequestRecord = RecordOf<typeof requestRecord>;
