import { leaseTimes } from '../lease/lease-times.ts';
import { log } from './effects.ts';
import type { Front } from './front.ts';
import { LEASE_HOLDER } from './holder-lines.ts';
import { stop } from './signals.ts';
import { isUndecided } from './survivor-step.ts';
import type { Survivor } from './survivors.ts';

/** Its host lease has expired: after the watchdog's fire time other hosts may take its leases. */
export function isExpired(front: Front, survivor: Survivor): boolean {
  return front.claimAgeMs(survivor) >= leaseTimes(survivor.space.ioTimeoutS).renewalFailMs;
}

/** So late that this daemon warns of its own host leases. */
export function isLate(front: Front, survivor: Survivor): boolean {
  return front.claimAgeMs(survivor) >= leaseTimes(survivor.space.ioTimeoutS).renewalWarnMs;
}

/** Stops the processes of an earlier daemon whose host lease has expired. */
export function stopExpiredSurvivors(front: Front): void {
  for (const survivor of front.survivors) {
    const isLate = isExpired(front, survivor);
    // A forced end kills them as it does all users: those that are handed over, after that.
    if (!isLate && (!front.ending || isUndecided(survivor.phase))) continue;
    if (isLate && !survivor.expiryLogged && survivor.holders.size > 0) {
      survivor.expiryLogged = true;
      log(front, 'error', 'holders.expired', { lockspace: survivor.space.name });
    }
    const inGrace = front.inGrace(survivor, survivor.space.ioTimeoutS);
    for (const [holder, { client }] of survivor.holders) {
      if (holder === LEASE_HOLDER || client.killLastS === front.nowS) continue;
      client.killCount++;
      client.killLastS = front.nowS;
      stop(front, client, { removal: front.ending, inGrace });
    }
  }
}
