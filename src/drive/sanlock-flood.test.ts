import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SM_CMD, SM_HEADER_BYTES } from '../wire/sanlock-socket.ts';
import { concat, holding, message, Stage, T } from './testing/front-stage.ts';

const SECOND_MS = 1000;
const FLOOD = 4000;

function many(cmd: number, count: number, fields: { magic?: number } = {}): Uint8Array {
  const one = message(cmd, new Uint8Array(0), fields);
  return concat(Array.from({ length: count }, () => one));
}

for (const [what, fields] of [
  ['requests', {}],
  ['headers of no protocol', { magic: 0xdeadbeef }],
] as const) {
  test(`${what} that one client sends ahead do not hold up another one`, () => {
    const stage = new Stage();
    const [flooder, other] = [stage.client(101), stage.client(102)];
    flooder.send(concat([many(SM_CMD.VERSION, 1), many(SM_CMD.VERSION, FLOOD, fields)]));
    flooder.send(many(SM_CMD.VERSION, 1));
    other.send(message(SM_CMD.VERSION));
    stage.clock.step();
    assert.equal(other.received.length, SM_HEADER_BYTES);
    assert.ok(flooder.received.length <= 3 * SM_HEADER_BYTES);
    stage.run(SECOND_MS);
    const answers = 'magic' in fields ? 2 : FLOOD + 2;
    assert.equal(flooder.received.length, answers * SM_HEADER_BYTES, 'all is served in the end');
  });
}

test('the end of a connection comes behind what was sent before it', () => {
  const stage = new Stage();
  const peer = stage.client(101);
  peer.send(many(SM_CMD.VERSION, 3));
  peer.close();
  stage.run(SECOND_MS);
  assert.equal(peer.received.length, 3 * SM_HEADER_BYTES);
  assert.equal(stage.result(message(SM_CMD.VERSION), stage.client(102)), 0);
});

test('who does not read its answers is served no further, until it does', () => {
  const stage = new Stage();
  const peer = stage.client(101);
  peer.unsentBytes = 1;
  peer.send(many(SM_CMD.VERSION, 100));
  stage.run(SECOND_MS);
  assert.equal(peer.received.length, 0);
  assert.equal(stage.result(message(SM_CMD.VERSION), stage.client(102)), 0);
  peer.takeAll();
  stage.run(SECOND_MS);
  assert.equal(peer.received.length, 100 * SM_HEADER_BYTES);
});

test('a front that stood still beyond its expiry hears first of the renewals in time', () => {
  const stage = new Stage();
  stage.join();
  holding(stage, 101);
  stage.run(2 * SECOND_MS);
  stage.frontTime.pause();
  stage.run(20 * T * SECOND_MS);
  stage.frontTime.resume();
  stage.run(60 * SECOND_MS);
  assert.deepEqual(stage.host.deeds, []);
});

test('a front that stood still, and its lease process too, stops the users at once', () => {
  const stage = new Stage();
  stage.join();
  holding(stage, 101);
  stage.run(2 * SECOND_MS);
  stage.frontTime.pause();
  stage.leaseTime.pause();
  stage.run(20 * T * SECOND_MS);
  stage.frontTime.resume();
  const atMs = stage.clock.nowMs();
  stage.run(SECOND_MS);
  assert.equal(stage.host.deeds[0]?.pid, 101);
  assert.equal(stage.host.deeds[0]?.atMs, atMs);
});
