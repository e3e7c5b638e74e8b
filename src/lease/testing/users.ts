import assert from 'node:assert/strict';
import { GEOMETRY_512_1M } from '../../format/geometry.ts';
import { HARNESS_HOSTS, HARNESS_PLACE, type HarnessHost } from '../../sim/procedure-harness.ts';
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
