import assert from 'node:assert/strict';
import test from 'node:test';
import { WdmdHarness } from '../programs/testing/wdmd-harness.ts';

test('without clients: pinged at the start, from then on every 10 s', () => {
  const harness = new WdmdHarness();
  harness.at(30);
  assert.deepEqual(harness.performed, ['0 open', '0 ping', '10 ping', '20 ping', '30 ping']);
});

test('an expiry 25 s ahead that is renewed at 30: the recorded course (spec 25 §4)', () => {
  const harness = new WdmdHarness();
  harness.at(6);
  harness.performed.length = 0;
  const client = harness.connect(); // the first event tests: 6, 16, 26 …
  client.begin('sanlock_LS:1', harness.nowS(), harness.nowS() + 20);
  harness.at(30);
  assert.deepEqual(harness.performed, ['6 ping', '16 close']);
  assert.equal(harness.status().testInterval, 1);
  assert.ok(harness.logged.includes('test.failed'));
  client.live(harness.nowS(), harness.nowS() + 80);
  harness.at(52); // within a second, at the next test
  assert.deepEqual(harness.performed.slice(2), ['31 open', '31 ping', '41 ping', '51 ping']);
  assert.equal(harness.status().testInterval, 10);
});

test('closed uncleanly at the first test 10 s before the expiry, not sooner', () => {
  for (const [expire, closedAt] of [
    [29, 20],
    [30, 20],
    [31, 30],
  ] as const) {
    const harness = new WdmdHarness();
    harness.connect().begin('x', 1000, 1000 + expire);
    harness.at(35);
    assert.equal(
      harness.performed.find((what) => what.endsWith('close')),
      `${closedAt} close`,
    );
  }
});

test('expiry 0 is not tested; an expiry of any 64 bits breaks nothing', () => {
  const harness = new WdmdHarness();
  const client = harness.connect();
  client.live(5, 0);
  harness.at(20);
  client.send({ cmd: 4, renewalTime: 2n ** 64n - 1n, expireTime: 2n ** 64n - 1n });
  harness.at(40);
  assert.ok(!harness.performed.some((what) => what.endsWith('close')));
  client.live(0, 3); // long ago: others have not waited for us
  harness.at(50);
  assert.equal(harness.performed.at(-1), '40 setTimeout 1');
  assert.equal(harness.resetMs, 41_000);
});

test('a client that dies with an expiry is remembered, fails, and keeps SIGTERM out', () => {
  const harness = new WdmdHarness();
  const client = harness.connect();
  client.begin('sanlock_LS:1', 1000, 1080);
  client.close();
  assert.match(harness.dump(), /client 2 name sanlock_LS:1 pid 500 fd -1 dead 1 ref 1/);
  harness.at(200);
  assert.deepEqual(harness.performed.slice(-2), ['60 ping', '70 close']);
  harness.program.terminate();
  assert.equal(harness.hasEnded, false);
  assert.equal(harness.performed.at(-1), '70 close'); // nothing reopens it
});

test('SIGTERM: refused while a refcount is held, then disarms', () => {
  const harness = new WdmdHarness();
  const client = harness.connect();
  client.begin('x', 1000, 1080);
  harness.program.terminate();
  assert.equal(harness.hasEnded, false);
  client.live(0, 0);
  client.send({ cmd: 3 });
  client.close();
  harness.program.terminate();
  assert.equal(harness.hasEnded, true);
  assert.equal(harness.performed.at(-1), '0 disarm');
  harness.at(100);
  assert.equal(harness.performed.at(-1), '0 disarm');
});

test('SIGTERM while tests fail and no client holds a refcount: the device stays armed', () => {
  const harness = new WdmdHarness();
  harness.connect().live(1000, 1012);
  harness.at(13);
  harness.program.terminate();
  assert.equal(harness.hasEnded, true);
  assert.equal(harness.performed.at(-1), '10 close');
});

test('a device that cannot be reopened is tried again every second', () => {
  const harness = new WdmdHarness();
  const client = harness.connect();
  client.begin('x', 1000, 1012);
  harness.at(11);
  harness.openErrno = 16;
  client.live(1011, 1100);
  harness.at(14);
  harness.openErrno = 0;
  harness.at(16);
  assert.deepEqual(harness.performed.slice(-2), ['15 open', '15 ping']);
  assert.ok(harness.logged.includes('device.notReopened'));
});

test('a ping that fails is logged, and last_keepalive stays', () => {
  const harness = new WdmdHarness();
  harness.pingErrno = 5;
  harness.at(25);
  assert.equal(harness.status().lastKeepalive, 1000n);
  assert.ok(harness.logged.includes('device.notPinged'));
});
