import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acquaint, HARNESS_PLACE, ProcedureHarness } from '../sim/procedure-harness.ts';
import { type AcquireWish, paxosAcquire } from './paxos-acquire.ts';
import { blockAt } from './paxos-area.ts';
import { WISH } from './testing/users.ts';

const CUTS = 8;
const RIVAL_CUTS = 12;
/** Which writes of host 1's block go unanswered: one of these is its taking back, if it has any. */
const UNANSWERED = [3, 4, 5, 6];
const OWN_BLOCK = 2 * 512; // of host 1
const SHARED: AcquireWish = { ...WISH, shared: true };

/** Host 1 has proposed itself, and host 3 records that for it: the leader names host 1. */
function recorded(unanswered: number | null) {
  const harness = new ProcedureHarness();
  const [one, two, three] = [harness.join(1), harness.join(2), harness.join(3)];
  acquaint([one, two, three]);
  let writes = 0;
  one.fate = ({ offset }) => (offset === OWN_BLOCK && ++writes === unanswered ? 'landed' : 'done');
  const first = one.task(paxosAcquire(one.member(), HARNESS_PLACE, SHARED));
  while (writes < 2) first.step();
  three.run(paxosAcquire(three.member(), HARNESS_PLACE, WISH));
  return { harness, one, two, first };
}

/**
 * Host 1 and host 2 share at once. Where host 1 loses, it has its block to take back, and that
 * write goes unanswered.
 * @returns whether work goes on after the answer
 */
function meeting(cut: number, rivalCut: number, unanswered: number): boolean {
  const { harness, one, two, first } = recorded(unanswered);
  const second = two.task(paxosAcquire(two.member(), HARNESS_PLACE, SHARED));
  first.advance(cut);
  second.advance(rivalCut);
  while (first.wants !== null || second.wants !== null) {
    first.step();
    second.step();
  }
  const left = one.rest.splice(0);
  for (const rest of left) one.run(rest());
  if (first.result?.ok === true) {
    const block = blockAt(harness.disks.resource.subarray(OWN_BLOCK, OWN_BLOCK + 512), 1);
    assert.ok(block.shared, `cut ${cut} and ${rivalCut}, write ${unanswered}: still held on disk`);
  }
  return left.length > 0;
}

test('what a shared acquire goes on to take back never wipes the hold of its next attempt', () => {
  let left = 0;
  for (let cut = 0; cut <= CUTS; cut++) {
    for (let rivalCut = 0; rivalCut <= RIVAL_CUTS; rivalCut++) {
      for (const write of UNANSWERED) if (meeting(cut, rivalCut, write)) left++;
    }
  }
  assert.ok(left > 0, 'some meetings leave work behind');
});

test('an owner whose leader another host wrote: refused as owned, with few retries too', () => {
  for (const sharedRetries of [0, 1, 2, 8]) {
    const { two } = recorded(null);
    const got = two.run(paxosAcquire({ ...two.member(), sharedRetries }, HARNESS_PLACE, SHARED));
    assert.ok(!got.ok);
    assert.equal(got.error.error.code, 'ACQUIRE_IDLIVE', `${sharedRetries} retries`);
  }
});
