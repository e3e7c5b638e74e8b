import assert from 'node:assert/strict';
import test from 'node:test';
import { LvmlockdHarness } from './testing/lvmlockd-harness.ts';

const HELLO = 'request="hello"\n##\n';
const INFO = 'request="info"\n##\n';
const FLOOD = 4000;

function answers(harness: LvmlockdHarness, name: string): number {
  return harness.replies.get(name)?.length ?? 0;
}

test('requests that one client sends ahead do not delay another client, and are all served', () => {
  for (const request of [HELLO, INFO]) {
    const harness = new LvmlockdHarness([]);
    harness.connect('flooder');
    harness.connect('other');
    harness.send('flooder', request.repeat(FLOOD));
    assert.ok(answers(harness, 'flooder') <= 1, 'one in a turn');
    assert.ok(harness.isPaused('flooder'), 'nothing more is read meanwhile');
    harness.send('other', HELLO);
    harness.pass(0);
    assert.equal(answers(harness, 'other'), 1);
    harness.pass(FLOOD);
    assert.equal(answers(harness, 'flooder'), FLOOD);
    assert.ok(!harness.isPaused('flooder'));
  }
});

test('a client that does not read its answers is not served until it does', () => {
  const harness = new LvmlockdHarness([]);
  harness.connect('deaf');
  harness.reads('deaf', false);
  harness.send('deaf', INFO.repeat(100));
  harness.pass(1000);
  assert.equal(answers(harness, 'deaf'), 0);
  assert.equal(harness.dumps.length, 0);
  harness.reads('deaf', true);
  harness.pass(1000);
  assert.equal(answers(harness, 'deaf'), 100);
});

test('requests that a client sent ahead end with its connection', () => {
  const harness = new LvmlockdHarness([]);
  harness.connect('flooder');
  harness.send('flooder', HELLO.repeat(FLOOD));
  harness.close('flooder');
  harness.pass(FLOOD);
  assert.ok(answers(harness, 'flooder') <= 1);
  harness.connect('other');
  harness.send('other', HELLO);
  assert.equal(answers(harness, 'other'), 1);
});
