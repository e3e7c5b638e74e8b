import type { ByteString } from '../base/bytes.ts';
import { fail, ok, type Result } from '../base/result.ts';
import { crc32c } from '../codec/crc32c.ts';
import {
  bytestring,
  decode,
  encodeInto,
  type RecordOf,
  struct,
  u32,
  u64,
} from '../codec/struct.ts';

/** First word: 'HFGV' in the order of the bytes. */
const GUEST_VALUE_MAGIC = 0x56474648;
/** A reader knows one version: what another one means is not known. */
const GUEST_VALUE_VERSION = 1;

/**
 * What the value block of a guest's lease says while the guest migrates (spec 60 §9.3): which guest
 * lends the lease, and from which host. Ours; libvirt's plugin neither reads nor writes it.
 */
const guestValue = struct('guestValue', 388, {
  magic: u32(0),
  version: u32(4),
  uuid: bytestring(8, 40), //       of the guest, 36 characters
  hostId: u64(48), //              of the lender
  generation: u64(56), //          which life of it
  guestName: bytestring(64, 64), // for readers; cut
  key: bytestring(128, 256), //     what the lease's name was made of; for readers; cut
  checksum: u32(384), //            crc32c of bytes 0..383
});
const CHECKED_BYTES = 384;

/** Who lends a lease. */
export interface GuestValue {
  readonly uuid: ByteString;
  readonly hostId: bigint;
  readonly generation: bigint;
  readonly guestName: ByteString;
  readonly key: ByteString;
}

/** @param sectorBytes of the lease: the value block is one sector */
export function encodeGuestValue(value: GuestValue, sectorBytes: number): Uint8Array {
  const bytes = new Uint8Array(sectorBytes);
  const record: RecordOf<typeof guestValue> = {
    ...value,
    magic: GUEST_VALUE_MAGIC,
    version: GUEST_VALUE_VERSION,
    checksum: 0,
  };
  encodeInto(guestValue, record, bytes, 0);
  const checksum = crc32c(bytes, 0, CHECKED_BYTES);
  encodeInto(guestValue, { ...record, checksum }, bytes, 0);
  return bytes;
}

/** @returns why it is none: 'empty' was never written */
export function decodeGuestValue(
  bytes: Uint8Array,
): Result<GuestValue, 'empty' | 'other' | 'damaged'> {
  if (bytes.length < guestValue.size) return fail('other');
  const { magic, version, checksum, ...value } = decode(guestValue, bytes);
  if (magic === 0) return fail('empty');
  if (magic !== GUEST_VALUE_MAGIC || version !== GUEST_VALUE_VERSION) return fail('other');
  if (checksum !== crc32c(bytes, 0, CHECKED_BYTES)) return fail('damaged');
  return ok(value);
}
