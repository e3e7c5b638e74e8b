import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LVB_SECTOR } from '../format/geometry.ts';
import { acquaint, HARNESS_PLACE, ProcedureHarness } from '../sim/procedure-harness.ts';
import { convertToShared } from './convert.ts';
import { paxosAcquire } from './paxos-acquire.ts';
import { blockAt } from './paxos-area.ts';
import { paxosRelease } from './paxos-release.ts';
import { WISH } from './testing/users.ts';

const LVB_OFFSET = LVB_SECTOR * 512;
const OWN_BLOCK = 2 * 512; // of host 1

// The value of a conversion that failed must not land over the value of the next holder.
test('a lease is not released while a value block we sent may still land', () => {
  const harness = new ProcedureHarness();
  const [one, two] = [harness.join(1), harness.join(2)];
  acquaint([one, two]);
  const got = one.run(paxosAcquire(one.member(), HARNESS_PLACE, WISH));
  assert.ok(got.ok);

  one.fate = ({ offset }) => (offset === LVB_OFFSET ? 'late' : 'done');
  const value = new Uint8Array(512).fill(7);
  assert.equal(one.run(convertToShared(one.member(), got.value, value)).ok, false);

  const release = one.task(paxosRelease(one.member(), got.value, { lvb: null, rename: null }));
  release.advance(3);
  assert.equal(two.run(paxosAcquire(two.member(), HARNESS_PLACE, WISH)).ok, false);
  one.land();
  assert.ok(release.run().ok);
  assert.equal(harness.disks.resource[LVB_OFFSET], 7);
  assert.ok(two.run(paxosAcquire(two.member(), HARNESS_PLACE, WISH)).ok);
});

// No host would take it for what it is: a sharer whose host lives refuses every exclusive request.
test('a lease is free again although the step down that failed lands after its release', () => {
  const harness = new ProcedureHarness();
  const [one, two] = [harness.join(1), harness.join(2)];
  acquaint([one, two]);
  const got = one.run(paxosAcquire(one.member(), HARNESS_PLACE, WISH));
  assert.ok(got.ok);
  one.fate = ({ offset }) => (offset === OWN_BLOCK ? 'late' : 'done');
  assert.equal(one.run(convertToShared(one.member(), got.value, null)).ok, false);
  assert.ok(one.run(paxosRelease(one.member(), got.value, { lvb: null, rename: null })).ok);
  one.fate = () => 'done';
  one.land();
  for (const rest of one.rest.splice(0)) one.run(rest());
  const block = blockAt(harness.disks.resource.subarray(OWN_BLOCK, OWN_BLOCK + 512), 1);
  assert.ok(!block.shared, 'its block says so');
  assert.ok(two.run(paxosAcquire(two.member(), HARNESS_PLACE, WISH)).ok);
});

test('a value block that was refused is lost, and the lease is released once it can land no more', () => {
  const harness = new ProcedureHarness();
  const [one, two] = [harness.join(1), harness.join(2)];
  acquaint([one, two]);
  const got = one.run(paxosAcquire(one.member(), HARNESS_PLACE, WISH));
  assert.ok(got.ok);
  one.fate = ({ offset }) => (offset === LVB_OFFSET ? 'refused' : 'done');
  const value = new Uint8Array(512).fill(7);
  assert.equal(one.run(convertToShared(one.member(), got.value, value)).ok, false, 'no step down');
  one.land();
  const lvb = new Uint8Array(512).fill(8);
  const release = one.task(paxosRelease(one.member(), got.value, { lvb, rename: null }));
  release.advance(3);
  assert.equal(two.run(paxosAcquire(two.member(), HARNESS_PLACE, WISH)).ok, false);
  one.land();
  assert.ok(release.run().ok);
  assert.ok(two.run(paxosAcquire(two.member(), HARNESS_PLACE, WISH)).ok);
});

test('a dead sharer whose block could not be cleared is waited for before the lease is released', () => {
  const harness = new ProcedureHarness();
  const [one, two, three] = [harness.join(1), harness.join(2), harness.join(3)];
  acquaint([one, two, three]);
  assert.ok(three.run(paxosAcquire(three.member(), HARNESS_PLACE, { ...WISH, shared: true })).ok);
  three.diedMs = harness.nowMs;
  harness.nowMs += 141_000;
  const block = 4 * 512; // of host 3
  one.fate = ({ offset }) => (offset === block ? 'refused' : 'done');
  assert.equal(one.run(paxosAcquire(one.member(), HARNESS_PLACE, WISH)).ok, false);
  assert.equal(one.rest.length, 1);
  three.join();
  const again = three.run(paxosAcquire(three.member(), HARNESS_PLACE, { ...WISH, shared: true }));
  assert.equal(again.ok, false, 'our leader keeps it out: the zeros may come yet');
  one.land();
  for (const rest of one.rest.splice(0)) one.run(rest());
  assert.ok(three.run(paxosAcquire(three.member(), HARNESS_PLACE, { ...WISH, shared: true })).ok);
});
