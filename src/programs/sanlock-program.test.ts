import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes } from '../base/bytes.ts';
import { decode, encode, zeroRecord } from '../codec/struct.ts';
import { deltaLeader } from '../format/leader.ts';
import { FrontHost } from '../sim/cluster/front-host.ts';
import {
  killpathBody,
  RES_FLAGS,
  SM_CMD,
  SM_HEADER_BYTES,
  SM_MAGIC,
  SM_PROTO,
  sanlkLockspace,
  sanlkOptions,
  smHeader,
} from '../wire/sanlock/socket.ts';
import {
  acquire,
  Harness,
  holding,
  LUN,
  lockspace,
  message,
  resource,
  T,
} from './testing/front-harness.ts';

const EMPTY = new Uint8Array(0);

test('a lease is granted to a registered client and freed by its end', () => {
  const harness = new Harness();
  assert.equal(harness.join(), 0);
  const one = holding(harness, 101);
  const two = harness.client(102);
  assert.equal(harness.result(acquire(1), two), -17); // held on this host
  one.close();
  harness.run(1000);
  assert.equal(harness.result(acquire(1), two), 0);
});

test('a persistent lease outlives its client as an orphan', () => {
  const harness = new Harness();
  harness.join();
  holding(harness, 101, 1, RES_FLAGS.PERSISTENT).close();
  harness.run(1000);
  const two = harness.client(102);
  assert.equal(harness.result(acquire(1), two), -117);
  const adopt = concatBytes([resource(1), new Uint8Array(sanlkOptions.size)]);
  assert.equal(harness.result(message(SM_CMD.ACQUIRE, adopt, { data: 1, cmdFlags: 2 }), two), 0);
});

test('kill sequence of a hung disk: SIGTERM each second from 8·t, SIGKILL after the grace', () => {
  const harness = new Harness({ killGraceS: 5 });
  harness.join();
  const client = holding(harness, 101);
  harness.run(60_000);
  const hungMs = harness.clock.nowMs();
  harness.hung = true;
  harness.run(60_000);
  const { actions } = harness.host;
  const first = actions[0];
  assert.ok(first !== undefined && first.kind === 'SIGTERM' && first.pid === 101);
  // The last renewal was at most 2·t and a tick before the hang; the kill comes 8·t after it.
  assert.ok(first.atMs >= hungMs + (8 - 2) * T * 1000 - 1000, `after ${first.atMs - hungMs} ms`);
  assert.ok(first.atMs <= hungMs + 8 * T * 1000 + 1200, `after ${first.atMs - hungMs} ms`);
  const killed = actions.find((action) => action.kind === 'SIGKILL');
  assert.ok(killed !== undefined);
  assert.ok(Math.abs(killed.atMs - first.atMs - 5000) <= 1200, `${killed.atMs - first.atMs} ms`);
  const seconds = actions.map((action) => Math.floor(action.atMs / 1000));
  assert.equal(new Set(seconds).size, seconds.length, 'at most one attempt a second');
  assert.ok(actions.length <= 100);
  assert.equal(harness.result(acquire(2), harness.client(102)), -28); // no grant any more
  client.close();
});

test('users are stopped when 8·t have passed, and not up to a second later', () => {
  for (const pausedMs of [300, 700]) {
    const harness = new Harness();
    harness.join();
    holding(harness, 101);
    harness.frontTime.pause(); // then its ticks do not come when renewals begin
    harness.run(1000 + pausedMs);
    harness.frontTime.resume();
    const renewed = () => decode(deltaLeader, harness.storage.device(LUN) ?? EMPTY).timestampS;
    const before = renewed();
    while (renewed() === before) harness.run(10);
    const renewedMs = harness.clock.nowMs();
    harness.hung = true;
    harness.run(60_000);
    const afterMs = (harness.host.actions[0]?.atMs ?? 0) - renewedMs;
    assert.ok(Math.abs(afterMs - 8 * T * 1000) <= 100, `after ${afterMs} ms`);
  }
});

test('a killpath program is run once, with its arguments and the pid; then SIGKILL', () => {
  const harness = new Harness({ killGraceS: 5 });
  harness.join();
  const client = holding(harness, 101);
  const body = { path: '/sbin/killer', args: 'arg1 two\\ words' };
  const killpath = message(SM_CMD.KILLPATH, encode(killpathBody, body), { cmdFlags: 1 });
  assert.equal(harness.result(killpath, client), 0);
  harness.hung = true;
  harness.run(60_000);
  const programs = harness.host.actions.filter((action) => action.kind === 'killpath');
  assert.deepEqual(
    programs.map((action) => action.text),
    ['/sbin/killer arg1 two words 101'],
  );
  assert.ok(harness.host.actions.some((action) => action.kind === 'SIGKILL'));
});

