import { assert } from '../base/assert.ts';
import type { PaxosHold } from '../lease/paxos-hold.ts';
import type { HeldLease } from './messages.ts';

/**
 * A lease this host holds, with all that its release or conversion writes: its only copy. The
 * front names it by the number.
 */
export interface Held {
  readonly number: number;
  /** As last written: a conversion changes it, a refused one may leave another host block. */
  hold: PaxosHold;
}

/** The leases held by the members of one lockspace in this process, by number. */
export interface Holds {
  readonly byNumber: Map<number, Held>;
  next: number;
}

/** No lease is held yet; the first one is number 1. */
export function newHolds(): Holds {
  return { byNumber: new Map(), next: 1 };
}

/** A lease that was granted. It stays until its release is answered, or the process ends. */
export function keepHold(holds: Holds, hold: PaxosHold): Held {
  const held: Held = { number: holds.next++, hold };
  holds.byNumber.set(held.number, held);
  return held;
}

/** The front forgets a lease with the answer to its release, whatever the answer. */
export function dropHold(holds: Holds, number: number): void {
  holds.byNumber.delete(number);
}

/** What the front keeps of it. */
export function heldLease({ number, hold }: Held): HeldLease {
  const { geometry, leader } = hold;
  assert(leader.lver > 0n, 'a lease that was granted has a version');
  return {
    number,
    lver: leader.lver,
    generation: leader.ownerGeneration,
    shared: hold.shared,
    sectorSize: geometry.sectorSize,
    areaBytes: geometry.areaBytes,
  };
}
