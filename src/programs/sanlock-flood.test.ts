import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes } from '../base/bytes.ts';
import { SECOND_MS } from '../base/units.ts';
import { SM_CMD, SM_HEADER_BYTES } from '../wire/sanlock/socket.ts';
import { Harness, holding, message, T } from './testing/front-harness.ts';

const FLOOD = 4000;

function many(cmd: number, count: number, fields: { magic?: number } = {}): Uint8Array {
  const one = message(cmd, new Uint8Array(0), fields);
  return concatBytes(Array.from({ length: count }, () => one));
}

for (const [what, fields] of [
  ['requests', {}],
  ['headers of no protocol', { magic: 0xdeadbeef }],
] as const) {
  test(`${what} that one client sends ahead do not hold up another one`, () => {
    const harness = new Harness();
    const [flooder, other] = [harness.client(101), harness.client(102)];
    flooder.send(concatBytes([many(SM_CMD.VERSION, 1), many(SM_CMD.VERSION, FLOOD, fields)]));
    flooder.send(many(SM_CMD.VERSION, 1));
    other.send(message(SM_CMD.VERSION));
    harness.clock.step();
    assert.equal(other.received.length, SM_HEADER_BYTES);
    assert.ok(flooder.received.length <= 3 * SM_HEADER_BYTES);
    harness.run(SECOND_MS);
    const answers = 'magic' in fields ? 2 : FLOOD + 2;
    assert.equal(flooder.received.length, answers * SM_HEADER_BYTES, 'all is served in the end');
  });
}

test('the end of a connection comes behind what was sent before it', () => {
  const harness = new Harness();
  const peer = harness.client(101);
  peer.send(many(SM_CMD.VERSION, 3));
  peer.close();
  harness.run(SECOND_MS);
  assert.equal(peer.received.length, 3 * SM_HEADER_BYTES);
  assert.equal(harness.result(message(SM_CMD.VERSION), harness.client(102)), 0);
});

test('a client that does not read its answers is served no further until it does', () => {
  const harness = new Harness();
  const peer = harness.client(101);
  peer.unsentBytes = 1;
  peer.send(many(SM_CMD.VERSION, 100));
  harness.run(SECOND_MS);
  assert.equal(peer.received.length, 0);
  assert.equal(harness.result(message(SM_CMD.VERSION), harness.client(102)), 0);
  peer.takeAll();
  harness.run(SECOND_MS);
  assert.equal(peer.received.length, 100 * SM_HEADER_BYTES);
});

test('a front that stood still beyond its expiry takes the renewals in time first', () => {
  const harness = new Harness();
  harness.join();
  holding(harness, 101);
  harness.run(2 * SECOND_MS);
  harness.frontTime.pause();
  harness.run(20 * T * SECOND_MS);
  harness.frontTime.resume();
  harness.run(60 * SECOND_MS);
  assert.deepEqual(harness.host.actions, []);
});

test('a front that stood still, and its lease process too, stops the users at once', () => {
  const harness = new Harness();
  harness.join();
  holding(harness, 101);
  harness.run(2 * SECOND_MS);
  harness.frontTime.pause();
  harness.leaseTime.pause();
  harness.run(20 * T * SECOND_MS);
  harness.frontTime.resume();
  const atMs = harness.clock.nowMs();
  harness.run(SECOND_MS);
  assert.equal(harness.host.actions[0]?.pid, 101);
  assert.equal(harness.host.actions[0]?.atMs, atMs);
});
