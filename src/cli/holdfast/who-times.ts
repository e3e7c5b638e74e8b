import { SECOND_MS } from '../../base/units.ts';
import { leaseTimes } from '../../lease/lease-times.ts';

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
