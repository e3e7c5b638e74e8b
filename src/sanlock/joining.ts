import { assert, unreachable } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import { SECOND_MS } from '../base/units.ts';
import { REFUSED_LANDS_MS } from '../lease/lease-times.ts';
import type { FromLeaseProcess } from '../lease-process/messages.ts';
import { SANLOCK_CODES } from '../wire/sanlock/codes.ts';
import { log, toLease } from './effects.ts';
import { signalled } from './examine.ts';
import type { Front } from './front.ts';
import { recordJoin, recordLeft, recordProcessEnd, recordRenewal } from './holder-journal.ts';
import { closeChannels, deliverEvents, takeBackOldBits } from './host-events.ts';
import { joinRequest } from './join-request.ts';
import { loopLagged } from './lag.ts';
import { LOST } from './lost.ts';
import { commandRefused, refusalFields } from './refusals.ts';
import { resultNumber } from './result-number.ts';
import { resumedEnded, resumedSaid } from './resuming.ts';
import type { Lockspace, RenewalEntry } from './state.ts';
import { wakeAll } from './waiters.ts';
import {
  armWatchdog,
  feedWatchdog,
  letGo,
  lookAtWatchdog,
  openWatchdog,
  type WatchdogEvent,
  type WatchdogVerdict,
  watchdogEvent,
} from './watchdog.ts';

const SANLK_OK = 1;
const ERROR_RESULT = -1;

/** A message of the lease process of a lockspace. */
export function leaseSaid(front: Front, lease: number, message: FromLeaseProcess): void {
  if (message.kind === 'ran') {
    const pending = front.pending.get(message.id);
    if (!message.result.ok && pending !== undefined) {
      commandRefused(front, pending, message.result);
    }
    front.ran(lease, message.id, message.result);
    return;
  }
  const space = front.lockspaces.find((candidate) => candidate.lease === lease);
  if (space === undefined) {
    resumedSaid(front, lease, message); // or it was given up meanwhile
    return;
  }
  switch (message.kind) {
    case 'joined':
      joined(front, space, message);
      return;
    case 'joinFailed':
      space.acquireResult = resultNumber(message.error);
      log(front, 'warn', 'lockspace.notJoined', {
        lockspace: space.name,
        hostId: space.hostId,
        path: space.path,
        offset: space.offset,
        ...refusalFields(message),
      });
      giveUp(front, space);
      return;
    case 'renewed':
      renewed(front, space, message);
      return;
    case 'renewalFailed':
      renewalFailed(front, space, message);
      return;
    case 'hosts':
      space.checkedS = message.checkedS;
      space.lookSentS = message.sentS;
      for (const host of message.changed) space.hosts.set(host.hostId, host);
      deliverEvents(front, space, message.signals);
      signalled(front, space, message.signals);
      return;
    case 'lagged':
      loopLagged(front, message.lagMs, space);
      return;
    case 'leaveUnsure':
      leaveLater(front, space, message.untilMs);
      return;
    case 'left':
      giveUp(front, space);
      return;
    default:
      unreachable(message);
  }
}

/** A lockspace that was just added: first wdmd, then its host id on disk. */
export function beginJoin(front: Front, space: Lockspace): void {
  if (!recordJoin(front, space)) {
    space.acquireResult = -ERRNO.EAGAIN;
    giveUp(front, space);
    return;
  }
  obey(front, space, openWatchdog(front, space));
}

export function watchdogTold(front: Front, lockspace: number, event: WatchdogEvent): void {
  const space = front.lockspaces.find((candidate) => candidate.id === lockspace);
  if (space !== undefined) obey(front, space, watchdogEvent(front, space, event));
}

export function lookAtWatchdogs(front: Front): void {
  for (const space of [...front.lockspaces]) obey(front, space, lookAtWatchdog(front, space));
}

function obey(front: Front, space: Lockspace, verdict: WatchdogVerdict): void {
  if (verdict === null || space.state !== 'adding') return;
  if (verdict === 'join') sendJoin(front, space);
  else if (verdict === 'use') open(front, space);
  else {
    space.acquireResult = SANLOCK_CODES.WD_ERROR;
    undoJoin(front, space);
  }
}

