import assert from 'node:assert/strict';
import test from 'node:test';
import { WdmdStage } from '../drive/testing/wdmd-stage.ts';

test('without clients: pinged at the start, from then on every 10 s', () => {
  const stage = new WdmdStage();
  stage.at(30);
  assert.deepEqual(stage.told, ['0 open', '0 ping', '10 ping', '20 ping', '30 ping']);
});

test('an expiry 25 s ahead that is renewed at 30: the recorded life (spec 25 §4)', () => {
  const stage = new WdmdStage();
  stage.at(6);
  stage.told.length = 0;
  const client = stage.connect(); // the first event tests: 6, 16, 26 …
  client.begin('sanlock_LS:1', stage.nowS(), stage.nowS() + 20);
  stage.at(30);
  assert.deepEqual(stage.told, ['6 ping', '16 close']);
  assert.equal(stage.status().testInterval, 1);
  assert.ok(stage.logged.includes('test.failed'));
  client.live(stage.nowS(), stage.nowS() + 80);
  stage.at(52); // within a second, at the next test
  assert.deepEqual(stage.told.slice(2), ['31 open', '31 ping', '41 ping', '51 ping']);
  assert.equal(stage.status().testInterval, 10);
});

test('closed uncleanly at the first test 10 s before the expiry, not sooner', () => {
  for (const [expire, closedAt] of [
    [29, 20],
    [30, 20],
    [31, 30],
  ] as const) {
    const stage = new WdmdStage();
    stage.connect().begin('x', 1000, 1000 + expire);
    stage.at(35);
    assert.equal(
      stage.told.find((what) => what.endsWith('close')),
      `${closedAt} close`,
    );
  }
});

test('expiry 0 is not tested; an expiry of any 64 bits breaks nothing', () => {
  const stage = new WdmdStage();
  const client = stage.connect();
  client.live(5, 0);
  stage.at(20);
  client.send({ cmd: 4, renewalTime: 2n ** 64n - 1n, expireTime: 2n ** 64n - 1n });
  stage.at(40);
  assert.ok(!stage.told.some((what) => what.endsWith('close')));
  client.live(0, 3); // long ago: others have not waited for us
  stage.at(50);
  assert.equal(stage.told.at(-1), '40 setTimeout 1');
  assert.equal(stage.resetMs, 41_000);
});

test('a client that dies with an expiry stays, fails, and keeps SIGTERM out', () => {
  const stage = new WdmdStage();
  const client = stage.connect();
  client.begin('sanlock_LS:1', 1000, 1080);
  client.close();
  assert.match(stage.dump(), /client 2 name sanlock_LS:1 pid 500 fd -1 dead 1 ref 1/);
  stage.at(200);
  assert.deepEqual(stage.told.slice(-2), ['60 ping', '70 close']);
  stage.program.terminate();
  assert.equal(stage.hasEnded, false);
  assert.equal(stage.told.at(-1), '70 close'); // nothing reopens it
});

test('SIGTERM: refused while a refcount is held, then disarms', () => {
  const stage = new WdmdStage();
  const client = stage.connect();
  client.begin('x', 1000, 1080);
  stage.program.terminate();
  assert.equal(stage.hasEnded, false);
  client.live(0, 0);
  client.send({ cmd: 3 });
  client.close();
  stage.program.terminate();
  assert.equal(stage.hasEnded, true);
  assert.equal(stage.told.at(-1), '0 disarm');
  stage.at(100);
  assert.equal(stage.told.at(-1), '0 disarm');
});

test('SIGTERM while tests fail and nobody holds a refcount: the device stays armed', () => {
  const stage = new WdmdStage();
  stage.connect().live(1000, 1012);
  stage.at(13);
  stage.program.terminate();
  assert.equal(stage.hasEnded, true);
  assert.equal(stage.told.at(-1), '10 close');
});

test('a device that cannot be reopened is tried again every second', () => {
  const stage = new WdmdStage();
  const client = stage.connect();
  client.begin('x', 1000, 1012);
  stage.at(11);
  stage.openErrno = 16;
  client.live(1011, 1100);
  stage.at(14);
  stage.openErrno = 0;
  stage.at(16);
  assert.deepEqual(stage.told.slice(-2), ['15 open', '15 ping']);
  assert.ok(stage.logged.includes('device.notReopened'));
});

test('a ping that fails is told, and last_keepalive stays', () => {
  const stage = new WdmdStage();
  stage.pingErrno = 5;
  stage.at(25);
  assert.equal(stage.status().lastKeepalive, 1000n);
  assert.ok(stage.logged.includes('device.notPinged'));
});
