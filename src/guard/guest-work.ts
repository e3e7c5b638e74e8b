import { unreachable } from '../base/assert.ts';
import type { GuestState, Outcome, Work } from './guest-state.ts';
import type { DiskLease } from './lease-names.ts';
import {
  type Holdings,
  type LeaseSteps,
  lend,
  reclaim,
  releaseAll,
  releaseOrphans,
  survey,
  type Taken,
} from './lease-steps.ts';
import { LENT_WITHIN_MS, takeAll, takeLent, takeMissing } from './take-steps.ts';

/** What a guest needs next, by what is known of it: facts come in elsewhere (`guest-step.ts`). */

/**
 * Whether another guest of this host has the lease of that name, held or orphaned; `goesOn`: and
 * does not give it back just now.
 */
export type IsAnothers = (leaseName: string, goesOn: boolean) => boolean;

/** Something that sanlock is to be asked for. */
export interface Next {
  readonly work: Work;
  readonly steps: LeaseSteps<Outcome>;
}

/**
 * An end goes before all, then the hook that waits, then what a migration needs, then disks that
 * were plugged.
 * @returns null: all is as it should be; 'over': nothing is held, and nothing is wanted
 */
export function nextWork(
  state: GuestState,
  of: {
    readonly uuid: string;
    readonly nowMs: number;
    readonly isAnothers: IsAnothers;
  },
): Next | 'over' | null {
  const { uuid, nowMs } = of;
  const { demand, holdings: held, orphans } = state;
  if (!state.isSurveyed) return ofRecord(state, of.isAnothers);
  if (state.isOver) {
    return ofEnd(state, of.isAnothers) ?? (isAnnounced(state, nowMs) ? null : 'over');
  }
  if (demand === null) return ofOrphans(state) ?? ofMigration(state) ?? ofPlugging(state, of);
  const work = { kind: 'take', demand } as const;
  switch (demand.kind) {
    case 'reconnect':
      return { work, steps: took(takeMissing(demand.leases, { held, orphans })) };
    case 'start': // what is left of its last run here goes first: another host may wait for it
      return ofEnd(state, of.isAnothers) ?? { work, steps: took(takeAll(demand.leases)) };
    case 'incoming': {
      const by = { uuid, untilMs: nowMs + LENT_WITHIN_MS };
      return ofEnd(state, of.isAnothers) ?? { work, steps: took(takeLent(demand.leases, by)) };
    }
    default:
      return unreachable(demand.kind);
  }
}

/** What it only wants may be orphaned by a call that was cut, unless another guest has it. */
function ofRecord({ holdings, leases, orphans }: GuestState, isAnothers: IsAnothers): Next {
  const recorded = new Map([...orphans, ...holdings]);
  const wanted = leases.map(({ name }) => name).filter((name) => !isAnothers(name, false));
  const names = new Set([...recorded.keys(), ...wanted]);
  return { work: { kind: 'survey' }, steps: surveyed([...names], recorded) };
}

/** null: nothing is left to be released. */
function ofEnd({ holdings, orphans }: GuestState, isAnothers: IsAnothers): Next | null {
  if (holdings.size > 0) return { work: { kind: 'releaseAll' }, steps: released(holdings) };
  if (orphans.size === 0) return null;
  return { work: { kind: 'releaseOrphans' }, steps: orphansReleased(orphans, isAnothers) };
}

/** A guest that runs on, whatever it is about to do, has a keeper for what it needs. */
function ofOrphans({ leases, holdings: held, orphans, status }: GuestState): Next | null {
  const own = leases.filter(({ name }) => held.has(name) || orphans.has(name));
  if (status === null || own.every(({ name }) => held.has(name))) return null;
  return {
    work: { kind: 'takeMore', leases: own },
    steps: took(takeMissing(own, { held, orphans })),
  };
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

function ofPlugging(
  { migratedAtMs, holdings: held, leases, orphans, status }: GuestState,
  { uuid, isAnothers }: { readonly uuid: string; readonly isAnothers: IsAnothers },
): Next | null {
  if (status?.leases == null || status.migration !== null) return null;
  const wanted = new Set(leases.map(({ name }) => name));
  const unused = new Map([...held].filter(([name]) => !wanted.has(name)));
  if (unused.size > 0) return { work: { kind: 'releaseSome' }, steps: released(unused) };
  const unwanted = new Map([...orphans].filter(([name]) => !wanted.has(name)));
  if (unwanted.size > 0) {
    return {
      work: { kind: 'releaseOrphans' },
      steps: orphansReleased(unwanted, isAnothers),
    };
  }
  if (leases.every(({ name }) => held.has(name))) return null;
  const lentTo = migratedAtMs === null ? null : uuid;
  const steps = took(takeMissing(leases, { held, orphans }, lentTo));
  return { work: { kind: 'takeMore', leases }, steps };
}

function* surveyed(names: readonly string[], recorded: Holdings): LeaseSteps<Outcome> {
  return { kind: 'surveyed', ...(yield* survey(names, recorded)) };
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

/** One that another guest shares is left to it; of two that end together each releases it. */
function* orphansReleased(orphans: Holdings, isAnothers: IsAnothers): LeaseSteps<Outcome> {
  const own = new Map([...orphans].filter(([name]) => !isAnothers(name, true)));
  return { kind: 'orphansReleased', asked: orphans, left: yield* releaseOrphans(own) };
}

/** libvirt called the migrate hook: its start is that of a migration. */
export function isAnnounced({ incomingUntilMs }: GuestState, nowMs: number): boolean {
  return incomingUntilMs !== null && nowMs < incomingUntilMs;
}

/** What it may get by that: it is written down, whatever the guest needs by then. */
export function askedBy(work: Work | null): readonly DiskLease[] {
  if (work === null) return [];
  return work.kind === 'take' ? work.demand.leases : 'leases' in work ? work.leases : [];
}
