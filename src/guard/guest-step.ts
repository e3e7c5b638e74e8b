import { assert, unreachable } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import { SECOND_MS } from '../base/units.ts';
import type {
  Demand,
  GuestEffect,
  GuestEvent,
  GuestState,
  GuestStatus,
  Outcome,
  Verdict,
  Work,
} from './guest-state.ts';
import { type IsAnothers, isAnnounced, nextWork } from './guest-work.ts';
import { isHeld } from './lease-codes.ts';
import type { DiskLease } from './lease-names.ts';
import type { Holdings } from './lease-steps.ts';

/** Until the other host has let go: seldom more than the end of a QEMU. */
const AGAIN_MS = 500;
/** Of a lease that belongs to another, or while sanlock cannot be asked. */
const LATER_MS = 5 * SECOND_MS;
/** A migration that was announced begins at once, or never. */
const ANNOUNCED_MS = 600 * SECOND_MS;
/** Of a start that libvirt has given up without a word, or of a libvirtd that was killed in it. */
const UNSEEN_MS = 600 * SECOND_MS;

/** A guest that nothing is known of. */
export function newGuest(name: string): GuestState {
  return {
    ...{ name, leases: [], holdings: new Map(), demand: null, incomingUntilMs: null },
    ...{ status: null, isOver: false, work: null, againAtMs: null, keeper: 'none' },
    ...{ orphans: new Map(), isSurveyed: true, unseenUntilMs: null, isUnprotected: false },
  };
}

/** A guest of an earlier guard of this host; `keeperLives`: what it held is held still. */
export function foundGuest(
  of: {
    readonly name: string;
    readonly leases: readonly DiskLease[];
    readonly holdings: Holdings;
    readonly orphans: Holdings;
    readonly keeperLives: boolean;
  },
  nowMs: number,
): GuestState {
  const { name, leases, keeperLives } = of;
  return {
    ...newGuest(name),
    ...{ leases, keeper: keeperLives ? 'there' : 'none', isSurveyed: false },
    holdings: keeperLives ? of.holdings : new Map(),
    orphans: keeperLives ? of.orphans : new Map([...of.orphans, ...of.holdings]),
    unseenUntilMs: nowMs + UNSEEN_MS,
  };
}

/**
 * One guest. Facts come in as events; when nothing is under way, `nextWork` compares them with what
 * the keeper holds.
 */
export function stepGuest(
  state: GuestState,
  event: GuestEvent,
  at: {
    readonly uuid: string;
    readonly nowMs: number;
    readonly isAnothers: IsAnothers;
  },
): readonly GuestEffect[] {
  const out: GuestEffect[] = [];
  take(state, event, { out, nowMs: at.nowMs });
  if (state.work === null) begin(state, { out, ...at });
  return out;
}

/** When the next tick is wanted; null: none is. */
export function nextTickMs(state: GuestState): number | null {
  const { work, againAtMs, isOver, incomingUntilMs, demand, unseenUntilMs } = state;
  if (work !== null) return null;
  const times = [
    againAtMs,
    isOver ? incomingUntilMs : null,
    demand === null ? unseenUntilMs : null,
  ];
  const wanted = times.filter((atMs) => atMs !== null);
  return wanted.length === 0 ? null : Math.min(...wanted);
}

interface Turn {
  readonly out: GuestEffect[];
  readonly nowMs: number;
}

function take(state: GuestState, event: GuestEvent, turn: Turn): void {
  switch (event.kind) {
    case 'announced':
      state.incomingUntilMs = turn.nowMs + ANNOUNCED_MS;
      if (state.status === null) state.unseenUntilMs ??= state.incomingUntilMs;
      return;
    case 'demanded':
      demanded(state, event.demand, turn);
      return;
    case 'statusRead':
      statusRead(state, event.status);
      return;
    case 'released':
      state.incomingUntilMs = null; // that of a migration that came to nothing
      if (!event.qemuRuns) ended(state);
      return;
    case 'ended':
      ended(state);
      return;
    case 'qemuFound':
      state.unseenUntilMs = null;
      return;
    case 'rejoined':
      state.isSurveyed = false;
      state.againAtMs = null;
      return;
    case 'keeperStarted':
      state.keeper = 'there';
      return;
    case 'keeperNotStarted':
      keeperNotStarted(state, event.reason, turn);
      return;
    case 'keeperEnded': // the next one adopts what is orphaned
      state.keeper = 'none';
      state.orphans = new Map([...state.orphans, ...state.holdings]);
      state.holdings = new Map();
      if (state.work !== null && state.work.kind !== 'releaseOrphans') {
        state.work = { kind: 'void' };
      }
      state.againAtMs = null;
      // One that was let start, and was not seen yet, has not begun to run.
      if (state.status === null && state.demand === null) state.isUnprotected = true;
      restsUnprotected(state);
      return;
    case 'worked':
      worked(state, event.outcome, turn);
      return;
    case 'tick':
      if (!isNeverSeen(state, turn.nowMs)) return;
      state.unseenUntilMs = turn.nowMs + UNSEEN_MS;
      turn.out.push({ kind: 'findQemu' });
      return;
    default:
      unreachable(event);
  }
}

function ended(state: GuestState): void {
  state.isOver = true;
  state.againAtMs = null;
}

