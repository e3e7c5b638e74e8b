import type { LeaseTimes } from '../lease/lease-times.ts';
import { log } from './effects.ts';
import type { Front } from './front.ts';
import type { Lockspace } from './state.ts';

/**
 * Events came late by so much: ours (`of` null), or those of a lockspace's lease process. After a
 * renewal interval slept away we might not be awake to keep what we promise: new leases wait until
 * it was good again for as long; renewals and releases go on (spec 70 §6).
 */
export function loopLagged(front: Front, lagMs: number, of: Lockspace | null = null): void {
  const spaces = of === null ? front.lockspaces : [of];
  const smallest = smallestTimes(spaces);
  if (smallest === null || lagMs <= smallest.lagWarnMs) return;
  log(front, 'warn', 'loop.lagged', {
    process: of === null ? 'front' : of.name,
    lagMs: Math.round(lagMs),
    ioTimeoutMs: smallest.ioTimeoutMs,
  });
  for (const space of spaces) {
    const { lagWarnMs, lagPauseMs, grantsPauseMs: forMs } = space.times;
    const paused = grantsPaused(front, space);
    if (lagMs <= (paused ? lagWarnMs : lagPauseMs)) continue;
    space.grantsPausedUntilMs = front.nowMs + forMs;
    if (paused) continue;
    const fields = { lockspace: space.name, lagMs: Math.round(lagMs), forMs };
    log(front, 'warn', 'grants.paused', fields);
  }
}

export function grantsPaused(front: Front, space: Lockspace): boolean {
  return front.nowMs < space.grantsPausedUntilMs;
}

/** Those of the lockspace with the smallest io timeout; null: there is none. */
export function smallestTimes(spaces: readonly Lockspace[]): LeaseTimes | null {
  let smallest: LeaseTimes | null = null;
  for (const { times } of spaces) {
    if (smallest === null || times.ioTimeoutMs < smallest.ioTimeoutMs) smallest = times;
  }
  return smallest;
}
