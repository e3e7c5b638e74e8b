import { assert, unreachable } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import { SECOND_MS } from '../base/units.ts';
import type { DeltaHold } from '../lease/delta-acquire.ts';
import { errnoError, leaseError } from '../lease/io.ts';
import type { LeaseError } from '../lease/lease-error.ts';
import { REFUSED_LANDS_MS } from '../lease/lease-times.ts';
import { HostTable } from './host-table.ts';
import {
  isPast,
  type Membership,
  type MembershipEffect,
  type MembershipEvent,
  type Moment,
  type OwnLease,
  type Phase,
} from './membership-state.ts';
import type { FromLeaseProcess, JoinRequest } from './messages.ts';

const RETRY_MS = 500;
/** How long leaving waits for the last writes, and how often it checks them. */
const LAST_WRITES_MS = 2000;
const CHECK_WRITES_MS = 50;

/** One event in, what to do out. */
export function stepMembership(
  m: Membership,
  event: MembershipEvent,
  now: Moment,
): readonly MembershipEffect[] {
  m.effects = [];
  // For good, and before a new time counts: what comes now comes too late.
  if (m.phase.kind === 'member' && isPast(m, now.bootMs)) m.phase = { kind: 'expired' };
  switch (event.kind) {
    case 'begun':
      m.effects.push({ kind: 'open' });
      break;
    case 'opened':
      opened(m);
      break;
    case 'notOpened': {
      // Lockspaces answer ENODEV for any reason (spec 20 §4); the true one is a fact beside it.
      const facts = { path: m.request.path, openErrno: event.errno };
      const error = errnoError(ERRNO.ENODEV, 'lockspace open', facts);
      joinFailed(m, joiningPhase(m, 'device'), { error, now });
      break;
    }
    case 'joined':
      joined(m, event.hold, now);
      break;
    case 'joinFailed':
      joinFailed(m, joiningPhase(m, 'procedure'), { error: event.error, now });
      break;
    case 'renewed':
    case 'renewalFailed':
      renewalEnded(m, event, now);
      break;
    case 'released': {
      const { phase } = m;
      assert(phase.kind === 'leaving' && phase.waitsFor === 'release', 'a release was under way');
      phase.isReleased = event.isDone;
      leaveWhenSure(m, now);
      break;
    }
    case 'woke':
      woke(m, now);
      break;
    case 'lagged':
      if (event.lagMs > m.times.lagWarnMs) send(m, { kind: 'lagged', lagMs: event.lagMs });
      break;
    case 'announce':
      m.announced = { hostIds: event.hostIds, event: event.event };
      break;
    case 'refuse':
      // A join under way ends; from there on only commands wait, and they ask for themselves.
      if (m.phase.kind === 'joining') m.phase.isAborted = true;
      break;
    case 'leave':
      leave(m, event.release, now);
      break;
    default:
      unreachable(event);
  }
  return m.effects;
}

function send(m: Membership, message: FromLeaseProcess): void {
  m.effects.push({ kind: 'send', message });
}

function opened(m: Membership): void {
  const phase = joiningPhase(m, 'device');
  if (phase.kind === 'joining') phase.waitsFor = 'procedure';
  else phase.waitsFor = 'join'; // it ends by itself, as it is aborted
  m.effects.push({ kind: 'join' });
}

/** The join may have been aborted meanwhile, and still be under way. */
function joiningPhase(
  { phase }: Membership,
  at: 'device' | 'procedure',
): Extract<Phase, { kind: 'joining' | 'leaving' }> {
  const inLeaving = at === 'procedure' ? 'join' : at;
  assert(
    (phase.kind === 'joining' && phase.waitsFor === at) ||
      (phase.kind === 'leaving' && phase.waitsFor === inLeaving),
    'what a join waits for comes once',
  );
  return phase;
}

/**
 * A claim that was refused may land over that of the next membership, and bring back a generation.
 * One that is resumed expects that, and has no time to lose.
 */
function joinFailed(
  m: Membership,
  phase: Extract<Phase, { kind: 'joining' | 'leaving' }>,
  { error, now }: { readonly error: LeaseError; readonly now: Moment },
): void {
  const isNew = m.request.resume === undefined;
  if (isNew && now.refusedUntilMs !== null) {
    sendUnsure(m, now);
    if (phase.kind === 'joining') phase.error = error;
    phase.waitsFor = 'refused';
    m.effects.push({ kind: 'wake', afterMs: now.refusedUntilMs - now.nowMs });
    return;
  }
  m.phase = { kind: 'left' };
  if (phase.kind === 'joining') send(m, { kind: 'joinFailed', error });
  else send(m, { kind: 'left', released: false });
}

