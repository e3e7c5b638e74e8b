import { assert, unreachable } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import type { FromLeaseProcess } from '../lease-process/messages.ts';
import { REM_FLAGS } from '../wire/sanlock/socket.ts';
import { log, toLease } from './effects.ts';
import type { Front } from './front.ts';
import { handOver } from './handing-over.ts';
import { recordResumption, recordSurvivorReleased } from './holder-journal.ts';
import { LEASE_HOLDER } from './holder-lines.ts';
import { rewrite } from './journal-writer.ts';
import { keptFields } from './kept-leases.ts';
import type { Joined } from './lockspace-events.ts';
import { remember } from './lost-lockspaces.ts';
import { clashes, named } from './named-lockspace.ts';
import { takeJoin, takeRenewal } from './renewals.ts';
import { resultNumber } from './result-number.ts';
import { resumeMembership, startProcess } from './resuming-process.ts';
import type { Reply } from './state.ts';
import {
  isUndecided,
  processOf,
  type SurvivorEffect,
  type SurvivorEvent,
  stepSurvivor,
} from './survivor-step.ts';
import {
  hasPersistent,
  isAlive,
  isKeptInVain,
  pidsText,
  resourcesText,
  type Survivor,
  userPids,
} from './survivors.ts';
import { isExpired, isLate } from './survivors-stop.ts';
import {
  checkWatchdog,
  closeWatchdog,
  resumeWatchdog,
  type WatchdogEvent,
  type WatchdogVerdict,
  watchdogEvent,
} from './watchdog.ts';

/** At start, once a second, and when a process of the earlier daemon has ended. */
export function resumeSurvivors(front: Front): void {
  for (const survivor of [...front.survivors]) {
    const { lockspace } = survivor;
    if (lockspace !== null) obey(front, survivor, checkWatchdog(front, lockspace));
    // Where lines of the journal are lost, a process that nobody knows of may use its leases.
    const isUnused = !front.journalState.holdersUnknown && isKeptInVain(survivor);
    advance(front, survivor, { kind: isUnused ? 'releaseAsked' : 'tick' });
  }
}

/** @returns false: the lockspace is none of an earlier daemon */
export function resumedWatchdogSent(front: Front, id: number, event: WatchdogEvent): boolean {
  const survivor = front.survivors.find((candidate) => candidate.id === id);
  if (survivor === undefined) return false;
  const { lockspace } = survivor;
  if (lockspace !== null) obey(front, survivor, watchdogEvent(front, lockspace, event));
  return true;
}

/** A message of a lease process that serves no lockspace of this daemon. */
export function resumedSent(front: Front, lease: number, message: FromLeaseProcess): void {
  const survivor = survivorOf(front, lease);
  if (survivor === null) return; // the process was given up meanwhile
  switch (message.kind) {
    case 'joined':
      advance(front, survivor, { kind: 'joined', message });
      return;
    case 'renewed':
      advance(front, survivor, { kind: 'renewed', message });
      return;
    case 'joinFailed':
    case 'renewalFailed':
      advance(front, survivor, message);
      return;
    case 'left':
      advance(front, survivor, { kind: 'left' });
      return;
    case 'hosts': // each is reported once: when it is handed over they must be known
      for (const host of message.changed) survivor.lockspace?.hosts.set(host.hostId, host);
      return;
    case 'lagged': // it grants nothing
    case 'leaveUnsure':
    case 'ran': // it was given no command
    case 'finished':
      return;
    default:
      unreachable(message);
  }
}

/** The process is gone for good. */
export function resumedEnded(front: Front, lease: number): void {
  const survivor = survivorOf(front, lease);
  if (survivor !== null) advance(front, survivor, { kind: 'processEnded' });
}

/**
 * An administrator, or the process that held the persistent leases (`asker`), says that nothing
 * here uses them any more.
 */
