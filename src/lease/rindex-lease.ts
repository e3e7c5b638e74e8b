import { fail, ok, type Result } from '../base/result.ts';
import { INDEX_LEASE_NAME } from '../format/resource-index.ts';
import { settle, sleep } from './io.ts';
import type { LeaseError } from './lease-error.ts';
import { leaseTimes } from './lease-times.ts';
import type { Member, Place } from './member.ts';
import { paxosAcquire } from './paxos-acquire.ts';
import type { AreaGuess } from './paxos-area.ts';
import type { PaxosHold } from './paxos-hold.ts';
import { paxosRelease } from './paxos-release.ts';
import { recoverLease } from './recover.ts';
import type { IndexPlace, IndexShape } from './rindex-area.ts';
import type { Steps } from './steps.ts';

/** What was written under the lease: each span before its write is sent. */
export type Touched = { readonly offset: number; readonly length: number }[];

/**
 * Does something while no other host changes the index. The lease is released once all that was
 * written has ended: an unanswered format landing later could wipe a lease which another host
 * created there since. Where that takes longer than the caller waits, it goes on after the answer.
 *
 * @param member null: without the lease
 */
export function* withIndexLease<T>(
  member: Member | null,
  place: IndexPlace,
  shape: IndexShape,
  act: (touched: Touched) => Steps<Result<T, LeaseError>>,
): Steps<Result<T, LeaseError>> {
  const touched: Touched = [];
  if (member === null) return yield* act(touched);
  const got = yield* paxosAcquire(member, leaseOf(place, shape), {
    shared: false,
    ownerNowait: true, // an index is wanted now or not at all, as in C
    wantedLver: null,
    newNumHosts: null,
    guess: guessOf(shape),
  });
  if (!got.ok) return fail(got.error.error);
  const result = yield* act(touched);
  if (result.ok || (yield* allSettled(member, touched))) yield* release(member, got.value);
  else member.finishLater?.(() => releaseLater(member, got.value, touched));
  return result; // of `act`, also where the lease could not be released yet
}

/**
 * Takes back the lease of an index where an earlier process of this membership may have died with
 * it. What that one had written is settled first.
 * @returns as `recoverLease`
 */
export function* recoverIndexLease(
  member: Member,
  place: IndexPlace,
  shape: IndexShape,
): Steps<Result<null, LeaseError>> {
  const known = { mode: 'none', lver: null, begun: 'nothing' } as const;
  const guess = guessOf(shape);
  const found = yield* recoverLease(member, leaseOf(place, shape), { known, guess });
  return found.ok ? ok(null) : found;
}

function leaseOf(place: IndexPlace, { geometry }: IndexShape): Place {
  const { path, offset } = place;
  return { path, offset: offset + geometry.areaBytes, resourceName: INDEX_LEASE_NAME };
}

function guessOf({ geometry }: IndexShape): AreaGuess {
  return { geometry, numHosts: geometry.maxHosts };
}

function* release(member: Member, hold: PaxosHold): Steps<void> {
  yield* paxosRelease(member, hold, { lvb: null, rename: null });
}

function* allSettled(member: Member, touched: Touched): Steps<boolean> {
  for (const span of touched) if (!(yield* settle(member, span))) return false;
  return true;
}

/**
 * Ends with our membership: then others wait for our end before they take the lease (spec 10
 * §18.3).
 */
function* releaseLater(member: Member, hold: PaxosHold, touched: Touched): Steps<void> {
  const { ioTimeoutMs, renewalIntervalMs } = leaseTimes(member.ioTimeoutS);
  yield* sleep(ioTimeoutMs);
  while (member.ended?.() !== true) {
    if (yield* allSettled(member, touched)) {
      yield* release(member, hold);
      return;
    }
    yield* sleep(renewalIntervalMs);
  }
}
