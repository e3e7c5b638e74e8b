import type { ByteString } from '../base/bytes.ts';

/**
 * What the journal of an earlier daemon says of the leases of one lockspace. It is what that daemon
 * claimed, not what the disk shows: what was under way has ended in one way or the other, and a
 * lease whose release was under way is there as held. The clients are the holders of the `Survivor`;
 * a name in `holders` that is none of them is of a client whose connection or process has ended.
 */
export interface Inherited {
  /**
   * false: there may be leases that are not in it, as the journal was damaged, or as a version
   * wrote it that recorded persistent leases only, and those without their places.
   */
  isWhole: boolean;
  /** By the numbers that the earlier daemon gave them, oldest first. */
  readonly leases: Map<number, InheritedLease>;
  /** Acquires that were under way: no client was told of them. In the same numbers. */
  readonly wants: Map<number, WantedLease>;
  /** As SET_CONFIG set them. */
  used: boolean;
  usedByOrphans: boolean;
  /** Its removal had been asked for. */
  removal: boolean;
  /** It was lost, because its time was over: it is to be joined again when nothing is left of it. */
  isLost: boolean;
}

/**
 * In place of a resource's name: a task on the index of resource names at that place was under way,
 * which has a lease of its own. No client can name a resource so.
 */
export const INDEX_TASK = '\0index';

/** A resource, and where its lease is: `offset` in bytes. */
export interface WantedLease {
  readonly resource: ByteString;
  readonly path: ByteString;
  readonly offset: number;
}

/** A lease that was granted, and not released yet. */
export interface InheritedLease extends WantedLease {
  shared: boolean;
  lver: bigint;
  /** Of one without holders: it is an orphan. */
  orphaned: boolean;
  readonly lvbWanted: boolean;
  /** The holder's restriction bits when it acquired. */
  readonly restricted: number;
  lastPid: number;
  /** The clients that hold it, one twice that shares it twice. */
  readonly holders: InheritedHold[];
  /** A conversion was under way: the disk may show the one mode or the other. */
  converting: 'toShared' | 'toExclusive' | null;
  /** A value that was set and not written to the disk yet; null: there is none. */
  lvb: Uint8Array | null;
}

/** One client's claim on it. */
export interface InheritedHold {
  readonly name: string;
  /** It asked that the lease outlives it. */
  readonly persistent: boolean;
}

/**
 * Whether it remains when none of its holders lives any more. Which of them was the last is not
 * known, so it remains if any of them asked for that.
 */
export function outlivesHolders({ holders, orphaned }: InheritedLease): boolean {
  return holders.length === 0 ? orphaned : holders.some(({ persistent }) => persistent);
}

export function nothingInherited(of: { readonly isWhole: boolean }): Inherited {
  const { isWhole } = of;
  const flags = { used: false, usedByOrphans: false, removal: false, isLost: false };
  return { isWhole, leases: new Map(), wants: new Map(), ...flags };
}
