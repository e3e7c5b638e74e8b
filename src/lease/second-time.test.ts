import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode } from '../codec/struct.ts';
import { DBLOCK_FLAGS } from '../format/dblock.ts';
import { leaderChecksum, paxosLeader } from '../format/leader.ts';
import { acquaint, HARNESS_PLACE, ProcedureHarness } from '../sim/procedure-harness.ts';
import { convertToExclusive } from './convert.ts';
import { blockAt } from './paxos-area.ts';
import { acquire, release, take } from './testing/users.ts';

// A host that found a version to be over goes on to the next. So no host may be granted, after
// that, what was over: not even the one whose version it was (spec 10 §18.8).

const CUTS = 14;
/** Of the last of three hosts; every one where there is time. */
const RIVAL_STEP = process.env['EVERY_CUT'] === undefined ? 3 : 1;
const NAME_AT = paxosLeader.fields.resourceName.offset;
const CHECKSUM_AT = paxosLeader.fields.checksum.offset;
const OWN_BLOCK = 2 * 512; // of host 1

function four() {
  const harness = new ProcedureHarness();
  const [one, two, three, four] = [
    harness.join(1),
    harness.join(2),
    harness.join(3),
    harness.join(4),
  ];
  acquaint([one, two, three, four]);
  return { harness, one, two, three, four };
}

test('a proposal taken back and recorded by another host is not granted when proposed again', () => {
  for (let cut = 0; cut <= CUTS; cut++) {
    for (let ownCut = 0; ownCut <= CUTS; ownCut++) {
      for (let rivalCut = 0; rivalCut <= CUTS; rivalCut += RIVAL_STEP) {
        const { harness, one, three, four: rival } = four();
        let writes = 0;
        one.fate = ({ offset }) => (offset === OWN_BLOCK && ++writes === 2 ? 'landed' : 'done');
        assert.ok(!one.run(acquire(one)).ok);
        const recorder = three.task(acquire(three));
        recorder.advance(cut);
        const own = one.task(acquire(one));
        own.advance(ownCut);
        recorder.run();
        const last = rival.task(acquire(rival));
        last.advance(rivalCut);
        own.run();
        last.run();
        const owners = [own, recorder, last].filter(({ result }) => result?.ok === true);
        assert.ok(owners.length <= 1, `cuts ${cut}, ${ownCut} and ${rivalCut}: two owners`);
        harness.close();
      }
    }
  }
});

test('values proposed again, and refused again, are taken back again', () => {
  const { harness, one } = four();
  let writes = 0;
  one.fate = ({ offset }) => (offset === OWN_BLOCK && ++writes === 2 ? 'landed' : 'done');
  assert.ok(!one.run(acquire(one)).ok);
  writes = 1; // the next one is the announcement, with the values of before
  assert.ok(!one.run(acquire(one)).ok);
  const { dblock } = blockAt(harness.disks.resource.subarray(OWN_BLOCK, OWN_BLOCK + 512), 1);
  assert.equal(dblock.inpHostId, 1n);
  assert.notEqual(dblock.flags & DBLOCK_FLAGS.RELEASED, 0);
});

/**
 * Host 2 had version 2, host 4 finds that it is over, and then an old record of version 1 lands
 * over its leader: host 3 had written it for host 1.
 */
function fallen(rivalCut: number, how: 'released' | 'shared' | 'former membership') {
  const { harness, one, two, three, four: rival } = four();
  const first = one.task(acquire(one));
  first.advance(4); // proposed
  three.fate = ({ offset }) => (offset === 0 ? 'late' : 'done');
  const recorded = three.task(acquire(three));
  while (recorded.wants?.op !== 'write' || recorded.wants.offset !== 0) recorded.step();
  recorded.step();
  const got = first.run();
  assert.ok(got.ok);
  release(one, got.value);
  const held = take(two, { shared: how === 'shared' });
  if (how === 'released') release(two, held);
  if (how === 'former membership') two.join();
  const last = rival.task(acquire(rival, { shared: how === 'shared' }));
  last.advance(rivalCut);
  const leader = () => decode(paxosLeader, harness.disks.resource);
  assert.ok(leader().lver >= 2n);
  three.land();
  assert.equal(leader().lver, 1n);
  return { two, last, held };
}

for (const how of ['released', 'former membership'] as const) {
  test(`a leader fell behind: the version of its host (${how}) is not granted once more`, () => {
    for (let rivalCut = 0; rivalCut <= CUTS; rivalCut++) {
      const { two, last } = fallen(rivalCut, how);
      const again = two.run(acquire(two));
      const other = last.run();
      assert.ok(!(again.ok && other.ok), `cut ${rivalCut}: two owners`);
    }
  });
}

test('a leader fell behind: nor does the sharer whose version it was step up to it', () => {
  for (let rivalCut = 0; rivalCut <= CUTS; rivalCut++) {
    const { two, last, held } = fallen(rivalCut, 'shared');
    const up = two.run(convertToExclusive(two.member(), held, true));
    const other = last.run();
    assert.ok(!(up.ok && other.ok), `cut ${rivalCut}: exclusive beside shared`);
  }
});

// Others may leave anything behind the NUL of a name: the record is the same.
test('a leader with bytes behind its name is no leader recorded meanwhile', () => {
  const { harness, one } = four();
  const disk = harness.disks.resource;
  disk[NAME_AT + HARNESS_PLACE.resourceName.length + 1] = 0x5a;
  new DataView(disk.buffer).setUint32(CHECKSUM_AT, leaderChecksum(disk), true);
  const got = one.run(acquire(one));
  assert.ok(got.ok, got.ok ? '' : got.error.error.code);
});
