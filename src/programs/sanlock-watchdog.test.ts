import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, encode } from '../codec/struct.ts';
import { deltaLeader } from '../format/leader.ts';
import { FakePeer, socketsTo } from '../ports/testing/fake-peer.ts';
import { FrontHost } from '../sim/cluster/front-host.ts';
import { MemoryJournal } from '../sim/kernel/journal.ts';
import { SM_CMD } from '../wire/sanlock/socket.ts';
import { TAKE_OVER_ANSWER, WDMD_CMD, type WdmdMessage, wdmdMessage } from '../wire/wdmd/socket.ts';
import { acquire, Harness, holding, LUN, lockspace, message, T } from './testing/front-harness.ts';

const WD_ERROR = -203;

/** A wdmd of either generation: the messages it received, and its answers. */
class FakeWdmd {
  readonly received: WdmdMessage[] = [];
  isThere = true;
  fireTimeout = 60;
  /** null: 3.8.5, which does not know the request. */
  openAnswer: number | null = 60;
  /** null: an original, which does not know TAKE_OVER. */
  takeOver: { readonly flags: number } | null = null;
  /** Answers to STATUS wait until it is called. */
  late: (() => void)[] | null = null;
  readonly #peers: FakePeer[] = [];
  onMessage: (message: WdmdMessage) => void = () => {};

  readonly sockets = socketsTo(() => {
    if (!this.isThere) return null;
    const peer = new FakePeer((bytes, from) => this.#hear(bytes, from));
    this.#peers.push(peer);
    return peer;
  });

  get connections(): number {
    return this.#peers.length;
  }

  get endedByDaemon(): number {
    return this.#peers.filter(({ isClosed }) => isClosed).length;
  }

  get commands(): number[] {
    return this.received.map(({ cmd }) => cmd);
  }

  die(): void {
    this.isThere = false;
    this.#peers.at(-1)?.hangUp();
  }

  #hear(bytes: Uint8Array, peer: FakePeer): void {
    const got = decode(wdmdMessage, bytes);
    const answer = (record: WdmdMessage) => peer.say(encode(wdmdMessage, record));
    this.received.push(got);
    this.onMessage(got);
    const { openAnswer, fireTimeout } = this;
    const status = () => answer({ ...got, fireTimeout, testInterval: 10 });
    if (got.cmd === WDMD_CMD.STATUS && this.late !== null) this.late.push(status);
    else if (got.cmd === WDMD_CMD.STATUS) status();
    if (got.cmd === WDMD_CMD.TAKE_OVER && this.takeOver !== null) {
      answer({ ...got, ...this.takeOver });
    }
    if (got.cmd === WDMD_CMD.OPEN_WATCHDOG && openAnswer !== null) {
      answer({ ...got, fireTimeout: openAnswer });
    }
  }
}

function harnessWith(wdmd: FakeWdmd, watchdogFireTimeoutS = 60): Harness {
  const settings = { killGraceS: 5, useWatchdog: true, watchdogFireTimeoutS };
  return new Harness({ ...settings, sockets: wdmd.sockets });
}

function hostLease(harness: Harness) {
  const device = harness.storage.device(LUN);
  assert.ok(device !== undefined);
  return decode(deltaLeader, device, 0);
}

const { OPEN_WATCHDOG, REGISTER, REFCOUNT_SET, REFCOUNT_CLEAR, STATUS, TEST_LIVE, TAKE_OVER } =
  WDMD_CMD;

for (const [generation, openAnswer] of [
  ['3.8.5', null],
  ['later', 60],
] as const) {
  test(`each renewal is reported to wdmd (${generation}), which is released before the host id`, () => {
    const wdmd = new FakeWdmd();
    wdmd.openAnswer = openAnswer;
    const harness = harnessWith(wdmd);
    assert.equal(harness.join(), 0);
    assert.deepEqual(wdmd.commands, [OPEN_WATCHDOG, REGISTER, REFCOUNT_SET, STATUS, TEST_LIVE]);
    assert.equal(wdmd.received[1]?.name, 'sanlock_LS:1');
    const first = wdmd.received[4];
    assert.ok(first !== undefined);
    assert.equal(first.renewalTime, hostLease(harness).timestampS);
    assert.equal(first.expireTime - first.renewalTime, BigInt(8 * T));

    harness.run(4 * 2 * T * 1000);
    const renewals = wdmd.received.slice(5);
    assert.ok(renewals.length >= 3 && renewals.every(({ cmd }) => cmd === TEST_LIVE));
    assert.equal(renewals.at(-1)?.renewalTime, hostLease(harness).timestampS);

    const before = wdmd.received.length;
    const seen: bigint[] = [];
    wdmd.onMessage = () => seen.push(hostLease(harness).timestampS);
    assert.equal(harness.result(message(SM_CMD.REM_LOCKSPACE, lockspace)), 0);
    const last = wdmd.received.slice(before);
    assert.deepEqual(
      last.map(({ cmd, expireTime }) => [cmd, expireTime]),
      [
        [TEST_LIVE, 0n],
        [REFCOUNT_CLEAR, 0n],
      ],
    );
    assert.ok(seen.every((timestampS) => timestampS !== 0n));
    assert.equal(hostLease(harness).timestampS, 0n);
    assert.equal(wdmd.endedByDaemon, 1);
  });
}

