import { pad, type RecordOf, struct, u32, u64 } from '../codec/struct.ts';
import { MAX_LVER } from './limits.ts';

/** First word of a request record (spec 10 §1). */
export const REQ_DISK_MAGIC = 0x08292011;
/** Version of the request records that we write; another major one (high half) is refused. */
export const REQ_DISK_VERSION = 0x00010001;

/**
 * The request of another host that the holder release a lease, in sector 1 of a resource area (spec
 * 10 §4.2). It has no checksum. C: struct request_record
 */
export const requestRecord = struct('requestRecord', 24, {
  magic: u32(0),
  version: u32(4),
  lver: u64(8, { most: MAX_LVER }), // the version asked for; 0 = no request
  forceMode: u32(16), // 1 force, 2 graceful
  padding: pad(20, 4), // the C daemon leaves garbage here
});
/** A request record as read or to be written. */
export type RequestRecord = RecordOf<typeof requestRecord>;
