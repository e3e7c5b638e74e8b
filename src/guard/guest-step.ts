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
import {
  type Holdings,
  LENT_WITHIN_MS,
  type LeaseSteps,
  lend,
  NOTHING,
  reclaim,
  releaseAll,
  releaseOrphans,
  type Taken,
  takeAlone,
  takeLent,
} from './lease-steps.ts';

/** Until the other host has let go: seldom more than the end of a QEMU. */
const AGAIN_MS = 500;
/** A migration that was announced begins at once, or never. */
const ANNOUNCED_MS = 600 * SECOND_MS;

/** A guest that nothing is known of. */
export function newGuest(name: string): GuestState {
  return {
    ...{ name, leases: [], holdings: new Map(), demand: null, incomingUntilMs: null },
    ...{ status: null, isOver: false, work: null, againAtMs: null, keeper: 'none' },
    orphans: new Map(),
  };
}

/**
 * One guest. Facts come in as events; when nothing is under way, `nextWork` compares them with what
 * the keeper holds. Order of what it wants: an end before all, then the hook that waits, then what
 * a migration needs, then disks that were plugged.
 */
export function stepGuest(
  state: GuestState,
  event: GuestEvent,
  at: { readonly uuid: string; readonly nowMs: number },
): readonly GuestEffect[] {
  const out: GuestEffect[] = [];
  take(state, event, { out, nowMs: at.nowMs });
  if (state.work === null) begin(state, { out, ...at });
  return out;
}

/** When the next tick is wanted; null: none is. */
export function nextTickMs({
  work,
  againAtMs,
  isOver,
  incomingUntilMs,
}: GuestState): number | null {
  if (work !== null) return null;
  return againAtMs ?? (isOver ? incomingUntilMs : null);
}

interface Turn {
  readonly out: GuestEffect[];
  readonly nowMs: number;
}

function take(state: GuestState, event: GuestEvent, turn: Turn): void {
  switch (event.kind) {
    case 'announced':
      state.incomingUntilMs = turn.nowMs + ANNOUNCED_MS;
      return;
    case 'demanded':
      demanded(state, event.demand, turn);
      return;
    case 'statusRead':
      statusRead(state, event.status);
      return;
    case 'ended':
      state.isOver = true;
      state.againAtMs = null;
      return;
    case 'keeperStarted':
      state.keeper = 'there';
      return;
    case 'keeperNotStarted':
      keeperNotStarted(state, turn);
      return;
    case 'keeperEnded': // the next one adopts what is orphaned
      state.keeper = 'none';
      state.orphans = new Map([...state.orphans, ...state.holdings]);
      state.holdings = new Map();
      if (state.work !== null && state.work.kind !== 'releaseOrphans')
        state.work = { kind: 'void' };
      state.againAtMs = null;
      return;
    case 'worked':
      worked(state, event.outcome, turn);
      return;
    case 'tick':
      return;
    default:
      unreachable(event);
  }
}

/** libvirt calls one hook of a guest at a time: an older one that still waits has been given up. */
function demanded(state: GuestState, demand: Demand, { out, nowMs }: Turn): void {
  const { demand: older } = state;
  if (older !== null) {
    out.push({ kind: 'verdict', hook: older.hook, verdict: { kind: 'superseded' } });
  }
  const isIncoming = demand.kind === 'start' && isAnnounced(state, nowMs);
  state.demand = isIncoming ? { ...demand, kind: 'incoming' } : demand;
  state.leases = demand.leases;
  if (demand.kind === 'start') state.status = null; // that of its last run here
  state.incomingUntilMs = null;
  state.isOver = false;
  state.againAtMs = null;
}

function isAnnounced({ incomingUntilMs }: GuestState, nowMs: number): boolean {
  return incomingUntilMs !== null && nowMs < incomingUntilMs;
}

function statusRead(state: GuestState, status: GuestStatus): void {
  const before = state.status;
  state.status = status;
  // A start that was not granted yet has the disks of its hook.
  if (status.leases !== null && state.demand === null) state.leases = status.leases;
  const isNews = before?.migration !== status.migration || before.isRunning !== status.isRunning;
  if (isNews) state.againAtMs = null;
}

