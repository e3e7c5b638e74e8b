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
  /**
   * holdfast only; C wdmd ignores it silently. From root or their user, after REGISTER: duties
   * (expiries) that earlier connections of exactly this name left when they died end with this
   * connection's next TEST_LIVE, if it comes before they expire, with a renewal that is not older
   * than theirs and an expiry to come. Not those that were renewed before `renewalTime`: a client
   * names its first renewal, if no earlier process renewed for the same membership. This connection
   * has their refcount then. A duty that has expired stays: reset. Answered with `cmd` 100 and a
   * `TAKE_OVER_ANSWER` in `flags`.
   */
  TAKE_OVER: 100,
  /**
   * holdfast only; C wdmd ignores it silently. From root: wdmd ends without disarming the device,
   * and keeps its duties written down for a successor, which has to start before they expire.
   * Answered with `cmd` 101 and a `HAND_OVER_ANSWER` in `flags`; the connection closes after ENDS.
   */
  HAND_OVER: 101,
} as const;

/**
 * `flags` of the answer to TAKE_OVER. With READY and EXPIRED, `expireTime` is the first expiry of
 * those duties, and `fireTimeout` how long after it the device fires at the latest.
 */
export const TAKE_OVER_ANSWER = {
  /** Not from such a user, or not registered with a name of at most 62 bytes. */
  REFUSED: 0,
  /** No earlier connection of this name has an expiry. */
  NO_DUTY: 1,
  /** Some have, and none has expired yet. One that lives keeps its duty until it dies. */
  READY: 2,
  /** One has expired: this host is reset, whatever comes. */
  EXPIRED: 3,
} as const;

/** `flags` of the answer to HAND_OVER. Only after ENDS does wdmd end. */
export const HAND_OVER_ANSWER = {
  /** Not from root. */
  REFUSED: 0,
  /** wdmd ends now. */
  ENDS: 1,
  /** Tests fail, or are about to: this host may be reset any moment. */
  RESET_NEAR: 2,
  /** The duties are not written down, so no successor could start. */
  NOT_RECORDED: 3,
  /** The client `name` would not take its duty over: its host would be reset. */
  CLIENT_STAYS: 4,
} as const;

/**
 * `flags` of REGISTER: what a client of holdfast says of itself; the original has 0 there. Without
 * WAITS, a client with a refcount and no expiry may have sent its first one to a wdmd that died
 * before it read it: then no successor starts, and the host is reset as after any death of wdmd.
 */
export const REGISTER_FLAGS = {
  /** Nothing relies on its first expiry before it has the answer to a STATUS sent behind it. */
  WAITS: 1,
  /** Its connection lost, it connects again, and takes over its duty in time (TAKE_OVER). */
  RECONNECTS: 2,
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
