import { log, toLease } from './effects.ts';
import { lookAgain } from './examine.ts';
import type { Front } from './front.ts';
import { takeBackOldBits } from './host-events.ts';
import { announce, askToLeave, giveUp, lookAtWatchdogs } from './joining.ts';
import { grantsPaused } from './lag.ts';
import { endLongWaits } from './local-queue.ts';
import { resumeSurvivors } from './resuming.ts';
import { stop } from './signals.ts';
import type { Client, Lockspace, Resource } from './state.ts';
import { stopExpiredSurvivors } from './survivors-stop.ts';
import { awaitsWatchdog, letGo } from './watchdog.ts';

const MAX_KILL_ATTEMPTS = 100;

/** One look at every joined lockspace; the program calls it each second, or more often in need. */
export function look(front: Front): void {
  lookAtWatchdogs(front);
  resumeSurvivors(front);
  stopExpiredSurvivors(front);
  endLongWaits(front);
  for (const space of [...front.lockspaces]) {
    if (space.state !== 'live') continue;
    // Not only at our renewals: a bit must not ride one renewal longer than it was wanted.
    if (takeBackOldBits(front, space)) announce(front, space);
    if (space.grantsPausedUntilMs !== 0 && !grantsPaused(front, space)) {
      space.grantsPausedUntilMs = 0;
      log(front, 'warn', 'grants.resumed', { lockspace: space.name });
    }
    lookAgain(front, space);
    lookAt(front, space);
  }
}

/** While users are being stopped the next look comes sooner (spec 20 §7). */
export function tickEveryMs(front: Front): number {
  return awaitsWatchdog(front) || front.lockspaces.some((space) => space.killing) ? 200 : 1000;
}

function lookAt(front: Front, space: Lockspace): void {
  if (space.killing) {
    if (allGone(front, space)) leave(front, space);
    else killRound(front, space);
    return;
  }
  if (!lost(front, space) && !space.externalRemove) return;
  space.dead = true;
  space.killing = true;
  if (space.lease !== null) toLease(front, space.lease, { kind: 'refuse' });
  if (allGone(front, space)) leave(front, space);
  else killRound(front, space);
}

/** Judged by our own clock, never by a timer having fired. */
function lost(front: Front, space: Lockspace): boolean {
  const ageMs = front.claimAgeMs(space);
  if (space.corruptResult !== 0 || ageMs >= space.times.renewalFailMs) {
    log(front, 'error', 'lockspace.lost', {
      lockspace: space.name,
      hostId: space.hostId,
      ageS: Math.floor(ageMs / 1000),
      corrupt: space.corruptResult,
    });
    space.failed = true;
    return true;
  }
  // A lost process will not renew again. With nothing held there is nothing to wait for.
  if (space.failed && isFree(front, space)) return true;
  if (ageMs >= space.times.renewalWarnMs && !space.warned) {
    space.warned = true;
    const fields = { lockspace: space.name, hostId: space.hostId, ageMs: Math.floor(ageMs) };
    log(front, 'warn', 'renewal.late', fields);
  }
  return false;
}

/** Registered processes that hold something in the lockspace. */
export function users(front: Front, space: Lockspace): Client[] {
  return [...front.clients.values()].filter((client) =>
    client.tokens.some((token) => token.resource.lockspace === space),
  );
}

function allGone(front: Front, space: Lockspace): boolean {
  if (space.used) return false;
  // Of a lockspace that is lost they protect nothing any more; whoever removes it knows of them.
  const isGivenUp = space.failed && space.externalRemove;
  return users(front, space).length === 0 && (isGivenUp || !usedByOrphans(front, space));
}

function isFree(front: Front, space: Lockspace): boolean {
  return users(front, space).length === 0 && !usedByOrphans(front, space);
}

function usedByOrphans(front: Front, space: Lockspace): boolean {
  const isOrphan = (one: Resource) => one.lockspace === space && one.state === 'orphan';
  return space.usedByOrphans && front.resources.some(isOrphan);
}

function killRound(front: Front, space: Lockspace): void {
  const inGrace = front.inGrace(space, space.ioTimeoutS);
  for (const client of users(front, space)) {
    if (client.killCount >= MAX_KILL_ATTEMPTS || client.killLastS === front.nowS) continue;
    client.killCount++;
    client.killLastS = front.nowS;
    stop(front, client, { removal: space.externalRemove, inGrace });
  }
}

/** Users are gone: the watchdog is let go first, the host id last. */
function leave(front: Front, space: Lockspace): void {
  space.state = 'removing';
  space.killing = false;
  space.dead = true;
  letGo(front, space);
  if (space.lease === null) {
    giveUp(front, space);
    return;
  }
  askToLeave(front, space, { release: !space.failed && space.corruptResult === 0 });
}

/** A process stuck on its device does not answer `leave`: it is killed, and awaited. */
export function endSilentLeavers(front: Front): void {
  for (const space of front.lockspaces) {
    if (space.leaveByMs === 0 || front.nowMs < space.leaveByMs) continue;
    space.leaveByMs = 0;
    giveUp(front, space);
  }
}