test('restrictions: one spared SIGKILL keeps getting SIGTERM, one spared SIGTERM is killed at once', () => {
  for (const [restrict, wanted] of [
    [2, 'SIGTERM'],
    [4, 'SIGKILL'],
  ] as const) {
    const harness = new Harness({ killGraceS: 5 });
    harness.join();
    const client = harness.client(101);
    const restriction = message(SM_CMD.RESTRICT, new Uint8Array(0), { cmdFlags: restrict });
    assert.equal(harness.result(restriction, client), 0);
    assert.equal(harness.result(acquire(1), client), 0);
    harness.hung = true;
    harness.run(60_000);
    assert.ok(harness.host.actions.length > 2);
    assert.deepEqual([...new Set(harness.host.actions.map((action) => action.kind))], [wanted]);
  }
});

test('a request of another host reaches the holder within its renewals', () => {
  const harness = new Harness();
  harness.join();
  const client = holding(harness, 101);
  const { clock, storage } = harness;
  const other = new FrontHost({ name: 'host2', clock, storage });
  const ours = { ...decode(sanlkLockspace, lockspace), hostId: 2n };
  const join = message(SM_CMD.ADD_LOCKSPACE, encode(sanlkLockspace, ours), { data: T });
  assert.equal(harness.result(join, other.connect(900)), 0);
  const graceful = { cmdFlags: 1, data: 2 };
  const request = message(SM_CMD.REQUEST, resource(1), graceful);
  assert.equal(harness.result(request, other.connect(900)), 0);
  harness.run(4 * T * 1000);
  assert.deepEqual(
    harness.host.actions.map(({ kind, pid }) => [kind, pid]),
    [['SIGTERM', 101]],
  );
  client.close();
  harness.run(1000);
  const taker = other.connect(201);
  taker.send(message(SM_CMD.REGISTER));
  assert.equal(harness.result(acquire(1), taker), 0);
});

test('removing a lockspace kills its users at once and frees the host id when they are gone', () => {
  const harness = new Harness();
  harness.join();
  const client = holding(harness, 101);
  const remover = harness.host.connect(900);
  remover.send(message(SM_CMD.REM_LOCKSPACE, lockspace));
  harness.run(1500);
  assert.equal(harness.host.actions[0]?.kind, 'SIGKILL');
  assert.equal(remover.received.length, 0, 'the answer waits for the users');
  client.close();
  harness.run(3000);
  assert.equal(decode(smHeader, Uint8Array.from(remover.received)).data, 0);
  assert.equal(harness.join(), 0);
});

test('a lost lease process: no silent restart, users are stopped when their time is up', () => {
  const harness = new Harness();
  harness.join();
  const client = holding(harness, 101);
  const lostMs = harness.clock.nowMs();
  harness.host.killLeaseProcesses();
  harness.run(1000);
  assert.equal(harness.host.actions.length, 0, 'the lease on the disk is still good');
  assert.equal(harness.result(acquire(2), harness.client(102)), -28);
  harness.run(60_000);
  const first = harness.host.actions[0];
  assert.ok(first !== undefined && first.atMs <= lostMs + 8 * T * 1000 + 1200);
  client.close();
  harness.run(10_000);
  const asked = message(SM_CMD.INQ_LOCKSPACE, lockspace);
  assert.equal(harness.result(asked), -2, 'the lockspace is gone');
});

test('a half-sent request holds up no other client', () => {
  const harness = new Harness();
  const slow = harness.host.connect(101);
  slow.send(message(SM_CMD.VERSION).subarray(0, 16));
  const other = harness.host.connect(102);
  assert.equal(harness.result(message(SM_CMD.VERSION), other), 0);
  slow.send(message(SM_CMD.VERSION).subarray(16));
  assert.equal(slow.received.length, SM_HEADER_BYTES);
});

test('a wrong magic, a newer protocol and unknown commands are dropped without a word', () => {
  const harness = new Harness();
  const peer = harness.host.connect(101);
  peer.send(message(SM_CMD.VERSION, EMPTY, { magic: 7 }));
  peer.send(message(SM_CMD.STATUS, EMPTY, { version: 0x10000 }));
  peer.send(message(4711));
  assert.equal(peer.received.length, 0);
  assert.equal(harness.result(message(SM_CMD.VERSION), peer), 0);
});

test('SHUTDOWN_WAIT is refused while a lockspace is joined, and answered at the end otherwise', () => {
  const harness = new Harness();
  harness.join();
  assert.equal(harness.result(message(SM_CMD.SHUTDOWN_WAIT, EMPTY, { data: 0 })), -16);
  const waiter = harness.host.connect(900);
  waiter.send(message(SM_CMD.SHUTDOWN_WAIT, EMPTY, { data: 1 }));
  harness.run(10_000);
  assert.equal(harness.host.ended, 0);
  const zero = { ...zeroRecord(smHeader), magic: SM_MAGIC, version: SM_PROTO, length: 32 };
  assert.deepEqual(decode(smHeader, Uint8Array.from(waiter.received)), zero);
});
