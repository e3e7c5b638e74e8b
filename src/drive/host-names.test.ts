import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BrokenInvariant } from '../base/assert.ts';
import { FrontHost } from '../sim/front-host.ts';
import { SM_CMD } from '../wire/sanlock-socket.ts';
import { lockspace, message, Stage, T } from './testing/front-stage.ts';

const HOSTID_BUSY = -262;

/** The lockspace, joined under the same host id by a second host. */
function joinsToo(stage: Stage, name: string): number {
  const { clock, storage } = stage;
  const second = new FrontHost({ name, clock, storage });
  return stage.result(message(SM_CMD.ADD_LOCKSPACE, lockspace, { data: T }), second.connect(900));
}

test('two hosts whose names differ behind what a lease keeps of them are two', () => {
  const stage = new Stage({ ourHostName: `${'h'.repeat(47)}1` });
  assert.equal(stage.join(), 0);
  assert.equal(joinsToo(stage, `${'h'.repeat(47)}2`), HOSTID_BUSY);
  assert.equal(joinsToo(stage, 'h'.repeat(46)), HOSTID_BUSY);
});

test('no host joins without a name: all such hosts would be one', () => {
  const stage = new Stage({ ourHostName: '' });
  assert.throws(() => stage.join(), BrokenInvariant);
});