function sendJoin(front: Front, space: Lockspace): void {
  if (space.lease === null) return;
  const request = joinRequest(front.settings, space, front.settings.ourHostName);
  toLease(front, space.lease, { kind: 'join', ...request });
  space.joinSent = true;
}

const LEAVE_DEADLINE_MS = 3000;

/** Of a lockspace that nobody could use yet: the host id is given back, if it was taken. */
export function undoJoin(front: Front, space: Lockspace): void {
  letGo(front, space);
  if (space.lease === null || !space.joinSent) {
    giveUp(front, space);
    return;
  }
  space.state = 'removing';
  askToLeave(front, space, { release: true });
}

/** Answered by `left`, within the time that its last writes may take. */
export function askToLeave(front: Front, space: Lockspace, how: { release: boolean }): void {
  if (space.lease === null) return;
  space.leaveByMs = front.nowMs + space.times.ioTimeoutMs + LEAVE_DEADLINE_MS;
  space.leaveMostMs = space.leaveByMs + REFUSED_LANDS_MS;
  toLease(front, space.lease, { kind: 'leave', ...how });
}

/**
 * Ended now, its process would be gone before the writes that were refused are over, and they could
 * land over what the next stay writes (spec 10 §18.2).
 */
function leaveLater(front: Front, space: Lockspace, untilMs: number): void {
  if (space.leaveByMs === 0) return;
  const byMs = Math.min(untilMs + LEAVE_DEADLINE_MS, space.leaveMostMs);
  if (byMs <= space.leaveByMs) return;
  space.leaveByMs = byMs;
  const waitS = Math.ceil((untilMs - front.nowMs) / SECOND_MS);
  const fields = { lockspace: space.name, hostId: space.hostId, path: space.path, waitS };
  log(front, 'warn', 'lockspace.leavesLater', fields);
}

function joined(
  front: Front,
  space: Lockspace,
  message: Extract<FromLeaseProcess, { kind: 'joined' }>,
): void {
  if (space.state !== 'adding') return; // being removed: `left` follows
  const { generation, timestampS, sectorSize, areaBytes, maxHosts } = message;
  Object.assign(space, { generation, sectorSize, areaBytes, maxHosts });
  space.acquiredS = timestampS;
  space.lastSuccessS = timestampS;
  space.claimedBootMs = message.claimedBootMs;
  space.lastAttemptS = timestampS;
  recordRenewal(front, space);
  remember(front, space, { timestampS, readMs: 0, writeMs: 0, nextTimeouts: 0, nextErrors: 0 });
  obey(front, space, armWatchdog(front, space));
}

/** From here on users may hold leases in it. */
function open(front: Front, space: Lockspace): void {
  space.state = 'live';
  space.acquireResult = SANLK_OK;
  log(front, 'info', 'lockspace.joined', {
    lockspace: space.name,
    hostId: space.hostId,
    generation: space.generation,
  });
  answerAdd(space, 0);
}

function answerAdd(space: Lockspace, result: number): void {
  const waiter = space.addWaiter;
  space.addWaiter = null;
  waiter?.(result);
  wakeAll(space.inquireWaiters, (wake) => wake());
}

/**
 * Expiry counts from the timestamp in the renewal, taken before its write. A renewal that comes
 * after the users began to be stopped revives nothing.
 */
function renewed(
  front: Front,
  space: Lockspace,
  message: Extract<FromLeaseProcess, { kind: 'renewed' }>,
): void {
  space.renewalResult = SANLK_OK;
  space.lastAttemptS = front.nowS;
  if (space.dead) return;
  assert(message.timestampS >= space.lastSuccessS, 'renewals carry growing timestamps');
  space.lastSuccessS = message.timestampS;
  space.claimedBootMs = message.claimedBootMs;
  space.warned = false;
  const { timestampS } = message;
  const readMs = Math.round(message.readMs);
  const writeMs = Math.round(message.writeMs);
  remember(front, space, { timestampS, readMs, writeMs, nextTimeouts: 0, nextErrors: 0 });
  announce(front, space);
  feedWatchdog(front, space);
  recordRenewal(front, space);
}