function joined(m: Membership, hold: DeltaHold, now: Moment): void {
  const { request, times } = m;
  const phase = joiningPhase(m, 'procedure');
  const { geometry, leader } = hold;
  const timestampS = Number(leader.timestampS);
  const claimedBootMs = claimOf(request, timestampS, phase.bootOffsetMs);
  const isResumed = request.resume !== undefined;
  // Resumed, but suspended for too long since: others may have its leases already.
  if (isResumed && now.bootMs - claimedBootMs >= times.renewalFailMs) {
    const facts = { timestampS, ageMs: Math.round(now.bootMs - claimedBootMs) };
    const error = leaseError('HOSTID_BUSY', 'resume, too late', facts);
    joinFailed(m, phase, { error, now });
    return;
  }
  m.own = {
    hold,
    hosts: new HostTable({
      geometry,
      lockspaceName: request.lockspaceName,
      ownHostId: request.hostId,
    }),
    lastSuccessMs: timestampS * SECOND_MS,
    claimedBootMs,
    lastRenewal: 'good',
    // A renewal that the process before us was refused may land now, over ours (reliability.md).
    looseUntilMs: isResumed ? now.nowMs + REFUSED_LANDS_MS : 0,
    renewal: null,
  };
  if (phase.kind === 'leaving') {
    release(m, now);
    return;
  }
  m.phase = { kind: 'member' };
  const { sectorSize, areaBytes, maxHosts } = geometry;
  const generation = leader.ownerGeneration;
  const sizes = { sectorSize, areaBytes, maxHosts };
  send(m, { kind: 'joined', generation, timestampS, claimedBootMs, ...sizes });
  m.effects.push({ kind: 'watchLag' });
  // At once, not after 2·t: the first view of the other hosts answers first conflicts sooner.
  m.effects.push({ kind: 'wake', afterMs: 0 });
}

/**
 * A resumed membership's record may be of a renewal later than the last one known, made at an
 * unknown boot time: of the time between the two it counts what passed awake.
 */
function claimOf({ resume }: JoinRequest, timestampS: number, bootOffsetMs: number): number {
  if (resume === undefined) return timestampS * SECOND_MS + bootOffsetMs;
  return resume.claimedBootMs + (timestampS - resume.timestampS) * SECOND_MS;
}

function woke(m: Membership, now: Moment): void {
  const { phase } = m;
  switch (phase.kind) {
    case 'joining':
      if (phase.error !== null) joinFailed(m, phase, { error: phase.error, now });
      return;
    case 'member':
      renew(m, now);
      return;
    case 'leaving':
      if (phase.waitsFor === 'writes') release(m, now);
      else if (phase.waitsFor === 'refused') leaveWhenSure(m, now);
      return;
    case 'expired': // too late: a renewal now would revive what is being given up
    case 'overwritten': // it would take the host id from the host that has it
    case 'left': // set before the end
      return;
    default:
      unreachable(phase);
  }
}

function renew(m: Membership, now: Moment): void {
  const { own, times, request, announced } = m;
  if (own === null || own.renewal !== null) return;
  own.renewal = { startedMs: now.nowMs, bootOffsetMs: now.bootMs - now.nowMs };
  m.effects.push({
    kind: 'renew',
    hold: own.hold,
    hosts: own.hosts,
    lastWriteLanded: own.lastRenewal !== 'unanswered' && now.nowMs >= own.looseUntilMs,
    readTimeoutMs: times.ioTimeoutMs + request.renewalReadExtendMs,
    hostIds: announced.hostIds,
    event: announced.event,
  });
}

type RenewalEnd = Extract<MembershipEvent, { kind: 'renewed' | 'renewalFailed' }>;

function renewalEnded(m: Membership, event: RenewalEnd, now: Moment): void {
  const { own } = m;
  const renewal = own?.renewal ?? null;
  assert(own !== null && renewal !== null, 'a renewal was under way');
  own.renewal = null;
  const { seen, readMs } = event;
  // Also where the renewal failed after it: other hosts were seen.
  if (seen !== null) {
    const sentS = Math.floor(renewal.startedMs / SECOND_MS);
    const checkedS = Math.floor(readMs / SECOND_MS);
    const { changed, signals } = seen;
    send(m, { kind: 'hosts', sentS, checkedS, changed, signals });
  }
  if (event.kind === 'renewed') renewed(m, own, { event, renewal, now });
  else renewalFailed(m, own, event);
  if (m.phase.kind === 'leaving') release(m, now);
  else if (m.phase.kind === 'member')
    m.effects.push({ kind: 'wake', afterMs: renewalDue(m, own, now) });
}

function renewed(
  m: Membership,
  own: OwnLease,
  of: {
    readonly event: Extract<MembershipEvent, { kind: 'renewed' }>;
    readonly renewal: NonNullable<OwnLease['renewal']>;
    readonly now: Moment;
  },
): void {
  const { event, renewal, now } = of;
  const { hold, timestampS, readMs } = event;
  // Too late, it must not revive the watchdog: users are already being stopped.
  if (m.phase.kind !== 'member' && !(m.phase.kind === 'leaving' && !isPast(m, now.bootMs))) return;
  if (own.lastRenewal === 'unanswered') own.looseUntilMs = now.nowMs + REFUSED_LANDS_MS;
  own.lastRenewal = 'good';
  own.hold = hold;
  own.lastSuccessMs = timestampS * SECOND_MS;
  own.claimedBootMs = own.lastSuccessMs + renewal.bootOffsetMs;
  const { claimedBootMs } = own;
  const took = { readMs: readMs - renewal.startedMs, writeMs: now.nowMs - readMs };
  send(m, { kind: 'renewed', timestampS, claimedBootMs, ...took });
}

