import { unreachable } from '../base/assert.ts';
import { SECOND_MS } from '../base/units.ts';
import {
  granted,
  keeperNotStarted,
  restKeeper,
  restsUnprotected,
  type Turn,
  UNSEEN_MS,
  worked,
} from './guest-outcomes.ts';
import type {
  Demand,
  GuestEffect,
  GuestEvent,
  GuestState,
  GuestStatus,
  Work,
} from './guest-state.ts';
import { askedBy, type IsAnothers, isAnnounced, nextWork } from './guest-work.ts';
import type { DiskLease } from './lease-names.ts';
import type { Holdings } from './lease-steps.ts';

/** libvirt goes on to the start at once. It says nothing where a migration ends before that. */
const ANNOUNCED_MS = 120 * SECOND_MS;

/** A keeper that ends sooner is one that cannot live: the next one has to wait. */
const LIVED_MS = 60 * SECOND_MS;

/** A guest that nothing is known of. */
export function newGuest(): GuestState {
  return {
    ...{ leases: [], holdings: new Map(), demand: null, incomingUntilMs: null },
    ...{ status: null, isOver: false, work: null, againAtMs: null, keeper: 'none' },
    ...{ orphans: new Map(), isSurveyed: true, unseenUntilMs: null },
    ...{ goneSinceMs: null, lossBegunMs: null, keeperRestMs: 0, keeperAtMs: 0 },
    ...{ had: new Set(), unprotected: new Set() },
    ...{ arrival: null, migratedAtMs: null },
  };
}

/** A guest of an earlier guard of this host; `keeperLives`: what it held is held still. */
export function foundGuest(
  of: {
    readonly leases: readonly DiskLease[];
    readonly holdings: Holdings;
    readonly orphans: Holdings;
    readonly unprotected: ReadonlySet<string>;
    readonly keeperLives: boolean;
  },
  nowMs: number,
): GuestState {
  const { leases, keeperLives, unprotected } = of;
  const isBorrowed = leases.some(({ mode, name }) => {
    return mode === 'exclusive' && of.holdings.get(name) === 'shared';
  });
  return {
    ...newGuest(),
    ...{ leases, keeper: keeperLives ? 'there' : 'none', isSurveyed: false },
    holdings: keeperLives ? of.holdings : new Map(),
    orphans: keeperLives ? of.orphans : new Map([...of.orphans, ...of.holdings]),
    unseenUntilMs: nowMs + UNSEEN_MS,
    unprotected,
    had: new Set([...of.holdings.keys(), ...of.orphans.keys(), ...unprotected]),
    arrival: isBorrowed ? 'expected' : null,
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
  state.had = hadBy(state);
  if (state.work === null) begin(state, { out, ...at });
  return out;
}

function hadBy({ had, holdings, leases, orphans }: GuestState): ReadonlySet<string> {
  const names = leases.map(({ name }) => name);
  const isOwn = (name: string) => had.has(name) || holdings.has(name) || orphans.has(name);
  return new Set(names.filter(isOwn));
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
      statusRead(state, event.status, turn.nowMs);
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
      state.keeperAtMs = turn.nowMs;
      return;
    case 'keeperNotStarted':
      keeperNotStarted(state, event.reason, turn);
      return;
    case 'keeperEnded':
      keeperEnded(state, turn);
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
  if (demand.kind === 'start') {
    state.status = null; // that of its last run here
    state.arrival = null;
    state.migratedAtMs = null;
    state.had = new Set();
    state.unprotected = new Set();
  }
  state.incomingUntilMs = null;
  state.isOver = false;
  state.againAtMs = null;
}

function statusRead(state: GuestState, status: GuestStatus, nowMs: number): void {
  const before = state.status;
  state.status = status;
  arrives(state, before, nowMs);
  // A start that was not granted yet has the disks of its hook.
  if (status.leases !== null && state.demand === null) state.leases = status.leases;
  const isNews = before?.migration !== status.migration || before.isRunning !== status.isRunning;
  if (isNews) state.againAtMs = null;
  state.unseenUntilMs = null;
  restsUnprotected(state);
}

function arrives(state: GuestState, before: GuestStatus | null, nowMs: number): void {
  const { arrival, demand, status } = state;
  if (status === null || demand !== null) return;
  const isAwaited = arrival === 'expected';
  if (isAwaited) state.arrival = status.startsHere ? 'none' : null;
  if (status.migration !== null || state.arrival === 'none') return;
  const hasMigrated = before !== null && before.migration !== null;
  if (isAwaited || hasMigrated) state.migratedAtMs = nowMs;
}

/** The next one adopts what is orphaned. */
function keeperEnded(state: GuestState, { nowMs }: Turn): void {
  if (nowMs - state.keeperAtMs >= LIVED_MS) state.keeperRestMs = 0;
  restKeeper(state, nowMs);
  state.orphans = new Map([...state.orphans, ...state.holdings]);
  state.holdings = new Map();
  if (state.work !== null && state.work.kind !== 'releaseOrphans') {
    state.work = { kind: 'void', leases: askedBy(state.work) };
  }
  state.againAtMs = null;
  // One that was let start, and was not seen yet, has not begun to run.
  if (state.status === null && state.demand === null) state.unprotected = state.had;
  restsUnprotected(state);
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
    if (nowMs < state.keeperAtMs) {
      state.againAtMs = state.keeperAtMs;
      return;
    }
    state.keeper = 'starting';
    out.push({ kind: 'startKeeper' });
    return;
  }
  state.work = next.work;
  out.push({ kind: 'work', steps: next.steps });
}

const NEEDS_NO_KEEPER: ReadonlySet<Work['kind']> = new Set(['releaseOrphans', 'survey']);
