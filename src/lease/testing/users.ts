import assert from 'node:assert/strict';
import { GEOMETRY_512_1M } from '../../format/geometry.ts';
import {
  HARNESS_HOSTS,
  HARNESS_PLACE,
  type HarnessHost,
  type HarnessTask,
} from '../../sim/procedure-harness.ts';
import { type AcquireWish, paxosAcquire } from '../paxos-acquire.ts';
import type { PaxosHold } from '../paxos-hold.ts';
import { paxosRelease } from '../paxos-release.ts';

/** What a harness host wants of the one resource, unless a test says otherwise: all of it, at once. */
export const WISH: AcquireWish = {
  shared: false,
  ownerNowait: true,
  wantedLver: null,
  newNumHosts: null,
  guess: { geometry: GEOMETRY_512_1M, numHosts: HARNESS_HOSTS },
};

export function acquire(host: HarnessHost, change: Partial<AcquireWish> = {}) {
  return paxosAcquire(host.member(), HARNESS_PLACE, { ...WISH, ...change });
}

/** It must be granted. */
export function take(host: HarnessHost, change: Partial<AcquireWish> = {}): PaxosHold {
  const got = host.run(acquire(host, change));
  assert.ok(got.ok, 'granted');
  return got.value;
}

/** It must succeed. */
export function release(host: HarnessHost, hold: PaxosHold): void {
  const gone = host.run(paxosRelease(host.member(), hold, { lvb: null, rename: null }));
  assert.ok(gone.ok);
}

/**
 * An original has sent its values when a larger ballot of ours outruns it, and goes to sleep.
 * @param hasProposed whether the disk shows the original's values
 */
export function outrun(
  original: HarnessTask<unknown>,
  ours: HarnessTask<unknown>,
  hasProposed: () => boolean,
): void {
  while (!hasProposed()) original.step();
  while (ours.wants?.op !== 'write') ours.step();
  ours.step();
  while (original.wants?.op !== 'sleep') original.step();
}

/** The longest that an original sleeps which one ballot has outrun, twice (spec 10 §17.1 item 5). */
export const ORIGINAL_SLEEPS_MS = 2000;