function remember(front: Front, space: Lockspace, entry: RenewalEntry): void {
  const { renewalHistorySize } = front.settings;
  if (renewalHistorySize === 0) return;
  space.history.push(entry);
  if (space.history.length > renewalHistorySize) space.history.shift();
}

function renewalFailed(
  front: Front,
  space: Lockspace,
  message: Extract<FromLeaseProcess, { kind: 'renewalFailed' }>,
): void {
  space.renewalResult = resultNumber(message.error);
  space.lastAttemptS = front.nowS;
  if (message.overwritten) space.corruptResult = space.renewalResult;
  const last = space.history.at(-1);
  if (last !== undefined) {
    if (message.error.code === 'AIO_TIMEOUT') last.nextTimeouts++;
    else last.nextErrors++;
  }
  log(front, message.overwritten ? 'error' : 'warn', 'renewal.failed', {
    lockspace: space.name,
    hostId: space.hostId,
    path: space.path,
    ...refusalFields(message),
    ageS: front.nowS - space.lastSuccessS,
  });
}

/** What the next renewals carry: the bits not older than the set-bit time, and the event. */
export function announce(front: Front, space: Lockspace): void {
  if (space.lease === null) return;
  takeBackOldBits(front, space);
  const message = {
    kind: 'announce',
    hostIds: [...space.bits.keys()],
    event: space.event,
  } as const;
  toLease(front, space.lease, message);
}

/** Ends the lease process of a lockspace that has been left, or never was joined. */
export function giveUp(front: Front, space: Lockspace): void {
  if (space.lease === null) return;
  const { lease } = space;
  letGo(front, space);
  space.state = 'removing';
  space.dead = true;
  front.failPending(lease, LOST);
  front.endLease(lease);
}

/**
 * The process is gone for good, and with it every write it had sent: only now may the host id be
 * joined again from here.
 */
export function leaseEnded(front: Front, lease: number): void {
  front.leaseProcesses.delete(lease);
  front.lingering.delete(lease);
  if (front.scratch === lease) front.scratch = null;
  const space = front.lockspaces.find((candidate) => candidate.lease === lease);
  if (space !== undefined) {
    recordProcessEnd(front, space);
    space.lease = null;
  }
  front.failPending(lease, LOST);
  if (space === undefined) resumedEnded(front, lease);
  else if (space.state === 'removing') forget(front, space);
}

/**
 * The channel broke unasked: no renewal will ever come; users are stopped when their time is up.
 */
export function leaseLost(front: Front, lease: number): void {
  const space = front.lockspaces.find((candidate) => candidate.lease === lease);
  if (space === undefined) {
    if (front.scratch === lease) front.scratch = null;
    front.failPending(lease, LOST);
    front.endLease(lease);
    return;
  }
  log(front, 'error', 'leaseProcess.lost', { lockspace: space.name, hostId: space.hostId });
  if (space.state === 'live') {
    space.failed = true; // first: whoever is answered now must not send it anything more
    front.failPending(lease, LOST);
    return;
  }
  giveUp(front, space);
}

function forget(front: Front, space: Lockspace): void {
  recordLeft(front, space);
  front.lockspaces = front.lockspaces.filter((other) => other !== space);
  front.resources = front.resources.filter((resource) => resource.lockspace !== space);
  closeChannels(front, space);
  const result = space.acquireResult < 0 ? space.acquireResult : ERROR_RESULT;
  answerAdd(space, space.acquireResult === SANLK_OK ? SANLOCK_CODES.ERROR : result);
  wakeAll(space.removeWaiters, (reply) => reply(0));
  // One that was never joined has not been left either.
  if (space.acquireResult !== SANLK_OK) return;
  log(front, 'info', 'lockspace.left', { lockspace: space.name, hostId: space.hostId });
}
