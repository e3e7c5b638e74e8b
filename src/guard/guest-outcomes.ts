import { assert, unreachable } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import { SECOND_MS } from '../base/units.ts';
import type { Demand, GuestEffect, GuestState, Outcome, Verdict, Work } from './guest-state.ts';
import { isElsewhere, isHeld } from './lease-codes.ts';
import type { Holdings } from './lease-steps.ts';

/** Until the other host has let go: seldom more than the end of a QEMU. */
const AGAIN_MS = 500;
/** Of a lease that belongs to another, or while sanlock cannot be asked. */
const LATER_MS = 5 * SECOND_MS;
/** While the host that the guest came from, or did not come to, is about to let go. */
const LETTING_GO_AGAIN_MS = SECOND_MS;
/**
 * How long that host may take, when the guest runs here. It has also what was plugged in just
 * before a migration that failed, and is nobody's to lend then. libvirt sends its QEMU SIGTERM,
 * after 10 s SIGKILL, and gives it up after 30 s more; then its hook waits 15 s at most for the
 * release.
 */
const LETTING_GO_MS = 60 * SECOND_MS;

/** Of a start that libvirt has given up without a word, or of a libvirtd that was killed in it. */
export const UNSEEN_MS = 600 * SECOND_MS;

/** With the time that a guest takes to end, long before another host may have the lease. */
const SURELY_LOST_MS = 5 * SECOND_MS;
/** Of a loss action that came to nothing: longer than it takes. */
const LOST_AGAIN_MS = 30 * SECOND_MS;

/** How long the keeper after one that ended at once is waited for: doubled each time. */
const LEAST_REST_MS = 500;
/** The loss of a lockspace is seen by what the next keeper is refused. */
const MOST_REST_MS = 20 * SECOND_MS;

/** One event of a guest. */
export interface Turn {
  readonly out: GuestEffect[];
  readonly nowMs: number;
}

/** What sanlock made of the work. */
export function worked(state: GuestState, outcome: Outcome, turn: Turn): void {
  const { work } = state;
  assert(work !== null, 'an outcome is of work that was begun');
  state.work = null;
  if (work.kind === 'void') orphaned(state, outcome);
  else if (outcome.kind === 'took') granted(state, { work, holdings: outcome.holdings }, turn);
  else if (outcome.kind === 'refused') refused(state, { work, ...outcome }, turn);
  else if (outcome.kind === 'converted') wasConverted(state, { work, ...outcome }, turn);
  else if (outcome.kind === 'surveyed') wasSurveyed(state, outcome, turn);
  else wasReleased(state, outcome, turn);
}

function wasSurveyed(
  state: GuestState,
  { code, held, orphans, byOthers, isRegistered, isGone }: Extract<Outcome, { kind: 'surveyed' }>,
  { out, nowMs }: Turn,
): void {
  const isUntold = isGone && state.keeper === 'there' && !isRegistered;
  // A sanlock that does not know the keeper either may not have begun to join the lockspace.
  if ((code !== 0 || isUntold) && !goesOnWithout(state)) {
    state.againAtMs = nowMs + AGAIN_MS;
    return;
  }
  if (isGone && isLoss(state, { out, nowMs })) {
    state.againAtMs = nowMs + SECOND_MS;
    return;
  }
  state.goneSinceMs = null;
  state.lossBegunMs = null;
  // By another life of this host: it has them again now, or never. What other guests of this host
  // share is no orphan.
  const lost = [...state.orphans.keys()].filter((name) => {
    return !held.has(name) && !orphans.has(name) && !byOthers.has(name);
  });
  if (goesOnOrphaned(state)) state.unprotected = new Set(lost);
  state.isSurveyed = true;
  state.holdings = held;
  state.orphans = orphans;
  if (code === 0 && state.keeper === 'there' && !isRegistered) {
    state.keeper = 'none';
    out.push({ kind: 'dropKeeper' });
  }
  restsUnprotected(state);
}

/**
 * Whether it may run while nobody holds its leases. Of a keeper that is held responsible, sanlock
 * would have ended the guest; nobody did that for one of orphans.
 */
