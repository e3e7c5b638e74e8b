import { ERRNO } from '../base/errno.ts';
import { fail, ok } from '../base/result.ts';
import { SECOND_MS } from '../base/units.ts';
import { SANLOCK_CODES } from '../wire/sanlock/codes.ts';
import { isElsewhere, isHeld } from './lease-codes.ts';
import type { DiskLease } from './lease-names.ts';
import {
  type Had,
  type LeaseRefusal,
  type LeaseSteps,
  type Lent,
  type Mode,
  releaseAll,
  type Taken,
} from './lease-steps.ts';

/** How a guest gets its leases: alone, or from the host that it comes from. */

const RETRY_MS = 100;
/** A lender converts one lease after the other, beside all that its host has to do. */
export const LENT_WITHIN_MS = 60 * SECOND_MS;
/** The lender has not converted it yet, or is doing so now. */
const NOT_LENT_YET: ReadonlySet<number> = new Set([
  SANLOCK_CODES.ACQUIRE_IDLIVE,
  SANLOCK_CODES.ACQUIRE_OWNED_RETRY,
  SANLOCK_CODES.DBLOCK_MBAL,
  -ERRNO.EAGAIN,
]);
/** A host that has just joined has not seen the owner renew yet: two renewals of it, and some. */
const CLEAR_WITHIN_MS = 45 * SECOND_MS;
const CLEAR_RETRY_MS = SECOND_MS;

const NO_ORPHANS: Had['orphans'] = new Map();

/** `holdings`: what is held at each moment, also when a procedure fails on its way. */
interface Taking {
  readonly orphans: Had['orphans'];
  readonly holdings: Map<string, Mode | 'lent'>;
  /** Of the holdings: sanlock did not answer. */
  readonly unsure: Set<string>;
}

function taking({ held, orphans }: Had): Taking {
  return { orphans, holdings: new Map(held), unsure: new Set() };
}

/** All leases of a guest that starts here, or none. */
export function* takeAll(leases: readonly DiskLease[]): LeaseSteps<Taken> {
  const of = taking({ held: new Map(), orphans: NO_ORPHANS });
  for (const lease of leases) {
    const refusal = yield* takeOnceClear(lease, of);
    if (refusal !== null) return yield* giveUp(of, refusal);
    // Left of a migration to here that came to nothing: its host may run the guest.
    if (lease.mode === 'exclusive' && of.holdings.get(lease.name) !== 'exclusive') {
      return yield* giveUp(of, { lease, code: -ERRNO.EBUSY, during: 'acquire' });
    }
  }
  return ok(of.holdings);
}

/**
 * What a guest that runs here has not yet; what an earlier keeper had as it was. Where one is
 * refused the others are kept, and taken: its QEMU writes to them, whatever becomes of that one.
 * @param lentTo the UUID of a guest that came by migration: what the host that it left lends to it
 *   still is shared with that host; null: it did not
 */
export function* takeMissing(
  leases: readonly DiskLease[],
  had: Had,
  lentTo: string | null = null,
): LeaseSteps<Taken> {
  const of = taking(had);
  let refusal: LeaseRefusal | null = null;
  for (const lease of leases) {
    if (of.holdings.has(lease.name)) continue;
    const one = yield* takeOnceClear(lease, of);
    if (one !== null && lentTo !== null && (yield* takeFromLender(lease, one, { of, lentTo }))) {
      continue;
    }
    if (one !== null && (refusal === null || !isHeld(refusal.code))) refusal = one;
  }
  if (refusal === null) return ok(of.holdings);
  return fail({ refusal, left: of.holdings, isUnsure: of.unsure.size > 0 });
}

/**
 * All leases of a guest that migrates here, shared with the host that lends them, or none. The
 * lender's host is still converting them when this begins. One that nobody has is taken as well: a
 * path may be a link on this host alone. But where nothing is lent, nobody guards the guest there.
 */
export function* takeLent(
  leases: readonly DiskLease[],
  by: { readonly uuid: string; readonly untilMs: number },
): LeaseSteps<Taken> {
  const of = taking({ held: new Map(), orphans: NO_ORPHANS });
  const free: DiskLease[] = [];
  for (const lease of leases) {
    const taken = yield* takeOnceLent(lease, { ...of, ...by });
    if (typeof taken === 'object') return yield* giveUp(of, taken);
    if (taken === 'free') free.push(lease);
  }
  const [first] = free;
  const alone = leases.filter(({ mode }) => mode === 'exclusive');
  if (first === undefined || free.length < alone.length) return ok(of.holdings);
  const refusal = { lease: first, code: -ERRNO.ENOENT, during: 'lentByNobody' } as const;
  return yield* giveUp(of, refusal);
}

/** A disk may have more names here than the host had that it came from, or other ones. */
function* takeFromLender(
  lease: DiskLease,
  { code }: LeaseRefusal,
  { of, lentTo: uuid }: { readonly of: Taking; readonly lentTo: string },
): LeaseSteps<boolean> {
  if (lease.mode === 'shared' || !isElsewhere(code)) return false;
  return typeof (yield* takeOnceLent(lease, { ...of, uuid, untilMs: 0 })) === 'string';
}

function* takeOnceLent(
  lease: DiskLease,
  of: Taking & { readonly uuid: string; readonly untilMs: number },
): LeaseSteps<'lent' | 'free' | LeaseRefusal> {
  for (;;) {
    let refusal = yield* take(lease, 'shared', of);
    if (refusal !== null && !NOT_LENT_YET.has(refusal.code)) return refusal;
    if (refusal === null) {
      // A lease that is shared anyway is nobody's to lend.
      const kept = lease.mode === 'shared' ? 'lent' : yield* keepIfLent(lease, of);
      if (typeof kept === 'string') return kept;
      refusal = kept;
    }
    const { nowMs } = yield { kind: 'sleep', forMs: RETRY_MS };
    if (nowMs >= of.untilMs) return refusal;
  }
}