test('without wdmd nothing of a lockspace is written', () => {
  const wdmd = new FakeWdmd();
  const harness = harnessWith(wdmd);
  const before = { ...hostLease(harness) };
  wdmd.isThere = false;
  assert.equal(harness.join(), WD_ERROR);
  wdmd.isThere = true;
  wdmd.openAnswer = 0;
  assert.equal(harness.join(), WD_ERROR);
  assert.deepEqual(hostLease(harness), before);
  wdmd.openAnswer = 60;
  assert.equal(harness.join(), 0);
});

test('a wdmd with another fire timeout gets no lockspace, and the host id is released', () => {
  const wdmd = new FakeWdmd();
  wdmd.fireTimeout = 30;
  const harness = harnessWith(wdmd);
  assert.equal(harness.join(), WD_ERROR);
  const { timestampS, ownerGeneration } = hostLease(harness);
  assert.deepEqual([timestampS, ownerGeneration], [0n, 1n]);
  assert.deepEqual(wdmd.commands.slice(-2), [TEST_LIVE, REFCOUNT_CLEAR]);
});

test('a host lease that expired while wdmd was asked is not reported to wdmd, and released', () => {
  const wdmd = new FakeWdmd();
  wdmd.late = [];
  const harness = harnessWith(wdmd);
  const admin = harness.client(1);
  admin.send(message(SM_CMD.ADD_LOCKSPACE, lockspace, { data: T }));
  while (wdmd.late.length === 0) harness.run(100);
  harness.frontTime.pause();
  harness.run((8 * T + 1) * 1000);
  wdmd.late[0]?.(); // the first thing it hears when it runs again
  harness.frontTime.resume();
  harness.run(5000);
  const expiries = wdmd.received.filter(({ cmd }) => cmd === TEST_LIVE);
  assert.deepEqual(
    expiries.map(({ expireTime }) => expireTime),
    [0n],
  );
  assert.equal(hostLease(harness).timestampS, 0n);
});

test('a shorter fire timeout is asked for, and one that differs is refused', () => {
  const wdmd = new FakeWdmd();
  wdmd.openAnswer = 30;
  wdmd.fireTimeout = 30;
  assert.equal(harnessWith(wdmd, 30).join(), 0);
  assert.equal(wdmd.received[0]?.fireTimeout, 30);
  wdmd.openAnswer = 60;
  const before = wdmd.received.length;
  const refused = harnessWith(wdmd, 30);
  assert.equal(refused.join(), WD_ERROR);
  assert.equal(hostLease(refused).timestampS, 0n);
  assert.equal(wdmd.received.length, before + 1, 'nothing but the question');
});

test('while the disk hangs wdmd gets no message, and is released only when the last user is gone', () => {
  const wdmd = new FakeWdmd();
  const harness = harnessWith(wdmd);
  harness.join();
  const client = holding(harness, 101);
  harness.hung = true;
  const before = wdmd.received.length;
  harness.run(8 * T * 1000 + 50_000);
  assert.ok(harness.host.actions.length > 2);
  assert.equal(wdmd.received.length, before);
  client.close();
  harness.run(1000);
  assert.deepEqual(wdmd.commands.slice(before), [TEST_LIVE, REFCOUNT_CLEAR]);
});

test('a wdmd that dies ends no lockspace', () => {
  const wdmd = new FakeWdmd();
  const harness = harnessWith(wdmd);
  harness.join();
  const client = holding(harness, 101);
  wdmd.die();
  harness.run(10 * T * 1000);
  assert.equal(harness.host.actions.length, 0);
  assert.equal(harness.result(acquire(2), client), 0);
});

test('wdmd is replaced: the next one gets the expiry of each lockspace, and later ones', () => {
  const wdmd = new FakeWdmd();
  const harness = harnessWith(wdmd);
  assert.equal(harness.join(), 0);
  const client = holding(harness, 101);
  wdmd.die();
  harness.run(5000);
  wdmd.isThere = true;
  wdmd.received.length = 0;
  harness.run(8000);
  assert.deepEqual(wdmd.commands.slice(0, 6), [
    ...[REGISTER, TAKE_OVER, REFCOUNT_SET, TEST_LIVE, STATUS, TEST_LIVE],
  ]);
  const newest = wdmd.received.filter(({ cmd }) => cmd === TEST_LIVE).at(-1);
  assert.equal(newest?.renewalTime, hostLease(harness).timestampS);
  assert.equal(harness.host.actions.length, 0);
  client.close();
});

