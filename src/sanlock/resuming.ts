import { assert, unreachable } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import type { FromLeaseProcess } from '../lease-process/messages.ts';
import { REM_FLAGS } from '../wire/sanlock/socket.ts';
import { log, toLease } from './effects.ts';
import type { Front } from './front.ts';
import {
  recordProcessEnd,
  recordRenewal,
  recordResumption,
  recordSurvivorReleased,
} from './holder-journal.ts';
import { LEASE_HOLDER } from './holder-lines.ts';
import { joinRequest } from './join-request.ts';
import { keptFields } from './kept-leases.ts';
import { resultNumber } from './result-number.ts';
import type { Reply } from './state.ts';
import {
  processOf,
  type SurvivorEffect,
  type SurvivorEvent,
  stepSurvivor,
} from './survivor-step.ts';
import { resourcesText, type Survivor, userPids } from './survivors.ts';
import { isExpired } from './survivors-stop.ts';

/** At start, once a second, and when a process of the earlier daemon has ended. */
export function resumeSurvivors(front: Front): void {
  for (const survivor of [...front.survivors]) {
    if (survivor.leases.size > 0) advance(front, survivor, { kind: 'tick' });
  }
}

/** A message of a lease process that serves no lockspace of this daemon. */
export function resumedSent(front: Front, lease: number, message: FromLeaseProcess): void {
  const survivor = survivorOf(front, lease);
  if (survivor === null) return; // the process was given up meanwhile
  switch (message.kind) {
    case 'joined':
    case 'joinFailed':
    case 'renewed':
    case 'renewalFailed':
      advance(front, survivor, message);
      return;
    case 'left':
      advance(front, survivor, { kind: 'left' });
      return;
    case 'hosts': // nothing is granted: the state of other hosts does not matter
    case 'lagged':
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

function advance(front: Front, survivor: Survivor, event: SurvivorEvent): void {
  const { phase, holders } = survivor;
  const hasPredecessor = processOf(phase) === null && holders.has(LEASE_HOLDER);
  const at = { nowMs: front.nowMs, isExpired: isExpired(front, survivor), hasPredecessor };
  const step = stepSurvivor(phase, event, at);
  survivor.phase = step.phase; // first: an effect that is answered at once finds it
  for (const effect of step.effects) apply(front, survivor, effect);
}

function apply(front: Front, survivor: Survivor, effect: SurvivorEffect): void {
  const { name: lockspace, hostId } = survivor.space;
  switch (effect.kind) {
    case 'startProcess':
      startProcess(front, survivor);
      return;
    case 'join':
      join(front, survivor, effect.lease);
      return;
    case 'leave':
      toLease(front, effect.lease, { kind: 'leave', release: true });
      return;
    case 'endProcess':
      front.endLease(effect.lease);
      return;
    case 'claim':
      claim(front, survivor, effect);
      return;
    case 'recordEnd':
      survivor.holders.delete(LEASE_HOLDER);
      recordProcessEnd(front, survivor);
      return;
    case 'released':
      released(front, survivor);
      return;
    case 'logResumed': {
      const { resources, advice } = keptFields(survivor);
      const fields = { lockspace, hostId, generation: effect.generation, resources, advice };
      log(front, 'warn', 'membership.resumed', fields);
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
    case 'logUnprotected':
      log(front, 'error', 'leases.unprotected', {
        ...keptFields(survivor),
        reason: effect.reason,
      });
      return;
    default:
      unreachable(effect);
  }
}

function startProcess(front: Front, survivor: Survivor): void {
  const mayWrite = survivor.holders.has(LEASE_HOLDER);
  assert(!mayWrite, 'a process starts when its predecessor cannot write any more');
  const lease = front.startLease(survivor.space.name, () => {
    const isRecorded = recordResumption(front, survivor, lease);
    advance(front, survivor, { kind: 'started', lease, isRecorded });
  });
}

function join(front: Front, survivor: Survivor, lease: number): void {
  const { space, lastSuccessS: timestampS, claimedBootMs, generation } = survivor;
  // It grants nothing, and writes no more than the host lease: its end is not waited for.
  const resume = {
    generation: BigInt(generation),
    timestampS,
    claimedBootMs,
    refusedUntilMs: null,
  };
  const request = joinRequest(front.settings, space, space.hostName);
  toLease(front, lease, { kind: 'join', ...request, resume });
}

function claim(
  front: Front,
  survivor: Survivor,
  effect: Extract<SurvivorEffect, { kind: 'claim' }>,
): void {
  const { timestampS, claimedBootMs } = effect.claim;
  // A join may find an older record than the last one known: a refused write that landed late.
  const isNewer = timestampS >= survivor.lastSuccessS;
  assert(isNewer || !effect.recorded, 'renewals carry growing timestamps');
  survivor.lastSuccessS = timestampS;
  survivor.claimedBootMs = claimedBootMs;
  if (effect.recorded) recordRenewal(front, survivor);
}

function released(front: Front, survivor: Survivor): void {
  const mayWrite = survivor.holders.has(LEASE_HOLDER);
  assert(!mayWrite, 'leases are released when no process can write any more');
  const fields = { lockspace: survivor.space.name, resources: resourcesText(survivor) };
  log(front, 'info', 'leases.released', fields);
  recordSurvivorReleased(front, survivor);
  for (const reply of survivor.waiters.splice(0)) reply(0);
}