function goesOnOrphaned(state: GuestState): boolean {
  const { demand, holdings, isOver, orphans, status, unprotected } = state;
  const mayRun = status?.isRunning !== false && demand === null && !isOver;
  if (!mayRun || unprotected.size > 0) return false;
  return holdings.size === 0 && orphans.size > 0;
}

/**
 * The lockspace of its orphans seems to be gone. Not at the first glimpse: a sanlock that has just
 * been started may resume it.
 * @returns whether that is looked at again
 */
function isLoss(state: GuestState, { out, nowMs }: Turn): boolean {
  if (state.orphans.size === 0 || state.unprotected.size > 0) return false;
  state.goneSinceMs ??= nowMs;
  if (nowMs - state.goneSinceMs < SURELY_LOST_MS) return true;
  if (!goesOnOrphaned(state)) return false;
  if (state.lossBegunMs !== null && nowMs - state.lossBegunMs < LOST_AGAIN_MS) return true;
  state.lossBegunMs = nowMs;
  out.push({ kind: 'lost' });
  return true;
}

/**
 * It runs, and has nothing that sanlock could tell of: it lost all before it was let go on. sanlock
 * says nothing as long as the lockspace is being joined, which may be as long as its storage fails.
 */
function goesOnWithout({ had, status, unprotected }: GuestState): boolean {
  const hasLostAll = unprotected.size > 0 && [...had].every((name) => unprotected.has(name));
  return hasLostAll && status?.isRunning === true;
}

/** What the keeper got before it ended. */
function orphaned(state: GuestState, outcome: Outcome): void {
  switch (outcome.kind) {
    case 'took':
    case 'converted':
      state.orphans = new Map([...state.orphans, ...outcome.holdings]);
      return;
    case 'refused':
      state.orphans = new Map([...state.orphans, ...outcome.left]);
      return;
    case 'released':
    case 'orphansReleased':
      state.orphans = lessReleased(state.orphans, outcome);
      return;
    case 'surveyed': // it is looked again
      return;
    default:
      unreachable(outcome);
  }
}

function wasConverted(
  state: GuestState,
  { work, holdings, code }: Extract<Outcome, { kind: 'converted' }> & { readonly work: Work },
  { out, nowMs }: Turn,
): void {
  state.holdings = holdings;
  if (code === 0) {
    if (work.kind === 'reclaim') state.arrival = null;
    return;
  }
  const lease = state.leases.find(({ name, mode }) => {
    return mode === 'exclusive' && holdings.get(name) === 'shared';
  });
  if (state.arrival === 'none' && lease !== undefined) {
    out.push({ kind: 'notArrived', refusal: { lease, code, during: 'convert' } });
  }
  state.againAtMs = nowMs + AGAIN_MS;
  if (code === -ERRNO.EAGAIN) return; // the other host still has it
  state.isSurveyed = false;
  const event = work.kind === 'lend' ? 'lease.notLent' : 'lease.notReclaimed';
  out.push({ kind: 'log', event, code });
}

type Released = Extract<Outcome, { kind: 'released' | 'orphansReleased' }>;

function wasReleased(state: GuestState, outcome: Released, { nowMs }: Turn): void {
  if (outcome.left.size > 0) {
    state.againAtMs = nowMs + AGAIN_MS;
    state.isSurveyed = false;
  }
  if (outcome.kind === 'released') state.holdings = lessReleased(state.holdings, outcome);
  else state.orphans = lessReleased(state.orphans, outcome);
}

function lessReleased(of: Holdings, { asked, left }: Released): Holdings {
  return new Map([...of].filter(([name]) => !asked.has(name) || left.has(name)));
}

/** All that was asked for is held. */
export function granted(
  state: GuestState,
  { work, holdings }: { readonly work: Work; readonly holdings: Holdings },
  { out, nowMs }: Turn,
): void {
  state.holdings = holdings;
  state.orphans = new Map([...state.orphans].filter(([name]) => !holdings.has(name)));
  restsUnprotected(state);
  if (work.kind !== 'take') return;
  if (work.demand.kind === 'incoming') state.arrival = 'expected';
  if (state.status === null) state.unseenUntilMs = nowMs + UNSEEN_MS;
  answer(state, work.demand, { kind: 'granted' }, out);
}

