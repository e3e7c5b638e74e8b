import { SECOND_MS } from '../../../base/units.ts';
import type { DeltaLeader } from '../../../format/leader.ts';
import { leaseTimes } from '../../../lease/lease-times.ts';

/**
 * Seconds after a host's last renewal before another host may take its leases: by then it has
 * either renewed, or its watchdog has reset it. C: host_dead_seconds
 */
export function protectedForS(ioTimeoutS: number): number {
  return leaseTimes(ioTimeoutS).hostDeadMs / SECOND_MS;
}

/** A healthy host renews this often, */
export function renewalIntervalS(ioTimeoutS: number): number {
  return leaseTimes(ioTimeoutS).renewalIntervalMs / SECOND_MS;
}

/** and a renewal itself may take another io timeout and a little. */
export function renewalSeenWithinS(ioTimeoutS: number): number {
  return renewalIntervalS(ioTimeoutS) + ioTimeoutS + 1;
}

/** A record without one is as old as the format allows; C reads it as the default. */
export function ioTimeoutS(host: DeltaLeader | null): number {
  const low = (host?.ioTimeoutS ?? 0) & 0xff;
  return low === 0 ? 10 : low;
}

const UNITS = [
  [86_400, 'd'],
  [3600, 'h'],
  [60, 'min'],
] as const;

/** `3 h`: the largest unit of which there are two. */
export function durationText(seconds: number): string {
  for (const [size, name] of UNITS) {
    if (seconds >= 2 * size) return `${Math.floor(seconds / size)} ${name}`;
  }
  return `${Math.max(0, Math.round(seconds))} s`;
}

/** `2026-11-30 15:04:05`, by the clock and the zone of this host. */
export function clockText(wallMs: number): string {
  const at = new Date(wallMs);
  const two = (n: number) => `${n}`.padStart(2, '0');
  const day = [at.getFullYear(), two(at.getMonth() + 1), two(at.getDate())].join('-');
  return `${day} ${[at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(':')}`;
}