/** One that is shared for another reason goes back: a lender that has it so itself lends it later. */
function* keepIfLent(
  lease: DiskLease,
  { holdings, uuid }: Taking & { readonly uuid: string },
): LeaseSteps<'lent' | 'free' | LeaseRefusal> {
  const { name } = lease;
  const { code, lent } = yield { kind: 'getLender', name };
  if (code === 0 && lent?.others.length === 0) return 'free';
  if (code === 0 && isLentTo(uuid, lent)) return 'lent';
  const released = yield { kind: 'release', name };
  if (released.code !== 0) return { lease, code: released.code, during: 'release' };
  holdings.delete(name);
  return { lease, code: SANLOCK_CODES.ACQUIRE_IDLIVE, during: 'lentToOther' };
}

/** By the one other host that has it: a value block of an earlier migration proves nothing. */
function isLentTo(uuid: string, lent: Lent | undefined): boolean {
  if (lent === undefined || lent.by === null || lent.by.uuid !== uuid) return false;
  const [other, ...more] = lent.others;
  if (other === undefined || more.length > 0) return false;
  return other.hostId === lent.by.hostId && other.generation === lent.by.generation;
}

/**
 * Some refusals are over soon. Whether a silent owner is alive shows by its next renewal; that it
 * is dead, only after minutes. −11 without any other host means that sanlock itself is late.
 */
function* takeOnceClear(lease: DiskLease, of: Taking): LeaseSteps<LeaseRefusal | null> {
  let untilMs: number | null = null;
  for (;;) {
    const refusal = yield* take(lease, lease.mode, of);
    const isLate = refusal?.code === -ERRNO.EAGAIN && !(yield* isWithOthers(lease, of));
    if (refusal?.code !== SANLOCK_CODES.ACQUIRE_OWNED_RETRY && !isLate) return refusal;
    const { nowMs } = yield { kind: 'sleep', forMs: CLEAR_RETRY_MS };
    untilMs ??= nowMs + CLEAR_WITHIN_MS;
    // Nobody's: no guest is ended for it.
    if (nowMs >= untilMs) return isLate ? { ...refusal, code: -ERRNO.EBUSY } : refusal;
  }
}

/** Whom it keeps from this guest: not where it wants to share it, or has it as an orphan. */
function* isWithOthers({ mode, name }: DiskLease, { orphans }: Taking): LeaseSteps<boolean> {
  if (mode === 'shared' || orphans.has(name)) return false;
  const { code, others = [] } = yield { kind: 'getOthers', name };
  return code === 0 && others.length > 0;
}

function* take(lease: DiskLease, mode: Mode, of: Taking): LeaseSteps<LeaseRefusal | null> {
  const { name } = lease;
  const orphan = of.orphans.get(name);
  if (orphan !== undefined) return yield* adopt(lease, orphan, of);
  const made = yield { kind: 'ensure', name };
  if (made.code !== 0) return { lease, code: made.code, during: 'ensure' };
  return yield* acquire(lease, { mode, adopts: false, as: mode }, of);
}

/** As it was: what it is to be, the guest's machine decides when it is held again. */
function* adopt(
  lease: DiskLease,
  orphan: Mode | 'lent',
  of: Taking,
): LeaseSteps<LeaseRefusal | null> {
  const mode = orphan === 'exclusive' ? 'exclusive' : 'shared';
  const refusal = yield* acquire(lease, { mode, adopts: true, as: orphan }, of);
  if (refusal?.code !== -ERRNO.EUCLEAN) return refusal;
  // It was being lent, or made exclusive again, when its keeper ended.
  const other = mode === 'exclusive' ? 'shared' : 'exclusive';
  const as = other === 'shared' ? 'lent' : other;
  return yield* acquire(lease, { mode: other, adopts: true, as }, of);
}

function* acquire(
  lease: DiskLease,
  how: { readonly mode: Mode; readonly adopts: boolean; readonly as: Mode | 'lent' },
  { holdings, unsure }: Taking,
): LeaseSteps<LeaseRefusal | null> {
  const { name } = lease;
  const { mode, adopts, as } = how;
  const { code, isUnsure = false } = yield { kind: 'acquire', name, mode, adopts };
  if (code === 0 || isUnsure) holdings.set(name, as);
  if (code === 0) return null;
  if (isUnsure) unsure.add(name);
  if (code !== -ERRNO.EEXIST) return { lease, code, during: 'acquire' };
  // By the guest's own keeper, where an earlier acquire was not answered.
  const { seen } = yield { kind: 'look', names: [name] };
  if (seen === undefined) return { lease, code: -ERRNO.EBUSY, during: 'acquire' };
  const own = seen.held.get(name);
  if (own === undefined) {
    const pid = seen.byOthers.get(name);
    return { lease, code, during: 'acquire', ...(pid === undefined ? {} : { pid }) };
  }
  holdings.set(name, own);
  return null;
}

/** What was taken in vain goes back: a guest has all its leases, or none of them here. */
function* giveUp({ holdings, unsure }: Taking, refusal: LeaseRefusal): LeaseSteps<Taken> {
  return fail({ refusal, left: yield* releaseAll(holdings), isUnsure: unsure.size > 0 });
}
