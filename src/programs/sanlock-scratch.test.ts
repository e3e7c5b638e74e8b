import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SM_CMD } from '../wire/sanlock/socket.ts';
import { Harness, lockspace, message } from './testing/front-harness.ts';

/** Longer than a process for areas without a lockspace stays unused. */
const IDLE_MS = 60_000;
const TIMEOUT = -202;

test('reads of a hung device now and then do not leave a process behind each time', () => {
  const started: string[] = [];
  const debug = (event: string) => {
    if (event === 'leaseProcess.started') started.push(event);
  };
  const harness = new Harness({ log: { error() {}, warn() {}, info() {}, debug } });
  const read = message(SM_CMD.READ_LOCKSPACE, lockspace);
  harness.run(IDLE_MS);
  started.length = 0;
  assert.equal(harness.result(read), 0);
  harness.hung = true;
  for (let n = 0; n < 10; n++) {
    assert.equal(harness.result(read), TIMEOUT);
    harness.run(IDLE_MS);
  }
  assert.equal(started.length, 5, 'four that cannot go yet, and one that serves');
  harness.hung = false;
  assert.equal(harness.result(read), 0, 'and it does serve');
});