function isNeverSeen({ demand, unseenUntilMs }: GuestState, nowMs: number): boolean {
  return demand === null && unseenUntilMs !== null && nowMs >= unseenUntilMs;
}

/** libvirt calls one hook of a guest at a time: an older one that still waits has been given up. */
function demanded(state: GuestState, demand: Demand, { out, nowMs }: Turn): void {
  const { demand: older } = state;
  if (older !== null) {
    const { hook, kind: of } = older;
    out.push({ kind: 'verdict', hook, of, verdict: { kind: 'superseded' } });
  }
  const isIncoming = demand.kind === 'start' && isAnnounced(state, nowMs);
  state.demand = isIncoming ? { ...demand, kind: 'incoming' } : demand;
  state.leases = demand.leases;
  if (demand.kind === 'start') state.status = null; // that of its last run here
  state.incomingUntilMs = null;
  state.isOver = false;
  state.isUnprotected = false;
  state.againAtMs = null;
}

function statusRead(state: GuestState, status: GuestStatus): void {
  const before = state.status;
  state.status = status;
  // A start that was not granted yet has the disks of its hook.
  if (status.leases !== null && state.demand === null) state.leases = status.leases;
  const isNews = before?.migration !== status.migration || before.isRunning !== status.isRunning;
  if (isNews) state.againAtMs = null;
  state.unseenUntilMs = null;
  restsUnprotected(state);
}

/** libvirt calls no hook when it lets the guest go on. */
function restsUnprotected(state: GuestState): void {
  const { holdings, leases, status } = state;
  if (leases.every(({ name }) => holdings.has(name))) state.isUnprotected = false;
  else if (status?.isRunning === false && status.migration === null) state.isUnprotected = true;
}

function worked(state: GuestState, outcome: Outcome, turn: Turn): void {
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
  { code, held, orphans, isRegistered }: Extract<Outcome, { kind: 'surveyed' }>,
  { out, nowMs }: Turn,
): void {
  if (code !== 0) {
    state.againAtMs = nowMs + AGAIN_MS;
    return;
  }
  state.isSurveyed = true;
  state.holdings = held;
  state.orphans = orphans;
  if (state.keeper === 'there' && !isRegistered) {
    state.keeper = 'none';
    out.push({ kind: 'dropKeeper' });
  }
  restsUnprotected(state);
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
  if (code === 0) return;
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

function granted(
  state: GuestState,
  { work, holdings }: { readonly work: Work; readonly holdings: Holdings },
  { out, nowMs }: Turn,
): void {
  state.holdings = holdings;
  state.orphans = new Map([...state.orphans].filter(([name]) => !holdings.has(name)));
  restsUnprotected(state);
  if (work.kind !== 'take') return;
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
function keeperNotStarted(state: GuestState, reason: string, { out, nowMs }: Turn): void {
  state.keeper = 'none';
  const { demand } = state;
  if (demand === null) {
    state.againAtMs = nowMs + AGAIN_MS;
    return;
  }
  answer(state, demand, { kind: 'noKeeper', reason }, out);
  if (demand.kind === 'reconnect') state.againAtMs = nowMs + LATER_MS;
  else state.isOver = true;
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
  const isUnknown = isUnsure || refusal.code === -ERRNO.ESRCH;
  if (isUnknown) state.isSurveyed = false;
  if (work.kind === 'take') {
    answer(state, work.demand, { kind: 'refused', refusal }, out);
    // The guest does not start; one that runs has its leases until libvirt has ended it.
    if (state.demand === null && work.demand.kind !== 'reconnect') state.isOver = true;
  }
  if (state.demand !== null || state.isOver) return; // it does not run here any more
  if (work.kind !== 'take') {
    out.push({ kind: isUnknown ? 'notTaken' : complaint(state, refusal.code), refusal });
  }
  state.againAtMs = nowMs + LATER_MS;
}

/** Two guests of one disk, or one that goes on after its lease was lost: not for long. */
function complaint(state: GuestState, code: number): 'conflict' | 'notTaken' {
  const { status, isUnprotected } = state;
  return status?.isRunning === true && (isHeld(code) || isUnprotected) ? 'conflict' : 'notTaken';
}

function begin(
  state: GuestState,
  turn: Turn & { readonly uuid: string; readonly isAnothers: IsAnothers },
): void {
  const { out, nowMs } = turn;
  if (state.againAtMs !== null && nowMs < state.againAtMs) return;
  state.againAtMs = null;
  const next = nextWork(state, turn);
  if (next === null || state.keeper === 'starting') return;
  if (next === 'over') {
    out.push({ kind: 'over' });
    return;
  }
  if (next.work.kind === 'take' && next.work.demand.leases.length === 0) {
    granted(state, { work: next.work, holdings: state.holdings }, turn); // nothing is to be held
    return;
  }
  if (state.keeper === 'none' && !NEEDS_NO_KEEPER.has(next.work.kind)) {
    state.keeper = 'starting';
    out.push({ kind: 'startKeeper' });
    return;
  }
  state.work = next.work;
  out.push({ kind: 'work', steps: next.steps });
}

const NEEDS_NO_KEEPER: ReadonlySet<Work['kind']> = new Set(['releaseOrphans', 'survey']);