/** One that was superseded meanwhile has its answer. */
function answer(state: GuestState, demand: Demand, verdict: Verdict, out: GuestEffect[]): void {
  const { hook, kind: of } = demand;
  if (state.demand?.hook !== hook) return;
  state.demand = null;
  out.push({ kind: 'verdict', hook, of, verdict });
}

/** A guest that starts is refused; one that runs needs its keeper, whatever it takes. */
export function keeperNotStarted(state: GuestState, reason: string, { out, nowMs }: Turn): void {
  restKeeper(state, nowMs);
  const { demand } = state;
  if (demand === null) return;
  answer(state, demand, { kind: 'noKeeper', reason }, out);
  if (demand.kind !== 'reconnect') state.isOver = true;
}

/** It has none; the first one after one that has lived is started at once. */
export function restKeeper(state: GuestState, nowMs: number): void {
  const { keeperRestMs } = state;
  state.keeper = 'none';
  state.keeperAtMs = nowMs + keeperRestMs;
  state.keeperRestMs = Math.min(Math.max(2 * keeperRestMs, LEAST_REST_MS), MOST_REST_MS);
}

function refused(
  state: GuestState,
  {
    work,
    refusal,
    left,
    isUnsure,
  }: Extract<Outcome, { kind: 'refused' }> & { readonly work: Work },
  { out, nowMs }: Turn,
): void {
  state.holdings = new Map([...state.holdings, ...left]);
  state.orphans = new Map([...state.orphans].filter(([name]) => !left.has(name)));
  // An orphan that a start meets is not its own: who has left it may still run.
  const isOwn = refusal.code === -ERRNO.EUCLEAN && !isStart(work);
  const isUnknown = isUnsure || refusal.code === -ERRNO.ESRCH || isOwn;
  // Without the lockspace its orphans may be lost.
  const isLost = refusal.code === -ERRNO.ENOSPC && goesOnOrphaned(state);
  if (isUnknown || isLost) state.isSurveyed = false;
  restsUnprotected(state);
  if (work.kind === 'take') {
    answer(state, work.demand, { kind: 'refused', refusal }, out);
    // The guest does not start; one that runs has its leases until libvirt has ended it.
    if (state.demand === null && isStart(work)) state.isOver = true;
  }
  if (state.demand !== null || state.isOver) return; // it does not run here any more
  const isLettingGo = isElsewhere(refusal.code) && hasJustMigrated(state, nowMs);
  if (work.kind !== 'take') {
    const isNoMore = isUnknown || isLettingGo;
    out.push({ kind: isNoMore ? 'notTaken' : complaint(state, refusal.code), refusal });
  }
  state.againAtMs = nowMs + (isLettingGo ? LETTING_GO_AGAIN_MS : LATER_MS);
}

function hasJustMigrated({ migratedAtMs }: GuestState, nowMs: number): boolean {
  return migratedAtMs !== null && nowMs < migratedAtMs + LETTING_GO_MS;
}

function isStart(work: Work): boolean {
  return work.kind === 'take' && work.demand.kind !== 'reconnect';
}

/** Two guests of one disk, or one that goes on after its lease was lost: not for long. */
function complaint(state: GuestState, code: number): 'conflict' | 'notTaken' {
  const { status, unprotected } = state;
  const isConflict = isHeld(code) || unprotected.size > 0;
  return status?.isRunning === true && isConflict ? 'conflict' : 'notTaken';
}

/** libvirt calls no hook when it lets the guest go on. */
export function restsUnprotected(state: GuestState): void {
  const { had, holdings, status, unprotected } = state;
  const lost = [...had].filter((name) => !holdings.has(name));
  const rests = status?.isRunning === false && status.migration === null;
  state.unprotected = new Set(rests ? lost : lost.filter((name) => unprotected.has(name)));
}
