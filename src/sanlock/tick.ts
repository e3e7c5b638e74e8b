import { log } from './effects.ts';
import { examineAgain } from './examine.ts';
import type { Front } from './front.ts';
import { announce, clearOldBits } from './host-events.ts';
import { grantsPaused, smallestTimes } from './lag.ts';
import { endLongWaits } from './local-queue.ts';
import { listOf } from './lockspace-phase.ts';
import { checkWatchdogs, joinLostAgain, tickLockspace } from './lockspaces.ts';
import { stopNotHeld } from './not-held.ts';
import { tickRecovery } from './recovering.ts';
import { resumeSurvivors } from './resuming.ts';
import { endIdleScratch } from './scratch.ts';
import type { Lockspace } from './state.ts';
import { stopExpiredSurvivors } from './survivors-stop.ts';
import { awaitsWatchdog } from './watchdog.ts';

/** What the passing of time brings. */
export function tick(front: Front): void {
  checkWatchdogs(front);
  resumeSurvivors(front);
  stopExpiredSurvivors(front);
  endLongWaits(front);
  stopNotHeld(front);
  for (const space of [...front.lockspaces]) if (listOf(space) === 'live') tickLive(front, space);
  for (const space of front.lockspaces) {
    if (space.phase.kind === 'leaving') tickLockspace(front, space);
  }
  joinLostAgain(front);
  endIdleScratch(front);
}

/**
 * While users are being stopped the next tick comes sooner (spec 20 §7). Ticks that come late are
 * how this program finds out that it lags.
 */
export function tickEveryMs(front: Front): number {
  const isStopping = front.lockspaces.some(({ phase }) => phase.kind === 'stopping');
  if (awaitsWatchdog(front) || isStopping) return 200;
  const everyMs = Math.min(1000, smallestTimes(front.lockspaces)?.lagTickMs ?? 1000);
  return Math.min(everyMs, nextExpiryMs(front));
}

/** Users are stopped when their time is over, not up to a second later. */
function nextExpiryMs(front: Front): number {
  const live = front.lockspaces.filter(({ phase }) => phase.kind === 'live');
  const leftMs = live.map((space) => space.times.renewalFailMs - front.claimAgeMs(space));
  return Math.max(1, Math.ceil(Math.min(...leftMs)));
}

function tickLive(front: Front, space: Lockspace): void {
  // Not only at our renewals: a bit must not ride one renewal longer than it was wanted.
  if (clearOldBits(front, space)) announce(front, space);
  if (space.grantsPausedUntilMs !== 0 && !grantsPaused(front, space)) {
    space.grantsPausedUntilMs = 0;
    log(front, 'warn', 'grants.resumed', { lockspace: space.name });
  }
  examineAgain(front, space);
  tickRecovery(front, space);
  tickLockspace(front, space);
}
