import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GEOMETRY_512_1M } from '../format/geometry.ts';
import type { HostBlock } from './paxos-area.ts';
import { sharerIsLive } from './sharer.ts';
import type { HostView, Member } from './world.ts';

const NOW_MS = 1_000_000;
const SEEN: HostView = {
  ownerId: 1,
  generation: 2n,
  timestampS: 900n,
  ioTimeoutS: 10,
  hostName: 'one',
  firstCheckMs: 1,
  lastCheckMs: NOW_MS,
  lastLiveMs: NOW_MS,
};

function member(view: HostView | null): Member {
  return {
    hostId: 2,
    generation: 1n,
    ioTimeoutS: 10,
    lockspaceOffset: 0,
    lockspaceGeometry: GEOMETRY_512_1M,
    lockspaceName: 'LS',
    hostView: () => view,
    random: () => 0.5,
    sharedRetries: 0,
    cancelled: () => false,
  };
}

/** The shared hold of generation 2. */
const BLOCK = { hostId: 1, shared: true, sharedGeneration: 2n } as HostBlock; // its dblock is not read

const CASES: readonly (readonly [string, HostView | null, boolean])[] = [
  ['nothing seen yet', null, true],
  ['renewed lately', SEEN, true],
  ['silent for exactly 140 s', { ...SEEN, lastLiveMs: NOW_MS - 140_000 }, true],
  ['silent for longer', { ...SEEN, lastLiveMs: NOW_MS - 140_001 }, false],
  ['left', { ...SEEN, timestampS: 0n }, false],
  ['back with a new generation', { ...SEEN, generation: 3n }, false],
  ['free when we looked, joined since', { ...SEEN, generation: 0n, timestampS: 0n }, true],
  ['long dead when we looked, back since', { ...SEEN, generation: 1n, lastLiveMs: 1 }, true],
];

for (const [what, view, live] of CASES) {
  test(`a sharer that was ${what} counts as ${live ? 'alive' : 'dead'}`, () => {
    assert.equal(sharerIsLive(member(view), BLOCK, NOW_MS), live);
  });
}
