import type { Front } from './front.ts';
import type { Lockspace } from './state.ts';

/** Above this share of an io timeout people should know. */
const WARN_IO_TIMEOUTS = 0.5;
/** A renewal interval slept away: what we would promise now we might not be awake to keep. */
const PAUSE_IO_TIMEOUTS = 2;
/** How long it must have been good again. */
const GOOD_IO_TIMEOUTS = 2;

/**
 * Events came late by so much: ours (`of` null), or those of a lockspace's lease process. New
 * leases wait until that is over; renewals and releases go on (spec 70 §6).
 */
export function loopLagged(front: Front, lagMs: number, of: Lockspace | null = null): void {
  const spaces = of === null ? front.lockspaces : [of];
  const ioTimeoutMs = smallestIoTimeoutMs(spaces);
  if (ioTimeoutMs === null || lagMs <= WARN_IO_TIMEOUTS * ioTimeoutMs) return;
  front.outside.log('warn', 'loop.lagged', {
    process: of === null ? 'front' : of.name,
    lagMs: Math.round(lagMs),
    ioTimeoutMs,
  });
  for (const space of spaces) {
    const { ioTimeoutMs: t } = space.times;
    const paused = grantsPaused(front, space);
    const limitMs = (paused ? WARN_IO_TIMEOUTS : PAUSE_IO_TIMEOUTS) * t;
    if (lagMs <= limitMs) continue;
    const forMs = GOOD_IO_TIMEOUTS * t;
    space.grantsPausedUntilMs = front.nowMs + forMs;
    if (paused) continue;
    const fields = { lockspace: space.name, lagMs: Math.round(lagMs), forMs };
    front.outside.log('warn', 'grants.paused', fields);
  }
}

export function grantsPaused(front: Front, space: Lockspace): boolean {
  return front.nowMs < space.grantsPausedUntilMs;
}

/** null: none. */
export function smallestIoTimeoutMs(spaces: readonly Lockspace[]): number | null {
  if (spaces.length === 0) return null;
  return Math.min(...spaces.map((space) => space.times.ioTimeoutMs));
}