function worked(state: GuestState, outcome: Outcome, turn: Turn): void {
  const { work } = state;
  assert(work !== null, 'an outcome is of work that was begun');
  state.work = null;
  if (work.kind === 'void') orphaned(state, outcome);
  else if (outcome.kind === 'took') granted(state, { work, holdings: outcome.holdings }, turn.out);
  else if (outcome.kind === 'refused') refused(state, { work, ...outcome }, turn);
  else if (outcome.kind === 'converted') wasConverted(state, { work, ...outcome }, turn);
  else wasReleased(state, outcome, turn);
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
  const event = work.kind === 'lend' ? 'lease.notLent' : 'lease.notReclaimed';
  out.push({ kind: 'log', event, code });
}

type Released = Extract<Outcome, { kind: 'released' | 'orphansReleased' }>;

function wasReleased(state: GuestState, outcome: Released, { nowMs }: Turn): void {
  if (outcome.left.size > 0) state.againAtMs = nowMs + AGAIN_MS;
  if (outcome.kind === 'released') state.holdings = lessReleased(state.holdings, outcome);
  else state.orphans = lessReleased(state.orphans, outcome);
}

function lessReleased(of: Holdings, { asked, left }: Released): Holdings {
  return new Map([...of].filter(([name]) => !asked.has(name) || left.has(name)));
}

function granted(
  state: GuestState,
  { work, holdings }: { readonly work: Work; readonly holdings: Holdings },
  out: GuestEffect[],
): void {
  state.holdings = holdings;
  state.orphans = new Map([...state.orphans].filter(([name]) => !holdings.has(name)));
  if (work.kind !== 'take') return;
  answer(state, work.demand, { kind: 'granted' }, out);
}

/** One that was superseded meanwhile has its answer. */
function answer(state: GuestState, { hook }: Demand, verdict: Verdict, out: GuestEffect[]): void {
  if (state.demand?.hook !== hook) return;
  state.demand = null;
  out.push({ kind: 'verdict', hook, verdict });
}

/** A guest that starts is refused; one that runs needs its keeper, whatever it takes. */
function keeperNotStarted(state: GuestState, { out, nowMs }: Turn): void {
  state.keeper = 'none';
  const { demand } = state;
  if (demand === null) {
    state.againAtMs = nowMs + AGAIN_MS;
    return;
  }
  answer(state, demand, { kind: 'noKeeper' }, out);
  if (demand.kind !== 'reconnect') state.isOver = true;
}

function refused(
  state: GuestState,
  { work, refusal, left }: Extract<Outcome, { kind: 'refused' }> & { readonly work: Work },
  { out, nowMs }: Turn,
): void {
  state.holdings = new Map([...state.holdings, ...left]);
  if (work.kind === 'take') {
    answer(state, work.demand, { kind: 'refused', refusal }, out);
    // The guest does not start; one that was running already is libvirt's to end.
    if (state.demand === null) state.isOver = true;
    return;
  }
  if (state.demand !== null || state.isOver) return; // it does not run here any more
  out.push({ kind: 'conflict', refusal });
  state.againAtMs = nowMs + AGAIN_MS;
}

function begin(state: GuestState, turn: Turn & { readonly uuid: string }): void {
  const { out, nowMs } = turn;
  if (state.againAtMs !== null && nowMs < state.againAtMs) return;
  state.againAtMs = null;
  const next = nextWork(state, turn);
  if (next === 'over') {
    out.push({ kind: 'over' });
    return;
  }
  if (next === null || state.keeper === 'starting') return;
  if (state.keeper === 'none' && next.work.kind !== 'releaseOrphans') {
    state.keeper = 'starting';
    out.push({ kind: 'startKeeper' });
    return;
  }
  state.work = next.work;
  out.push({ kind: 'work', steps: next.steps });
}

interface Next {
  readonly work: Work;
  readonly steps: LeaseSteps<Outcome>;
}

