import type { ByteString } from '../../../base/bytes.ts';
import { ERRNO } from '../../../base/errno.ts';
import { LD_RESULT } from '../../../wire/lvmlockd/numbers.ts';
import { register, removeLockspace, status } from '../../../wire/sanlock/daemon-calls.ts';
import { release } from '../../../wire/sanlock/lease-calls.ts';
import { both, type HeldLock, type LeaveHow, type LeaveOutcome, OK } from '../manager.ts';
import { type ManagerSteps, sleep } from '../steps.ts';
import { ask, closeSession, openSession, type SanlockResult } from './ask.ts';
import { otherHosts } from './hosts.ts';
import { areaAt, NO_LV_NAMES, UNUSED_NAME } from './layout.ts';
import { releaseRemoved, unlockLease } from './lease-lock.ts';
import type { OpenSpace } from './open-space.ts';
import { areaOutcome, codeOf, isAnswered, isInterrupted } from './results.ts';
import { leasesIn } from './status.ts';
import { writeHostLeases } from './vg-leases.ts';

/** Leaving a VG's lockspace (spec 31 §3). */

const REMOVE_POLL_MS = 250;
const REMOVE_POLLS = 20; //  for leases that sanlock is still writing free

export function* leaveSpace(space: OpenSpace, how: LeaveHow): ManagerSteps<LeaveOutcome> {
  const { site, hostId, session, times } = space;
  // lvm asked before; a host that has joined since then would lose its host lease.
  const others = how.removeVg ? yield* otherHosts(site, hostId, times) : OK;
  const isRemoved = how.removeVg && others.result === 0;
  for (const held of how.held) {
    if (isRemoved && held.resource.scope !== 'lv') yield* releaseRemoved(space, held);
    else yield* unlockLease(space, held);
  }
  const released = yield* ask(release([], { all: true }), times.diskMs, session);
  if (isInterrupted(released)) yield* releaseByName(space, how);
  if (others.result !== 0) return { ...both(others.result), confirmed: false };
  const removed = yield* removeSpace(space, !how.dropAll);
  if (removed.result !== 0) return removed;
  if (isRemoved) yield* writeHostLeases(site, times, UNUSED_NAME);
  yield* closeSession(session);
  return removed;
}

/**
 * The session is lost: to sanlock this process still holds what the session held. Each lease is
 * released over a new session, which names it. A sanlock that kept nothing refuses that. An orphan
 * that lvmlockd does not hold may be of an active LV, and keeps the lockspace from being left.
 */
function* releaseByName(space: OpenSpace, { held, dropAll }: LeaveHow): ManagerSteps<void> {
  const { site, session, times } = space;
  const found = yield* ask(status(), times.quickMs);
  const leases = found.ok ? leasesIn(found.value) : [];
  const ours = leases.filter(({ resource }) => resource.lockspaceName === site.spaceName);
  if (ours.length === 0) return;
  yield* closeSession(session);
  const opened = yield* openSession(session, register(), times.quickMs);
  if (!opened.ok) return;
  for (const { resource, list } of ours) {
    const orphan = list === 'orphan';
    const isOurs = NO_LV_NAMES.has(resource.name) || held.some(isNamed(resource.name));
    if (orphan && !dropAll && !isOurs) continue;
    yield* ask(release([resource], { orphan }), times.diskMs, session);
  }
}

function isNamed(name: ByteString) {
  return (lock: HeldLock) => lock.resource.name === name;
}

/**
 * Orphans would keep sanlock from ever finishing, so it is asked to leave only when unused;
 * a lease that is still being written free gets some time first.
 */
export function* removeSpace(space: OpenSpace, onlyUnused: boolean): ManagerSteps<LeaveOutcome> {
  const { site, hostId, times } = space;
  const { leaveMs, quickMs } = times;
  const area = areaAt(site, hostId);
  for (let poll = 0; onlyUnused && poll < REMOVE_POLLS; poll++) {
    const answer = yield* ask(removeLockspace(area, { onlyUnused: true }), leaveMs);
    if (codeOf(answer) !== -ERRNO.EBUSY) return removedOutcome(answer, false);
    const found = yield* ask(status(), quickMs);
    const leases = found.ok ? leasesIn(found.value) : [];
    const ours = leases.filter(({ resource }) => resource.lockspaceName === site.spaceName);
    if (ours.some(({ list }) => list === 'orphan')) {
      return { ...both(LD_RESULT.BUSY), confirmed: false };
    }
    yield* sleep(REMOVE_POLL_MS);
  }
  let answer = yield* ask(removeLockspace(area), leaveMs);
  // It is on its way out already, by the order of somebody else or because it was lost.
  for (let poll = 0; isUnderWay(answer) && poll < REMOVE_POLLS; poll++) {
    yield* sleep(REMOVE_POLL_MS);
    answer = yield* ask(removeLockspace(area), leaveMs);
  }
  return removedOutcome(answer, !onlyUnused);
}

function isUnderWay(answer: SanlockResult<number>): boolean {
  return codeOf(answer) === -ERRNO.EINPROGRESS;
}

/** -2: sanlock has removed it already. Without a daemon there is no membership to leave. */
function removedOutcome(answer: SanlockResult<number>, mustLeave: boolean): LeaveOutcome {
  const code = codeOf(answer);
  const confirmed = answer.ok || code === -ERRNO.ENOENT;
  const isLate = code === -ERRNO.ETIMEDOUT && !mustLeave;
  if (isLate) return { ...both(LD_RESULT.BUSY), confirmed: false };
  if (confirmed || !isAnswered(answer)) {
    return { ...OK, confirmed: confirmed && isAnswered(answer) };
  }
  return { ...areaOutcome(answer), confirmed: false };
}
