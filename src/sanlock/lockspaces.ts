import { assert, unreachable } from '../base/assert.ts';
import { SECOND_MS } from '../base/units.ts';
import { SANLK_OK, SANLOCK_CODES } from '../wire/sanlock/codes.ts';
import { COMMAND_LOST } from './command-lost.ts';
import { log, toLease } from './effects.ts';
import type { Front } from './front.ts';
import { recordConfig, recordForgotten, recordJoin, recordRemoval } from './holder-journal.ts';
import { closeChannels } from './host-events.ts';
import { joinRequest } from './join-request.ts';
import { stopUsers, usageOf } from './kill-sequence.ts';
import type { LockspaceEffect, LockspaceEvent } from './lockspace-events.ts';
import { isGivenUp } from './lockspace-phase.ts';
import { stepLockspace } from './lockspace-step.ts';
import type { LostFacts } from './lost-lockspace.ts';
import {
  isLost,
  joinLost,
  lostNotJoined,
  lostOpened,
  lostRemoved,
  remember,
} from './lost-lockspaces.ts';
import { named } from './named-lockspace.ts';
import { takeJoin, takeRenewal } from './renewals.ts';
import { type Lockspace, newLockspace } from './state.ts';
import { noteGone, noteUsable } from './unusable.ts';
import { wakeAll } from './waiters.ts';
import {
  armWatchdog,
  checkWatchdog,
  isWatchdogAway,
  openWatchdog,
  releaseWatchdog,
  type WatchdogEvent,
  type WatchdogVerdict,
  watchdogEvent,
} from './watchdog.ts';

const ERROR_RESULT = -1;

/** @param started goes on in the same instant */
export function addLockspace(
  front: Front,
  of: LostFacts,
  started: (space: Lockspace) => void,
): void {
  const { name, hostId, path, offset, ioTimeoutS } = of;
  const id = front.newLockspaceId();
  const lease = front.startLease(name, () => started(space));
  const { ourHostName: hostName } = front.settings;
  const facts = { id, name, hostId, path, offset, ioTimeoutS, hostName, lease };
  const space: Lockspace = newLockspace(facts);
  front.lockspaces.unshift(space);
}

/** Lost lockspaces whose turn has come. */
export function joinLostAgain(front: Front): void {
  joinLost(front, ({ space: facts, usedByOrphans }) =>
    addLockspace(front, facts, (space) => {
      space.usedByOrphans = usedByOrphans;
      beginJoin(front, space);
    }),
  );
}

/** A lockspace that was just added: first wdmd, then its host id on disk. */
export function beginJoin(front: Front, space: Lockspace): void {
  const isRecorded =
    recordJoin(front, space) && (!space.usedByOrphans || recordConfig(front, space));
  if (isRecorded) obey(front, space, openWatchdog(front, space));
  else advance(front, space, { kind: 'notRecorded' });
}

/** What happened to a lockspace, and all that comes of it. */
export function advance(front: Front, space: Lockspace, event: LockspaceEvent): void {
  const at = { nowMs: front.nowMs, times: space.times };
  const step = stepLockspace(space.phase, event, at);
  const wasGivenUp = isGivenUp(space);
  space.phase = step.phase; // first: what is answered now sees it
  noteUsable(front, space);
  if (!wasGivenUp && isGivenUp(space)) recordRemoval(front, space);
  for (const effect of step.effects) apply(front, space, effect);
}

export function watchdogSent(front: Front, lockspace: number, event: WatchdogEvent): void {
  const space = front.lockspaces.find((candidate) => candidate.id === lockspace);
  if (space !== undefined) obey(front, space, watchdogEvent(front, space, event));
}

/** wdmd may have had its time. */
export function checkWatchdogs(front: Front): void {
  for (const space of [...front.lockspaces]) obey(front, space, checkWatchdog(front, space));
}

export function tickLockspace(front: Front, space: Lockspace): void {
  advance(front, space, {
    kind: 'tick',
    ageMs: front.claimAgeMs(space),
    isOverwritten: space.corruptResult !== 0,
    isWatchdogAway: isWatchdogAway(space),
    usage: usageOf(front, space),
  });
}

function obey(front: Front, space: Lockspace, verdict: WatchdogVerdict): void {
  if (verdict !== null) advance(front, space, { kind: verdict });
}