test('wdmd is replaced while a lockspace is removed: the next one hears that it is', () => {
  const wdmd = new FakeWdmd();
  const harness = harnessWith(wdmd);
  assert.equal(harness.join(), 0);
  wdmd.die();
  const admin = harness.client(900);
  const before = admin.received.length;
  admin.send(message(SM_CMD.REM_LOCKSPACE, lockspace));
  harness.run(2500);
  assert.notEqual(hostLease(harness).timestampS, 0n);
  wdmd.isThere = true;
  wdmd.received.length = 0;
  harness.run(3000);
  const [takesOver, ...later] = wdmd.received.filter(({ cmd }) => cmd === TEST_LIVE);
  assert.ok(takesOver !== undefined && takesOver.expireTime > 0n);
  assert.equal(later.at(-1)?.expireTime, 0n);
  assert.equal(wdmd.commands.at(-1), REFCOUNT_CLEAR);
  assert.equal(hostLease(harness).timestampS, 0n);
  assert.ok(admin.received.length > before, 'the removal is answered');
});

test('a lockspace is removed though wdmd stays away, once its expiry has passed', () => {
  const wdmd = new FakeWdmd();
  const harness = harnessWith(wdmd);
  assert.equal(harness.join(), 0);
  wdmd.die();
  const beganMs = harness.clock.nowMs();
  assert.equal(harness.result(message(SM_CMD.REM_LOCKSPACE, lockspace)), 0);
  assert.ok(harness.clock.nowMs() - beganMs <= (8 * T + 2) * 1000);
});

test('a lost lockspace is joined again though wdmd was away when its storage returned', () => {
  const wdmd = new FakeWdmd();
  const harness = harnessWith(wdmd);
  assert.equal(harness.join(), 0);
  harness.writeFate = { landsInMs: Number.POSITIVE_INFINITY, answersInMs: 1, errno: 5 };
  harness.run(8 * T * 1000);
  wdmd.die();
  harness.writeFate = null;
  harness.run(120_000);
  assert.equal(hostLease(harness).ownerGeneration, 1n, 'nothing is written without wdmd');
  wdmd.isThere = true;
  harness.run(120_000);
  assert.equal(hostLease(harness).ownerGeneration, 2n);
  assert.equal(harness.join(), 0);
});

test('a wdmd that does not come back is not looked for longer than its device lives', () => {
  const wdmd = new FakeWdmd();
  const harness = harnessWith(wdmd);
  assert.equal(harness.join(), 0);
  wdmd.die();
  harness.run((8 * T + 60) * 1000 + 10_000);
  wdmd.isThere = true;
  const { connections } = wdmd;
  harness.run(60_000);
  assert.equal(wdmd.connections, connections);
});

for (const [kind, answer, events] of [
  ['original', null, ['watchdog.notTakenOver']],
  ['holdfast', { flags: TAKE_OVER_ANSWER.READY }, []],
  ['holdfast, too late', { flags: TAKE_OVER_ANSWER.EXPIRED }, ['watchdog.notTakenOver']],
] as const) {
  test(`a membership that is resumed takes over its duty (wdmd: ${kind})`, () => {
    const wdmd = new FakeWdmd();
    wdmd.takeOver = answer;
    const journal = new MemoryJournal();
    const settings = { killGraceS: 5, useWatchdog: true };
    const harness = new Harness({ ...settings, sockets: wdmd.sockets, journal });
    assert.equal(harness.join(), 0);
    holding(harness, 101);
    const first = wdmd.received.find(({ cmd }) => cmd === TEST_LIVE)?.renewalTime;
    harness.run(10_000);
    harness.host.kill();
    wdmd.received.length = 0;
    const logged: string[] = [];
    const say = (event: string) => logged.push(event);
    const log = { error: say, warn: () => {}, info: () => {}, debug: () => {} };
    const { clock, storage } = harness;
    const common = { name: 'host1', clock, storage, settings, sockets: wdmd.sockets, journal, log };
    new FrontHost({ ...common, ended: new Set([50_000, 50_001]), firstLeasePid: 60_000 });
    harness.run(1500);
    assert.deepEqual(wdmd.commands.slice(0, 3), [REGISTER, TAKE_OVER, REFCOUNT_SET]);
    // Not of an earlier membership, whose users may live.
    assert.equal(wdmd.received[1]?.renewalTime, first);
    assert.deepEqual(logged, events);
  });
}