export function releaseSurvivor(
  front: Front,
  survivor: Survivor,
  how: { readonly cmdFlags: number; readonly asker: number; readonly reply: Reply },
): void {
  const pids = userPids(survivor, how.asker);
  if (pids.length > 0) {
    const fields = { lockspace: survivor.space.name, pids: pids.join(' ') };
    log(front, 'warn', 'lockspace.stillHeld', fields);
  }
  if (how.cmdFlags & REM_FLAGS.UNUSED || pids.length > 0) {
    how.reply(-ERRNO.EBUSY);
    return;
  }
  if (survivor.phase.kind === 'leaving') {
    how.reply(-ERRNO.EINPROGRESS);
    return;
  }
  if (how.cmdFlags & REM_FLAGS.ASYNC) how.reply(0);
  else survivor.waiters.push(how.reply);
  advance(front, survivor, { kind: 'releaseAsked' });
}

function survivorOf(front: Front, lease: number): Survivor | null {
  return front.survivors.find(({ phase }) => processOf(phase) === lease) ?? null;
}

function obey(front: Front, survivor: Survivor, verdict: WatchdogVerdict): void {
  if (verdict === 'armed' || verdict === 'watchdogFailed') {
    advance(front, survivor, { kind: verdict });
  }
}

function advance(front: Front, survivor: Survivor, event: SurvivorEvent): void {
  const { phase } = survivor;
  const step = stepSurvivor(phase, event, {
    nowMs: front.nowMs,
    isExpired: isExpired(front, survivor),
    isLate: isLate(front, survivor),
    hasPredecessor: processOf(phase) === null && hasPredecessor(front, survivor),
    isWhole: survivor.inherited.isWhole,
  });
  survivor.phase = step.phase; // first: an effect that is answered at once finds it
  for (const effect of step.effects) apply(front, survivor, effect);
}

/** In a damaged journal another membership may be in its place: its process counts as well. */
function hasPredecessor(front: Front, { holders, space }: Survivor): boolean {
  if (holders.has(LEASE_HOLDER)) return true;
  const place = named(space);
  return front.survivors.some((one) => one.holders.has(LEASE_HOLDER) && clashes(one.space, place));
}

function apply(front: Front, survivor: Survivor, effect: SurvivorEffect): void {
  const { lockspace: space } = survivor;
  switch (effect.kind) {
    case 'startProcess':
      startProcess(front, survivor, (lease) => {
        const isRecorded = recordResumption(front, survivor, lease);
        advance(front, survivor, { kind: 'started', lease, isRecorded });
      });
      return;
    case 'join':
      resumeMembership(front, survivor, effect.lease);
      return;
    case 'leave':
      toLease(front, effect.lease, { kind: 'leave', release: true });
      return;
    case 'endProcess':
      front.endLease(effect.lease);
      return;
    case 'endPredecessor':
      endPredecessor(front, survivor);
      return;
    case 'takeJoin':
      resumed(front, survivor, effect.message);
      return;
    case 'takeRenewal':
      if (space !== null) takeRenewal(front, space, effect.message);
      copyClaim(survivor);
      return;
    case 'armWatchdog':
      assert(space !== null, 'wdmd is asked for a membership that is renewed');
      obey(front, survivor, resumeWatchdog(front, space, survivor.oldExpireS));
      return;
    case 'closeWatchdog':
      if (space !== null) closeWatchdog(front, space);
      return;
    case 'handOver':
      handOver(front, survivor);
      forgetLeaseEnds(front);
      return;
    case 'recordEnd':
      processEnded(front, survivor);
      return;
    case 'released':
      released(front, survivor);
      return;
    case 'logResumed':
    case 'logNotResumed':
    case 'logRenewalFailed':
      logProgress(front, survivor, effect);
      return;
    case 'over':
      over(front, survivor, effect);
      return;
    default:
      unreachable(effect);
  }
}

/** Once: the kernel may take its time. */
function endPredecessor(front: Front, survivor: Survivor): void {
  const bound = survivor.holders.get(LEASE_HOLDER)?.client.process ?? null;
  if (survivor.predecessorKilled || bound === null) return; // null: it is another survivor's
  survivor.predecessorKilled = true;
  front.effects.push({ kind: 'signal', process: bound, signal: 'SIGKILL' });
  const { name: lockspace, hostId } = survivor.space;
  log(front, 'warn', 'leaseProcess.outlives', { lockspace, hostId, pid: bound.pid });
}