function renewalFailed(
  m: Membership,
  own: OwnLease,
  { step, error }: Extract<MembershipEvent, { kind: 'renewalFailed' }>,
): void {
  if (step === 'write') own.lastRenewal = 'unanswered';
  else if (own.lastRenewal === 'good') own.lastRenewal = 'failed';
  const overwritten = step === 'check';
  send(m, { kind: 'renewalFailed', error, overwritten });
  if (!overwritten) return;
  if (m.phase.kind === 'leaving') m.phase.isReleasing = false;
  else m.phase = { kind: 'overwritten' };
}

function renewalDue({ times }: Membership, own: OwnLease, now: Moment): number {
  if (own.lastRenewal !== 'good') return RETRY_MS;
  return Math.max(RETRY_MS, own.lastSuccessMs + times.renewalIntervalMs - now.nowMs);
}

function leave(m: Membership, isAsked: boolean, now: Moment): void {
  const { phase, own } = m;
  switch (phase.kind) {
    case 'joining': {
      const waitsFor = phase.waitsFor === 'procedure' ? 'join' : phase.waitsFor;
      beginLeaving(m, { waitsFor, bootOffsetMs: phase.bootOffsetMs, isReleasing: isAsked, now });
      return;
    }
    case 'member':
    case 'expired':
    case 'overwritten': {
      const isReleasing = isAsked && phase.kind === 'member';
      const waitsFor = own?.renewal === null ? 'writes' : 'renewal';
      beginLeaving(m, { waitsFor, bootOffsetMs: 0, isReleasing, now });
      if (waitsFor === 'writes') release(m, now);
      return;
    }
    case 'leaving': // again: only what is safer than the first time counts
      if (phase.waitsFor !== 'release') phase.isReleasing &&= isAsked;
      return;
    case 'left': // the answer is on its way
      return;
    default:
      unreachable(phase);
  }
}

function beginLeaving(
  m: Membership,
  of: Pick<Extract<Phase, { kind: 'leaving' }>, 'waitsFor' | 'bootOffsetMs' | 'isReleasing'> & {
    readonly now: Moment;
  },
): void {
  const { waitsFor, bootOffsetMs, isReleasing, now } = of;
  const writesUntilMs = now.nowMs + LAST_WRITES_MS;
  const at = { waitsFor, bootOffsetMs, isReleasing, writesUntilMs };
  m.phase = { kind: 'leaving', ...at, isReleased: false };
  sendUnsure(m, now); // now: writes under way may take longer than the front waits
}

/**
 * The host id is released only while our claim is good and the last renewal succeeded, and when no
 * write of ours can land any more: it would meet the next one to have the host id, in our block, or
 * a host that shares again what it had when we took it for dead (spec 10 §18.2).
 */
function release(m: Membership, now: Moment): void {
  const { phase, own } = m;
  assert(phase.kind === 'leaving' && own !== null, 'a membership that had begun ends');
  const isGood = phase.isReleasing && own.lastRenewal === 'good' && !isPast(m, now.bootMs);
  if (!isGood || (now.isWriting && now.nowMs >= phase.writesUntilMs)) {
    leaveWhenSure(m, now);
  } else if (now.isWriting) {
    phase.waitsFor = 'writes';
    m.effects.push({ kind: 'wake', afterMs: CHECK_WRITES_MS });
  } else {
    phase.waitsFor = 'release';
    m.effects.push({ kind: 'release', hold: own.hold });
  }
}

/**
 * A refused write that lands over the next membership's records frees what that one holds, or goes
 * back to an old ballot. This host has not left before every refused write is sure to be over, and
 * until then the front does not join again from here (spec 10 §18.2).
 */
function leaveWhenSure(m: Membership, now: Moment): void {
  const { phase } = m;
  assert(phase.kind === 'leaving', 'only who leaves waits for the end');
  if (now.refusedUntilMs !== null) {
    sendUnsure(m, now);
    phase.waitsFor = 'refused';
    m.effects.push({ kind: 'wake', afterMs: now.refusedUntilMs - now.nowMs });
    return;
  }
  m.phase = { kind: 'left' };
  m.effects.push({ kind: 'rest' });
  send(m, { kind: 'left', released: phase.isReleased });
}

function sendUnsure(m: Membership, { refusedUntilMs }: Moment): void {
  if (refusedUntilMs !== null) send(m, { kind: 'leaveUnsure', untilMs: refusedUntilMs });
}
