import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acquaint, type HarnessHost, ProcedureHarness } from '../sim/procedure-harness.ts';
import { blockAt } from './paxos-area.ts';
import type { PaxosHold } from './paxos-hold.ts';
import type { Steps } from './steps.ts';
import { ORIGINALS } from './testing/host.ts';
import { WISH } from './testing/users.ts';

// The peer of the mixed runs does what the real daemon was counted to do (spec 10 §17.2): reads of
// areas, of single sectors, and writes.

function two() {
  const harness = new ProcedureHarness();
  const [one, other] = [harness.join(1), harness.join(2)];
  acquaint([one, other]);
  return { harness, one, other };
}

function count<T>(host: HarnessHost, steps: Steps<T>): { result: T; io: string } {
  const task = host.task(steps);
  const io = { areas: 0, sectors: 0, writes: 0 };
  for (let { wants } = task; wants !== null; { wants } = task) {
    if (wants.op === 'write') io.writes++;
    if (wants.op === 'read') io[wants.length > 512 ? 'areas' : 'sectors']++;
    task.step();
  }
  assert.ok(task.result !== null);
  return { result: task.result, io: `${io.areas} + ${io.sectors}, ${io.writes}` };
}

function take(host: HarnessHost, shared: boolean): PaxosHold {
  const got = host.run(ORIGINALS.acquire(host.member(), { ...WISH, shared }));
  assert.ok(got.ok);
  return got.value;
}

test('the peer acquires and releases with the reads and writes of the original', () => {
  const { one, other } = two();
  const exclusive = count(one, ORIGINALS.acquire(one.member(), WISH));
  assert.ok(exclusive.result.ok);
  assert.equal(exclusive.io, '3 + 0, 3');
  const refused = count(other, ORIGINALS.acquire(other.member(), WISH));
  assert.ok(!refused.result.ok);
  assert.equal(refused.io, '1 + 1, 0');
  const { value: hold } = exclusive.result;
  assert.equal(count(one, ORIGINALS.release(one.member(), hold, null)).io, '0 + 1, 2');
  const shared = count(one, ORIGINALS.acquire(one.member(), { ...WISH, shared: true }));
  assert.ok(shared.result.ok);
  assert.equal(shared.io, '3 + 1, 5');
  assert.equal(count(other, ORIGINALS.acquire(other.member(), WISH)).io, '3 + 2, 5');
  const { value: sharer } = shared.result;
  assert.equal(count(one, ORIGINALS.release(one.member(), sharer, null)).io, '0 + 0, 1');
});

test('the peer converts with the reads and writes of the original', () => {
  const { harness, one, other } = two();
  const first = take(one, true);
  const second = take(other, true);
  const refused = count(one, ORIGINALS.toExclusive(one.member(), first));
  assert.ok(!refused.result.ok);
  assert.equal(refused.io, '3 + 2, 4');
  const left = blockAt(harness.disks.resource.subarray(1024, 1536), 1);
  assert.equal(left.dblock.flags, 0, 'not released, as in the fixture res-convert-refused');
  assert.ok(left.shared);
  other.run(ORIGINALS.release(other.member(), second, null));
  const granted = count(one, ORIGINALS.toExclusive(one.member(), first));
  assert.ok(granted.result.ok);
  assert.equal(granted.io, '3 + 0, 4');
  const down = count(one, ORIGINALS.toShared(one.member(), granted.result.value, null));
  assert.ok(down.result.ok);
  assert.equal(down.io, '0 + 1, 2');
});
