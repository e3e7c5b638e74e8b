import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodePaxosLeader } from '../format/leader.ts';
import { acquaint, HARNESS_PLACE, ProcedureHarness } from '../sim/procedure-harness.ts';
import { paxosAcquire } from './paxos-acquire.ts';
import { paxosRelease } from './paxos-release.ts';
import { WISH } from './testing/users.ts';

for (const shared of [false, true]) {
  for (const [refusals, where] of [
    [1, 'the first write'],
    [2, 'two writes'],
    [7, 'all for a while'],
  ] as const) {
    test(`the device refuses a release (${where}, shared: ${shared}): reported, and made good`, () => {
      const harness = new ProcedureHarness();
      const [one, two] = [harness.join(1), harness.join(2)];
      acquaint([one, two]);
      const got = one.run(paxosAcquire(one.member(), HARNESS_PLACE, { ...WISH, shared }));
      assert.ok(got.ok);
      let left = refusals as number;
      one.fate = () => (left-- > 0 ? 'failed' : 'done');
      const gone = one.run(paxosRelease(one.member(), got.value, { lvb: null, rename: null }));
      // The free leader alone may have landed: then the lease is free, in spite of the refusals.
      if (!gone.ok) assert.deepEqual([gone.error.code, gone.error.errno], ['ERRNO', 5]);
      if (refusals > 2 || shared) assert.ok(!gone.ok);
      for (const rest of one.rest.splice(0)) one.run(rest());
      assert.ok(two.run(paxosAcquire(two.member(), HARNESS_PLACE, WISH)).ok);
    });
  }
}

test('a refused release is not repeated once our membership is over', () => {
  const harness = new ProcedureHarness();
  const one = harness.join(1);
  const got = one.run(paxosAcquire(one.member(), HARNESS_PLACE, WISH));
  assert.ok(got.ok);
  one.fate = () => 'failed';
  assert.ok(!one.run(paxosRelease(one.member(), got.value, { lvb: null, rename: null })).ok);
  one.ended = true;
  let writes = 0;
  one.fate = () => {
    writes++;
    return 'done';
  };
  const before = harness.disks.resource.slice();
  for (const rest of one.rest.splice(0)) one.run(rest());
  assert.equal(writes, 0);
  assert.deepEqual(harness.disks.resource, before);
});

test('a lease whose win another host recorded is free after its release, and not renamed', () => {
  const harness = new ProcedureHarness();
  const [one, two] = [harness.join(1), harness.join(2)];
  acquaint([one, two]);
  const got = one.run(paxosAcquire(one.member(), HARNESS_PLACE, WISH));
  assert.ok(got.ok);
  encodePaxosLeader({ ...got.value.leader, writeId: 2n }, harness.disks.resource);
  const gone = one.run(paxosRelease(one.member(), got.value, { lvb: null, rename: 'new' }));
  assert.ok(!gone.ok);
  assert.equal(gone.error.code, 'RELEASE_OWNER');
  assert.ok(two.run(paxosAcquire(two.member(), HARNESS_PLACE, WISH)).ok, 'under its old name');
});
