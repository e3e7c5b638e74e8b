import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BrokenInvariant } from '../base/assert.ts';
import { FrontHost } from '../sim/cluster/front-host.ts';
import { SM_CMD } from '../wire/sanlock/socket.ts';
import { Harness, lockspace, message, T } from './testing/front-harness.ts';

const HOSTID_BUSY = -262;

/** The lockspace, joined under the same host id by a second host. */
function joinsToo(harness: Harness, name: string): number {
  const { clock, storage } = harness;
  const second = new FrontHost({ name, clock, storage });
  return harness.result(message(SM_CMD.ADD_LOCKSPACE, lockspace, { data: T }), second.connect(900));
}

test('two hosts whose names differ behind what a lease keeps of them are two', () => {
  const harness = new Harness({ ourHostName: `${'h'.repeat(47)}1` });
  assert.equal(harness.join(), 0);
  assert.equal(joinsToo(harness, `${'h'.repeat(47)}2`), HOSTID_BUSY);
  assert.equal(joinsToo(harness, 'h'.repeat(46)), HOSTID_BUSY);
});

test('no host joins without a name: all such hosts would be one', () => {
  const harness = new Harness({ ourHostName: '' });
  assert.throws(() => harness.join(), BrokenInvariant);
});
