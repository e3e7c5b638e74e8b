import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deltaLeaseOffset, GEOMETRY_512_1M } from '../format/geometry.ts';
import { HarnessHost, ProcedureHarness } from '../sim/procedure-harness.ts';
import type { HostView, Member } from './member.ts';
import type { HostBlock } from './paxos-area.ts';
import { sharerIsLive, sharerSeemsLive } from './sharer.ts';

const DEAD_MS = 140_000;

/** Host 1 shares in its second membership; what host 2 saw of it, and what is on disk, differ by case. */
function scene() {
  const harness = new ProcedureHarness();
  harness.join(1);
  const one = harness.join(1);
  const onDisk = new DataView(harness.disks.lockspace.buffer).getBigUint64(152, true);
  const seen: HostView = {
    ownerId: 1,
    generation: one.generation,
    timestampS: onDisk,
    ioTimeoutS: 10,
    hostName: 'host-1',
    firstCheckMs: 1,
    lastCheckMs: harness.nowMs,
    lastLiveMs: harness.nowMs,
  };
  // Its dblock does not count.
  const block = { hostId: 1, shared: true, sharedGeneration: one.generation } as HostBlock;
  const two = new HarnessHost(harness, 2);
  const liveness = (view: HostView | null) => {
    const member: Member = { ...two.member(), hostView: () => view };
    const answer = two.run(sharerIsLive(member, block, harness.nowMs));
    assert.ok(answer.ok);
    return { seems: sharerSeemsLive(member, block, harness.nowMs), is: answer.value };
  };
  return { harness, seen, liveness };
}

test('alive while nothing is known, or it was seen to renew lately', () => {
  const { harness, seen, liveness } = scene();
  assert.deepEqual(liveness(null), { seems: true, is: true });
  assert.deepEqual(liveness(seen), { seems: true, is: true });
  assert.deepEqual(liveness({ ...seen, lastLiveMs: harness.nowMs - DEAD_MS }), {
    seems: true,
    is: true,
  });
});

test('dead when silent for longer, and its host lease still stands where it stood', () => {
  const { harness, seen, liveness } = scene();
  const silent = { ...seen, lastLiveMs: harness.nowMs - DEAD_MS - 1 };
  assert.deepEqual(liveness(silent), { seems: false, is: false });
});

test('alive when it renewed since our last read, however old that is', () => {
  const { seen, liveness } = scene();
  const old = { ...seen, timestampS: seen.timestampS - 20n, lastLiveMs: 1 };
  assert.deepEqual(liveness(old), { seems: false, is: true });
});

test('alive when it joined since our last read, which saw its host id free or a dead membership', () => {
  const { seen, liveness } = scene();
  assert.equal(liveness({ ...seen, generation: 0n, timestampS: 0n }).is, true);
  assert.equal(liveness({ ...seen, generation: 1n, timestampS: 5n, lastLiveMs: 1 }).is, true);
});

test('dead when it left, or is back with a new generation', () => {
  const { harness, seen, liveness } = scene();
  harness.join(1);
  assert.deepEqual(liveness({ ...seen, generation: 3n }), { seems: false, is: false });
  const record = deltaLeaseOffset(GEOMETRY_512_1M, 1);
  assert.equal(liveness({ ...seen, timestampS: 0n }).is, false, 'a newer generation is on disk');
  assert.ok(harness.disks.lockspace[record + 40] === 3);
});
