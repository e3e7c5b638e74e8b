import { assert } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import type { Result } from '../base/result.ts';
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
  /** The other hosts that have it on the disk; it needs not be held here. */
  | { readonly kind: 'getOthers'; readonly name: string }
  /** What the keeper holds, and which of these are orphaned. */
  | { readonly kind: 'look'; readonly names: readonly string[] }
  | { readonly kind: 'sleep'; readonly forMs: number };

export interface LeaseReply {
  /** 0, or as sanlock answers: −243, −17, −11, … */
  readonly code: number;
  /** No answer came to an acquire: it may have been granted, or be granted yet. */
  readonly isUnsure?: boolean;
  /** Of getLender. */
  readonly lent?: Lent;
  /** Of getOthers. */
  readonly others?: readonly HostLife[];
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
  /** What other processes of this host have, with a pid of one of them. */
  readonly byOthers: ReadonlyMap<string, number>;
  /** Whether it knows the keeper: one that was started anew without its past does not. */
  readonly isRegistered: boolean;
  /** The lockspace is lost, removed, or not joined: no lease of it is held. */
  readonly isGone: boolean;
}

export type LeaseSteps<T> = Generator<LeaseEffect, T, LeaseReply>;

/** Why a guest does not get its leases. */
export interface LeaseRefusal {
  readonly lease: DiskLease;
  readonly code: number;
  /** With −17: of the process of this host that has it. */
  readonly pid?: number;
  /**
   * 'lentToOther': it is shared, but not lent to this guest; 'lentByNobody': the host that the guest
   * comes from has none of its leases.
   */
  readonly during: LeaseEffect['kind'] | 'lentToOther' | 'lentByNobody';
}

/** All leases, or why not. */
export type Taken = Result<Holdings, NotTaken>;

export interface NotTaken {
  readonly refusal: LeaseRefusal;
  /** What is held all the same: of a guest that starts, what could not be released. */
  readonly left: Holdings;
  /** sanlock did not answer: what is held has to be looked up. */
  readonly isUnsure: boolean;
}

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
    if (!isConverted(code)) return { holdings, code };
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
    if (!isConverted(code)) return { holdings, code };
    holdings.set(name, 'exclusive');
  }
  return { holdings, code: 0 };
}

/** −114: in that mode already, by a conversion whose answer did not come. */
function isConverted(code: number): boolean {
  return code === 0 || code === -ERRNO.EALREADY;
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
    // The number of those that were released. None is no proof that there is none: one that sanlock
    // is recovering, or whose lockspace is being resumed, is an orphan again soon.
    if (code > 0) left.delete(name);
  }
  return left;
}

/** What is really held and orphaned, with the code when sanlock did not say it. */
export interface Surveyed {
  readonly code: number;
  readonly held: Holdings;
  readonly orphans: Holdings;
  /** As `Seen`. */
  readonly byOthers: ReadonlyMap<string, number>;
  readonly isRegistered: boolean;
  readonly isGone: boolean;
}

/**
 * After a restart of the guard or of sanlock, or a call that was not answered: what is recorded may
 * be one step behind. What is exclusive in it and shared in fact was just being lent.
 */
export function* survey(names: readonly string[], recorded: Holdings): LeaseSteps<Surveyed> {
  const { code, seen } = yield { kind: 'look', names };
  if (seen === undefined) {
    const nothing = { held: new Map(), orphans: new Map(), byOthers: new Map() };
    return { code, ...nothing, isRegistered: false, isGone: false };
  }
  const asIs = (modes: ReadonlyMap<string, Mode>): Holdings =>
    new Map([...modes].map(([name, mode]) => [name, wordFor(mode, recorded.get(name))]));
  return { ...seen, code: 0, held: asIs(seen.held), orphans: asIs(seen.orphans) };
}

function wordFor(mode: Mode, recorded: Mode | 'lent' | undefined): Mode | 'lent' {
  if (mode === 'exclusive') return 'exclusive';
  return recorded === 'lent' || recorded === 'exclusive' ? 'lent' : 'shared';
}
