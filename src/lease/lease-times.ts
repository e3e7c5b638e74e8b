import { SECOND_MS } from '../base/units.ts';

/**
 * What every host of a lockspace gives the watchdog of every other one to fire (spec 10 §6). A
 * host's own watchdog may be set to less; that changes nothing here, as other hosts cannot see it.
 */
export const WATCHDOG_FIRE_MS = 60 * SECOND_MS;

/**
 * How long a write that the device answered with an error may still land. It is as long as every
 * host gives to the last write of one that is reset: a device that is slower than this breaks the
 * takeover of dead hosts, the original's included (spec 10 §18.1, docs/reliability.md).
 */
export const REFUSED_LANDS_MS = WATCHDOG_FIRE_MS;

/**
 * A healthy host renews at most this long after 2t are over: the original looks once a second, and
 * begins half a second later (spec 10 §5.3).
 */
const RENEWAL_LAG_MS = 2 * SECOND_MS;

/** Everything that follows from one io timeout `t`; this file alone multiplies it (spec 10 §6). */
export interface LeaseTimes {
  readonly ioTimeoutMs: number;
  readonly renewalIntervalMs: number; // 2t
  readonly renewalWarnMs: number; //     6t
  readonly renewalFailMs: number; //     8t: our own claim ends
  readonly hostDeadMs: number; //        8t + 60 s: others may take what the host held
  readonly renewalWriteMs: number; //    8t + 60 s
  readonly joinSettleMs: number; //      2t: after writing a host id
  readonly ownNameWatchMs: number; //    2t + 2 s: a living host with our name has renewed by then
  readonly bitmapMs: number; //          6t: how long a host's bit stays set
  readonly leaderRecheckMs: number; //      t/4: how old our reading of the leader may be when we write it
  readonly lagTickMs: number; //         t/2: at least so often a program looks whether it is late
  readonly lagWarnMs: number; //         t/2: an administrator should know of a longer lag
  readonly lagPauseMs: number; //        2t less a lagTick: a lag seen so long may have been 2t
  readonly grantsPauseMs: number; //     2t: so long a lag pauses grants, for so long after it
}

/**
 * How long formatting an area may take where each write may take so long: the whole area, its first
 * record, and one more for what went before.
 */
export function formatMs(writeTimeoutMs: number): number {
  return 3 * writeTimeoutMs;
}

/** @param ioTimeoutS seconds, 1..255 */
export function leaseTimes(ioTimeoutS: number): LeaseTimes {
  const ioTimeoutMs = ioTimeoutS * SECOND_MS;
  return {
    ioTimeoutMs,
    renewalIntervalMs: 2 * ioTimeoutMs,
    renewalWarnMs: 6 * ioTimeoutMs,
    renewalFailMs: 8 * ioTimeoutMs,
    hostDeadMs: 8 * ioTimeoutMs + WATCHDOG_FIRE_MS,
    renewalWriteMs: 8 * ioTimeoutMs + WATCHDOG_FIRE_MS,
    joinSettleMs: 2 * ioTimeoutMs,
    ownNameWatchMs: 2 * ioTimeoutMs + RENEWAL_LAG_MS,
    bitmapMs: 6 * ioTimeoutMs,
    leaderRecheckMs: ioTimeoutMs / 4,
    lagTickMs: ioTimeoutMs / 2,
    lagWarnMs: ioTimeoutMs / 2,
    lagPauseMs: 2 * ioTimeoutMs - ioTimeoutMs / 2,
    grantsPauseMs: 2 * ioTimeoutMs,
  };
}
