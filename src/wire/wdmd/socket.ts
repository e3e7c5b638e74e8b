import {
  bytestring,
  encode,
  i32,
  type RecordOf,
  struct,
  u32,
  u64,
  zeroRecord,
} from '../../codec/struct.ts';

/** wdmd.sock: every message, both ways, is this record (spec 25 §2). */
export const WDMD_MESSAGE_BYTES = 176;

/** `cmd` of a message: what the client wants, or what the reply is to (spec 25 §2). */
export const WDMD_CMD = {
  REGISTER: 1,
  REFCOUNT_SET: 2,
  REFCOUNT_CLEAR: 3,
  TEST_LIVE: 4,
  STATUS: 5,
  DUMP_DEBUG: 6,
  /** Not known to 3.8.5, which never answers it. */
  OPEN_WATCHDOG: 7,
} as const;

/** Times: CLOCK_MONOTONIC seconds. `expireTime` 0: not tested. */
export const wdmdMessage = struct('wdmdMessage', WDMD_MESSAGE_BYTES, {
  magic: u32(0),
  cmd: u32(4),
  len: u32(8),
  flags: u32(12),
  testInterval: i32(16),
  fireTimeout: i32(20),
  lastKeepalive: u64(24),
  renewalTime: u64(32),
  expireTime: u64(40),
  name: bytestring(48, 128),
});

/** A message as received or to be sent; times in CLOCK_MONOTONIC seconds are bigint. */
export type WdmdMessage = RecordOf<typeof wdmdMessage>;

/** A message of these fields; the others are zero, as clients send them. */
export function wdmdMessageBytes(fields: Partial<WdmdMessage>): Uint8Array {
  return encode(wdmdMessage, { ...zeroRecord(wdmdMessage), ...fields });
}
