import { assert } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import { fail, ok, type Result } from '../base/result.ts';
import { SECOND_MS } from '../base/units.ts';
import { SANLOCK_CODES } from '../wire/sanlock/codes.ts';
import type { DiskLease } from './lease-names.ts';

export type Mode = 'exclusive' | 'shared';

/**
 * What is asked of sanlock for a guest's keeper, one after the other; each is answered once, at the
 * latest at its deadline. The name is the lease's.
 */
export type LeaseEffect =
  /** Makes the lease on the disk where there is none, whole or not at all. */
  | { readonly kind: 'ensure'; readonly name: string }
  /** Persistent, with its value block. `adopts`: an orphan of this mode as well, which is the guest's. */
  | {
      readonly kind: 'acquire';
      readonly name: string;
      readonly mode: Mode;
      readonly adopts: boolean;
    }
  | { readonly kind: 'convert'; readonly name: string; readonly mode: Mode }
  | { readonly kind: 'release'; readonly name: string }
  /** Of a keeper that is gone. */
  | { readonly kind: 'releaseOrphan'; readonly name: string }
  /** Who lends it: written by the conversion to shared. */
  | { readonly kind: 'setLender'; readonly lease: DiskLease }
  /** The value block as it was read by the acquire, and who has the lease on the disk now. */
  | { readonly kind: 'getLender'; readonly name: string }
  /** What sanlock has of these, held by the keeper or orphaned. */
  | { readonly kind: 'look'; readonly names: readonly string[] }
  | { readonly kind: 'sleep'; readonly forMs: number };

export interface LeaseReply {
  /** 0, or as sanlock answers: −243, −17, −11, … */
  readonly code: number;
  /** Of getLender. */
  readonly lent?: Lent;
  /** Of look. */
  readonly seen?: Seen;
  readonly nowMs: number;
}

/** A host in one of its lives. */
export interface HostLife {
  readonly hostId: bigint;
  readonly generation: bigint;
}

export interface Lent {
  /** What the value block says; null: nothing that can be read. */
  readonly by: (HostLife & { readonly uuid: string }) | null;
  /** The other hosts that have it on the disk, this one left out. */
  readonly others: readonly HostLife[];
}

/** By the lease's name, as sanlock says it now. */
export interface Seen {
  readonly held: ReadonlyMap<string, Mode>;
  readonly orphans: ReadonlyMap<string, Mode>;
}

export type LeaseSteps<T> = Generator<LeaseEffect, T, LeaseReply>;

/** Of a guest that starts. */
export const NOTHING: Had = { held: new Map(), orphans: new Map() };

/** Why a guest does not get its leases. */
export interface LeaseRefusal {
  readonly lease: DiskLease;
  readonly code: number;
  /**
   * 'lentToOther': it is shared, but not lent to this guest; 'lentByNobody': the host that the guest
   * comes from has none of its leases.
   */
  readonly during: LeaseEffect['kind'] | 'lentToOther' | 'lentByNobody';
}

/** All leases, or why not, and what could not be given back then. */
export type Taken = Result<Holdings, { readonly refusal: LeaseRefusal; readonly left: Holdings }>;

/** What the guest has already. */
export interface Had {
  readonly held: Holdings;
  /** What an earlier keeper of this guest had: nobody else's, and no other guest's. */
  readonly orphans: Holdings;
}

/**
 * What the keeper holds: by the lease's name. 'lent': shared on the disk, with a value block that
 * names this host; the shared hold of a guest that came from another host names that one.
 */
export type Holdings = ReadonlyMap<string, Mode | 'lent'>;

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
const SEEN_WITHIN_MS = 45 * SECOND_MS;
const SEEN_RETRY_MS = SECOND_MS;

/** All leases of a guest that starts or runs here, or none: those of an earlier keeper as they were. */
export function* takeAlone(leases: readonly DiskLease[], had: Had): LeaseSteps<Taken> {
  const holdings = new Map(had.held);
  for (const lease of leases) {
    if (holdings.has(lease.name)) continue;
    const refusal = yield* takeOnceSeen(lease, { ...had, holdings });
    if (refusal !== null) return yield* giveUp(holdings, had, refusal);
  }
  return ok(holdings);
}

