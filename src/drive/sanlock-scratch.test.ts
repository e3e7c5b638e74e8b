import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SM_CMD } from '../wire/sanlock-socket.ts';
import { lockspace, message, Stage } from './testing/front-stage.ts';

/** Longer than a process for areas without a lockspace stays unused. */
const IDLE_MS = 60_000;
const TIMEOUT = -202;

test('reads of a hung device now and then do not leave a process behind each time', () => {
  const started: string[] = [];
  const debug = (event: string) => {
    if (event === 'leaseProcess.started') started.push(event);
  };
  const stage = new Stage({ log: { error() {}, warn() {}, info() {}, debug } });
  const read = message(SM_CMD.READ_LOCKSPACE, lockspace);
  stage.run(IDLE_MS);
  started.length = 0;
  assert.equal(stage.result(read), 0);
  stage.hung = true;
  for (let n = 0; n < 10; n++) {
    assert.equal(stage.result(read), TIMEOUT);
    stage.run(IDLE_MS);
  }
  assert.equal(started.length, 5, 'four that cannot go yet, and one that serves');
  stage.hung = false;
  assert.equal(stage.result(read), 0, 'and it does serve');
});