/** null: all is as it should be. 'over': nothing is held, and nothing is wanted. */
function nextWork(
  state: GuestState,
  { uuid, nowMs }: { readonly uuid: string; readonly nowMs: number },
): Next | 'over' | null {
  const { demand, holdings: held, orphans } = state;
  if (state.isOver) return ofEnd(state) ?? (isAnnounced(state, nowMs) ? null : 'over');
  if (demand === null) return ofOrphans(state) ?? ofMigration(state) ?? ofPlugging(state);
  const work = { kind: 'take', demand } as const;
  switch (demand.kind) {
    case 'reconnect':
      return { work, steps: took(takeAlone(demand.leases, { held, orphans })) };
    case 'start': // what is left of its last run here goes first: another host may wait for it
      return ofEnd(state) ?? { work, steps: took(takeAlone(demand.leases, NOTHING)) };
    case 'incoming': {
      const of = { uuid, untilMs: nowMs + LENT_WITHIN_MS };
      return ofEnd(state) ?? { work, steps: took(takeLent(demand.leases, of)) };
    }
    default:
      return unreachable(demand.kind);
  }
}

/** null: nothing is left to be released. */
function ofEnd({ holdings, orphans }: GuestState): Next | null {
  if (holdings.size > 0) return { work: { kind: 'releaseAll' }, steps: released(holdings) };
  if (orphans.size === 0) return null;
  return { work: { kind: 'releaseOrphans' }, steps: orphansReleased(orphans) };
}

/** A guest that runs on, whatever it is about to do, has a keeper for what it needs. */
function ofOrphans({ leases, holdings: held, orphans, status }: GuestState): Next | null {
  const own = leases.filter(({ name }) => held.has(name) || orphans.has(name));
  if (status === null || own.every(({ name }) => held.has(name))) return null;
  return { work: { kind: 'takeMore' }, steps: took(takeAlone(own, { held, orphans })) };
}

function ofMigration({ holdings, leases, status }: GuestState): Next | null {
  if (status === null) return null;
  const alone = leases.filter(({ mode }) => mode === 'exclusive');
  const has = (what: string) => alone.some(({ name }) => holdings.get(name) === what);
  const reclaimed = (which: 'shared' | 'all'): Next => {
    return { work: { kind: 'reclaim' }, steps: converted(reclaim(leases, holdings, which)) };
  };
  switch (status.migration) {
    case 'out':
      // What another host has lent can be lent again only by whom it belongs to.
      if (has('shared')) return reclaimed('shared');
      if (!has('exclusive')) return null;
      return { work: { kind: 'lend' }, steps: converted(lend(leases, holdings)) };
    case 'in': // until its CPUs run here the guest may still go back
      return null;
    case null:
      return has('shared') || has('lent') ? reclaimed('all') : null;
    default:
      return unreachable(status.migration);
  }
}

function ofPlugging({ holdings: held, leases, orphans, status }: GuestState): Next | null {
  if (status?.leases == null || status.migration !== null) return null;
  const wanted = new Set(leases.map(({ name }) => name));
  const unused = new Map([...held].filter(([name]) => !wanted.has(name)));
  if (unused.size > 0) return { work: { kind: 'releaseSome' }, steps: released(unused) };
  const unwanted = new Map([...orphans].filter(([name]) => !wanted.has(name)));
  if (unwanted.size > 0) {
    return {
      work: { kind: 'releaseOrphans' },
      steps: orphansReleased(unwanted),
    };
  }
  if (leases.every(({ name }) => held.has(name))) return null;
  return { work: { kind: 'takeMore' }, steps: took(takeAlone(leases, { held, orphans })) };
}

function* took(steps: LeaseSteps<Taken>): LeaseSteps<Outcome> {
  const taken = yield* steps;
  return taken.ok ? { kind: 'took', holdings: taken.value } : { kind: 'refused', ...taken.error };
}

function* converted(steps: ReturnType<typeof lend>): LeaseSteps<Outcome> {
  return { kind: 'converted', ...(yield* steps) };
}

function* released(held: Holdings): LeaseSteps<Outcome> {
  return { kind: 'released', asked: held, left: yield* releaseAll(held) };
}

function* orphansReleased(orphans: Holdings): LeaseSteps<Outcome> {
  return { kind: 'orphansReleased', asked: orphans, left: yield* releaseOrphans(orphans) };
}