/**
 * All leases of a guest that migrates here, shared with the host that lends them, or none. The
 * lender's host is still converting them when this begins. One that nobody has is taken as well: a
 * path may be a link on this host alone. But where nothing is lent, nobody guards the guest there.
 */
export function* takeLent(
  leases: readonly DiskLease[],
  of: { readonly uuid: string; readonly untilMs: number },
): LeaseSteps<Taken> {
  const holdings = new Map<string, Mode | 'lent'>();
  const free: DiskLease[] = [];
  for (const lease of leases) {
    const taken = yield* takeOnceLent(lease, { ...of, ...NOTHING, holdings });
    if (typeof taken === 'object') return yield* giveUp(holdings, NOTHING, taken);
    if (taken === 'free') free.push(lease);
  }
  const [first] = free;
  const alone = leases.filter(({ mode }) => mode === 'exclusive');
  if (first === undefined || free.length < alone.length) return ok(holdings);
  const refusal = { lease: first, code: -ERRNO.ENOENT, during: 'lentByNobody' } as const;
  return yield* giveUp(holdings, NOTHING, refusal);
}

/** `holdings`: what is held at each moment, also when a procedure fails on its way. */
interface Taking extends Had {
  readonly holdings: Map<string, Mode | 'lent'>;
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

function* take(lease: DiskLease, mode: Mode, of: Taking): LeaseSteps<LeaseRefusal | null> {
  const { name } = lease;
  const orphan = of.orphans.get(name);
  if (orphan !== undefined) return yield* adopt(lease, orphan, of);
  const made = yield { kind: 'ensure', name };
  if (made.code !== 0) return { lease, code: made.code, during: 'ensure' };
  const { code } = yield { kind: 'acquire', name, mode, adopts: false };
  if (code !== 0) return { lease, code, during: 'acquire' };
  of.holdings.set(name, mode);
  return null;
}

/** Whether a silent owner is alive shows soon; that it is dead, only after minutes. */
function* takeOnceSeen(lease: DiskLease, of: Taking): LeaseSteps<LeaseRefusal | null> {
  let untilMs: number | null = null;
  for (;;) {
    const refusal = yield* take(lease, lease.mode, of);
    if (refusal?.code !== SANLOCK_CODES.ACQUIRE_OWNED_RETRY) return refusal;
    const { nowMs } = yield { kind: 'sleep', forMs: SEEN_RETRY_MS };
    untilMs ??= nowMs + SEEN_WITHIN_MS;
    if (nowMs >= untilMs) return refusal;
  }
}

/** As it was: what it is to be, the guest's machine decides when it is held again. */
function* adopt(
  lease: DiskLease,
  orphan: Mode | 'lent',
  { holdings }: Taking,
): LeaseSteps<LeaseRefusal | null> {
  const { name } = lease;
  const mode = orphan === 'exclusive' ? 'exclusive' : 'shared';
  const { code } = yield { kind: 'acquire', name, mode, adopts: true };
  if (code === 0) {
    holdings.set(name, orphan);
    return null;
  }
  if (code !== -ERRNO.EUCLEAN) return { lease, code, during: 'acquire' };
  // It was being converted when its keeper ended.
  const other = mode === 'exclusive' ? 'shared' : 'exclusive';
  const again = yield { kind: 'acquire', name, mode: other, adopts: true };
  if (again.code !== 0) return { lease, code: again.code, during: 'acquire' };
  holdings.set(name, other);
  return null;
}

/** What was taken in vain goes back: a guest has all its leases, or none of them here. */
function* giveUp(holdings: Holdings, { held }: Had, refusal: LeaseRefusal): LeaseSteps<Taken> {
  const taken = new Map([...holdings].filter(([name]) => !held.has(name)));
  return fail({ refusal, left: yield* releaseAll(taken) });
}

/** By the one other host that has it: a value block of an earlier migration proves nothing. */
function isLentTo(uuid: string, lent: Lent | undefined): boolean {
  if (lent === undefined || lent.by === null || lent.by.uuid !== uuid) return false;
  const [other, ...more] = lent.others;
  if (other === undefined || more.length > 0) return false;
  return other.hostId === lent.by.hostId && other.generation === lent.by.generation;
}

/** The outcome of a conversion of all: what is held now, and what the first failure was. */
export interface Converted {
  readonly holdings: Holdings;
  /** 0: all are converted. */
  readonly code: number;
}

/**
 * The guest migrates away: all that it holds alone is shared from now on. One that fails stays as
 * it is, and the target is refused: that host gets no lease that this one has alone.
 */
export function* lend(leases: readonly DiskLease[], held: Holdings): LeaseSteps<Converted> {
  const holdings = new Map(held);
  for (const lease of leases) {
    const { name } = lease;
    if (holdings.get(name) !== 'exclusive') continue;
    const named = yield { kind: 'setLender', lease };
    if (named.code !== 0) return { holdings, code: named.code };
    const { code } = yield { kind: 'convert', name, mode: 'shared' };
    if (code !== 0) return { holdings, code };
    holdings.set(name, 'lent');
  }
  return { holdings, code: 0 };
}

/**
 * Nobody else has the guest any more: what it is to hold alone is exclusive again. −11 while the
 * other host still holds one; those before it are exclusive already, which keeps others out.
 * @param which 'shared': only those that another host has lent
 */
export function* reclaim(
  leases: readonly DiskLease[],
  held: Holdings,
  which: 'shared' | 'all' = 'all',
): LeaseSteps<Converted> {
  const holdings = new Map(held);
  for (const { name, mode } of leases) {
    const has = holdings.get(name);
    const isWanted = has === 'shared' || (has === 'lent' && which === 'all');
    if (mode === 'shared' || !isWanted) continue;
    const { code } = yield { kind: 'convert', name, mode: 'exclusive' };
    if (code !== 0) return { holdings, code };
    holdings.set(name, 'exclusive');
  }
  return { holdings, code: 0 };
}

/** @returns what could not be released */
export function* releaseAll(held: Holdings): LeaseSteps<Holdings> {
  const left = new Map(held);
  for (const name of held.keys()) {
    const { code } = yield { kind: 'release', name };
    // −1, −2: the keeper does not hold it.
    if (code === 0 || code === -ERRNO.EPERM || code === -ERRNO.ENOENT) left.delete(name);
  }
  assert(left.size <= held.size, 'nothing is taken by a release');
  return left;
}

/** @returns what could not be released */
export function* releaseOrphans(orphans: Holdings): LeaseSteps<Holdings> {
  const left = new Map(orphans);
  for (const name of orphans.keys()) {
    const { code } = yield { kind: 'releaseOrphan', name };
    // The number of those that were released; none: somebody else did it.
    if (code >= 0 || code === -ERRNO.ENOENT) left.delete(name);
  }
  return left;
}

/** What is really held and orphaned, with the code when sanlock did not say it. */
export interface Surveyed {
  readonly code: number;
  readonly held: Holdings;
  readonly orphans: Holdings;
}

/**
 * After a restart of the guard. Its record is written before and after each step, so it may be one
 * step behind: what is exclusive in it and shared in fact was just being lent.
 */
export function* survey(names: readonly string[], recorded: Holdings): LeaseSteps<Surveyed> {
  const { code, seen } = yield { kind: 'look', names };
  if (seen === undefined) return { code, held: new Map(), orphans: new Map() };
  const asIs = (modes: ReadonlyMap<string, Mode>): Holdings =>
    new Map([...modes].map(([name, mode]) => [name, wordFor(mode, recorded.get(name))]));
  return { code: 0, held: asIs(seen.held), orphans: asIs(seen.orphans) };
}

function wordFor(mode: Mode, recorded: Mode | 'lent' | undefined): Mode | 'lent' {
  if (mode === 'exclusive') return 'exclusive';
  return recorded === 'lent' || recorded === 'exclusive' ? 'lent' : 'shared';
}