function apply(front: Front, space: Lockspace, effect: LockspaceEffect): void {
  const { lease, name: lockspace, hostId } = space;
  switch (effect.kind) {
    case 'sendJoin': {
      const request = joinRequest(front.settings, space);
      toLease(front, lease, { kind: 'join', ...request });
      return;
    }
    case 'takeJoin':
      space.joinedS = effect.message.timestampS;
      takeJoin(front, space, effect.message);
      return;
    case 'armWatchdog':
      obey(front, space, armWatchdog(front, space));
      return;
    case 'open':
      open(front, space);
      return;
    case 'failJoin':
      space.acquireResult = effect.result;
      return;
    case 'takeRenewal':
      takeRenewal(front, space, effect.message);
      return;
    case 'refuse':
      toLease(front, lease, { kind: 'refuse' });
      return;
    case 'stopUsers':
      stopUsers(front, space, { removal: effect.removal });
      return;
    case 'releaseWatchdog':
      releaseWatchdog(front, space);
      return;
    case 'leave':
      toLease(front, lease, { kind: 'leave', release: effect.release });
      return;
    case 'failCommands':
      front.failPending(lease, COMMAND_LOST);
      return;
    case 'endProcess':
      front.endLease(lease);
      return;
    case 'forget':
      forget(front, space);
      return;
    case 'logProcessLost':
      log(front, 'error', 'leaseProcess.lost', { lockspace, hostId });
      return;
    case 'logLate':
    case 'logLost':
    case 'logLeavesLater':
      logTimes(front, space, effect);
      return;
    default:
      unreachable(effect);
  }
}

function logTimes(
  front: Front,
  space: Lockspace,
  effect: Extract<LockspaceEffect, { kind: 'logLate' | 'logLost' | 'logLeavesLater' }>,
): void {
  const { name: lockspace, hostId, path } = space;
  switch (effect.kind) {
    case 'logLate':
      log(front, 'warn', 'renewal.late', { lockspace, hostId, ageMs: Math.floor(effect.ageMs) });
      return;
    case 'logLost': {
      const ageS = Math.floor(effect.ageMs / SECOND_MS);
      const fields = { lockspace, hostId, ageS, corrupt: space.corruptResult };
      log(front, 'error', 'lockspace.lost', fields);
      return;
    }
    case 'logLeavesLater': {
      const waitS = Math.ceil((effect.untilMs - front.nowMs) / SECOND_MS);
      log(front, 'warn', 'lockspace.leavesLater', { lockspace, hostId, path, waitS });
      return;
    }
    default:
      unreachable(effect);
  }
}

/** From here on users may hold leases in it. */
function open(front: Front, space: Lockspace): void {
  space.acquireResult = SANLK_OK;
  const { name: lockspace, hostId, generation } = space;
  log(front, 'info', 'lockspace.joined', { lockspace, hostId, generation });
  lostOpened(front, space);
  front.gone.delete(space.name);
  answerAdd(space, 0);
}

function answerAdd(space: Lockspace, result: number): void {
  const waiter = space.addWaiter;
  space.addWaiter = null;
  waiter?.(result);
  wakeAll(space.inquireWaiters, (wake) => wake());
}

function forget(front: Front, space: Lockspace): void {
  const { byProcesses } = usageOf(front, space);
  assert(!byProcesses, 'a lockspace is left when no process holds a lease in it');
  const wasLost = isLost(front, space);
  noteGone(front, space);
  front.lockspaces = front.lockspaces.filter((other) => other !== space);
  front.resources = front.resources.filter((resource) => resource.lockspace !== space);
  closeChannels(front, space);
  if (wasLost)
    remember(front, space, {
      id: space.id,
      isSettled: space.hasLeft,
      usedByOrphans: space.usedByOrphans,
    });
  else recordEnd(front, space);
  const result = space.acquireResult < 0 ? space.acquireResult : ERROR_RESULT;
  answerAdd(space, space.acquireResult === SANLK_OK ? SANLOCK_CODES.ERROR : result);
  wakeAll(space.removeWaiters, (reply) => reply(0));
  // One that was never joined has not been left either.
  if (space.acquireResult !== SANLK_OK) return;
  log(front, 'info', 'lockspace.left', { lockspace: space.name, hostId: space.hostId });
}

/** It is not joined again, or was not. */
function recordEnd(front: Front, space: Lockspace): void {
  recordForgotten(front, space.id);
  if (space.acquireResult === SANLK_OK) lostRemoved(front, named(space));
  else lostNotJoined(front, space);
}
