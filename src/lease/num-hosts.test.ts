import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../base/units.ts';
import { GEOMETRY_512_1M } from '../format/geometry.ts';
import { acquaint, ProcedureHarness } from '../sim/procedure-harness.ts';
import { convertToExclusive } from './convert.ts';
import { paxosRelease } from './paxos-release.ts';
import { acquire, take } from './testing/users.ts';

// The number of host blocks that take part is part of what a ballot decides, and blocks behind it
// are read by no host (spec 10 §18.9).

test('fewer host blocks are not taken while one of those behind is used', () => {
  const harness = new ProcedureHarness();
  const [one, two, three] = [harness.join(1), harness.join(2), harness.join(3)];
  acquaint([one, two, three]);
  take(three, { shared: true });
  const hold = take(one, { shared: true, newNumHosts: 2 });
  assert.equal(hold.leader.numHosts, 3n);
  assert.equal(one.run(convertToExclusive(one.member(), hold, true)).ok, false);
});

test('a host that takes part since blocks were added is seen, though a late leader denies it', () => {
  for (let cut = 0; cut <= 14; cut++) {
    const harness = new ProcedureHarness(10, MIB, GEOMETRY_512_1M, 2);
    const [one, two, three] = [harness.join(1), harness.join(2), harness.join(3)];
    acquaint([one, two, three]);
    const first = one.task(acquire(one, { newNumHosts: 8 }));
    first.advance(4); // proposed
    two.fate = ({ offset }) => (offset === 0 ? 'late' : 'done');
    const recorder = two.task(acquire(two));
    while (recorder.wants?.op !== 'write' || recorder.wants.offset !== 0) recorder.step();
    recorder.step();
    const got = first.run();
    assert.ok(got.ok);
    one.run(paxosRelease(one.member(), got.value, { lvb: null, rename: null }));
    const added = three.task(acquire(three));
    added.advance(cut);
    two.fate = () => 'done';
    two.land();
    const again = one.run(acquire(one));
    const other = added.run();
    assert.ok(!(again.ok && other.ok), `cut ${cut}: two owners`);
  }
});

test('more hosts than blocks take part: an acquire reads as far as the last of them', () => {
  const harness = new ProcedureHarness(10, MIB, GEOMETRY_512_1M, 2);
  const [one, many] = [harness.join(1), harness.join(40)];
  acquaint([one, many]);
  take(one);
  assert.equal(many.run(acquire(many)).ok, false);
});