function logProgress(
  front: Front,
  { space, phase }: Survivor,
  effect: Extract<SurvivorEffect, { kind: `log${string}` }>,
): void {
  const { name: lockspace, hostId } = space;
  switch (effect.kind) {
    case 'logResumed': {
      const { generation } = effect;
      const level = phase.kind === 'keeping' ? 'warn' : 'info';
      log(front, level, 'membership.resumed', { lockspace, hostId, generation });
      return;
    }
    case 'logNotResumed': {
      const { error } = effect;
      const fields = { lockspace, hostId, result: resultNumber(error), during: error.during };
      log(front, 'warn', 'membership.notResumed', fields);
      return;
    }
    case 'logRenewalFailed': {
      const fields = { lockspace, hostId, result: resultNumber(effect.error) };
      log(front, 'warn', 'renewal.failed', fields);
      return;
    }
    default:
      unreachable(effect);
  }
}

function resumed(front: Front, survivor: Survivor, message: Joined): void {
  const { lockspace } = survivor;
  assert(lockspace !== null, 'a process was started for it');
  const isSame = message.generation === BigInt(survivor.generation);
  assert(isSame, 'a membership is resumed with its generation');
  takeJoin(front, lockspace, message);
  copyClaim(survivor);
}

/** The journal is written anew by the survivor. */
function copyClaim(survivor: Survivor): void {
  if (survivor.lockspace === null) return;
  survivor.lastSuccessS = survivor.lockspace.lastSuccessS;
  survivor.claimedBootMs = survivor.lockspace.claimedBootMs;
}

/** It stays in the journal: a later daemon has to know whose end record to ask for. */
function processEnded(front: Front, survivor: Survivor): void {
  const ended = survivor.holders.get(LEASE_HOLDER);
  if (ended === undefined) return;
  survivor.holders.delete(LEASE_HOLDER);
  survivor.lastProcess = ended.facts;
  survivor.processEndedMs = front.nowMs;
  forgetEmpty(front);
}

/** Those of which nothing is left. */
export function forgetEmpty(front: Front): void {
  const gone = front.survivors.filter((survivor) => !isAlive(survivor));
  if (gone.length === 0) return;
  front.survivors = front.survivors.filter(isAlive);
  for (const { id, space, inherited } of gone) {
    if (inherited.isLost && !front.ending) {
      const { usedByOrphans } = inherited;
      remember(front, space, { id, isSettled: false, usedByOrphans });
    }
  }
  rewrite(front);
  forgetLeaseEnds(front);
}

/** Nothing is resumed any more, so nobody will ask how an earlier lease process ended. */
function forgetLeaseEnds(front: Front): void {
  if (front.survivors.some(({ phase }) => isUndecided(phase))) return;
  front.effects.push({ kind: 'forgetLeaseEnds' });
}

function over(
  front: Front,
  survivor: Survivor,
  { isTooLate, reason }: Extract<SurvivorEffect, { kind: 'over' }>,
): void {
  const { inherited } = survivor;
  inherited.isLost = isTooLate && inherited.isWhole && !inherited.removal;
  const { name: lockspace, hostId } = survivor.space;
  const fields = { lockspace, hostId, reason, pids: pidsText(survivor) };
  log(front, 'error', 'membership.lost', fields);
  if (hasPersistent(survivor)) {
    log(front, 'error', 'leases.unprotected', { ...keptFields(survivor), reason });
  }
  forgetEmpty(front);
}

function released(front: Front, survivor: Survivor): void {
  const mayWrite = survivor.holders.has(LEASE_HOLDER);
  assert(!mayWrite, 'leases are released when no process can write any more');
  const fields = { lockspace: survivor.space.name, resources: resourcesText(survivor) };
  log(front, 'info', 'leases.released', fields);
  recordSurvivorReleased(front, survivor);
  for (const reply of survivor.waiters.splice(0)) reply(0);
}
