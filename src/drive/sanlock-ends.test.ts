import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../base/units.ts';
import { writeLockspace } from '../client/sanlock-area-calls.ts';
import {
  addLockspace,
  removeLockspace,
  shutdown,
  shutdownWait,
} from '../client/sanlock-daemon-calls.ts';
import { inquire, release } from '../client/sanlock-lease-calls.ts';
import { decode } from '../codec/struct.ts';
import { deltaLeader } from '../format/leader.ts';
import type { Log, LogFields } from '../ports/log.ts';
import { FrontHost } from '../sim/front-host.ts';
import { MemoryJournal } from '../sim/memory-journal.ts';
import { RES_FLAGS, smHeader } from '../wire/sanlock-socket.ts';
import { acquire, holding, LUN, Stage, T } from './testing/front-stage.ts';

const OTHER = { name: 'LS2', hostId: 1n, path: LUN, offset: BigInt(8 * MIB) };
const OURS = { name: 'LS', hostId: 1n, path: LUN, offset: 0n };
const SILENT: Log = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} };
const HOLDER = 101;
const EAGAIN = -11;
const ENOSPC = -28;
const EBUSY = -16;

function named(n: number) {
  return { lockspaceName: 'LS', name: `R${n}`, lver: 0n, flags: 0, disks: [] };
}

test('a daemon that ends joins nothing any more', () => {
  const stage = new Stage();
  assert.equal(stage.result(writeLockspace(OTHER, { ioTimeoutS: T }).request), 0);
  assert.equal(stage.join(), 0);
  const user = holding(stage, HOLDER);
  stage.host.connect(900).send(shutdown(1).request);
  stage.run(100);
  assert.equal(stage.result(addLockspace(OTHER).request), -1);
  user.close();
  stage.run(20_000);
  assert.equal(stage.host.ended, 0);
});

/** The host id cannot be given back: the device says no, and does it 50 s later. */
const LANDS_LATE = { landsInMs: 0, answersInMs: 1, errno: 5, refusedLandsInMs: 50_000 };

function timestampOnDisk(stage: Stage): bigint {
  const disk = stage.storage.device(LUN);
  assert.ok(disk !== undefined);
  return decode(deltaLeader, disk).timestampS;
}

test('a removal whose last write was refused ends when that is over, and nobody joins before', () => {
  const stage = new Stage();
  assert.equal(stage.join(), 0);
  stage.run(10_000);
  stage.writeFate = LANDS_LATE;
  const startedMs = stage.clock.nowMs();
  const remover = stage.host.connect(900);
  remover.send(removeLockspace(OURS).request);
  stage.run(5000);
  stage.writeFate = null;
  for (let n = 0; n < 10; n++) {
    assert.equal(stage.join(), EAGAIN);
    assert.equal(remover.received.length, 0);
    stage.run(5000);
  }
  assert.equal(timestampOnDisk(stage), 0n, 'it has landed');
  stage.run(10_000);
  assert.ok(remover.received.length > 0);
  assert.ok(stage.clock.nowMs() < startedMs + 70_000);
  assert.equal(stage.join(), 0);
  stage.run(60_000);
  assert.ok(timestampOnDisk(stage) * 1000n > stage.clock.nowMs() - 10_000, 'it renews');
});

test('a daemon that is forced to end waits as long for that, and for no more', () => {
  const stage = new Stage();
  assert.equal(stage.join(), 0);
  stage.run(10_000);
  stage.writeFate = LANDS_LATE;
  stage.host.connect(900).send(shutdown(1).request);
  stage.run(55_000);
  assert.equal(stage.host.ended, null);
  assert.equal(timestampOnDisk(stage), 0n);
  stage.run(10_000);
  assert.equal(stage.host.ended, 0);
});

test('a lease process that hangs while it waits for its last write does not hold up the end', () => {
  const stage = new Stage();
  assert.equal(stage.join(), 0);
  stage.run(10_000);
  stage.writeFate = LANDS_LATE;
  stage.host.connect(900).send(shutdown(1).request);
  stage.run(20_000);
  stage.leaseTime.pause();
  stage.run(50_000);
  assert.equal(stage.host.ended, 0);
});

/** A daemon that finds a holder of the one before it, whose lease processes have ended. */
function haunted(flags = 0, log: Log = SILENT): { stage: Stage; host: FrontHost } {
  const journal = new MemoryJournal();
  const stage = new Stage({ journal, killGraceS: 5 });
  assert.equal(stage.join(), 0);
  holding(stage, HOLDER, 1, flags);
  stage.frontTime.stop();
  stage.leaseTime.stop();
  const { clock, storage } = stage;
  const ended = new Set([50_000, 50_001]);
  const settings = { killGraceS: 5 };
  return {
    stage,
    host: new FrontHost({ name: 'host1', clock, storage, settings, journal, log, ended }),
  };
}

test('a daemon that watches over holders of an earlier one does not end unforced', () => {
  const { stage, host } = haunted();
  host.connect(900).send(shutdown(0).request);
  assert.equal(stage.result(shutdownWait(0).request, host.connect(900)), EBUSY);
  stage.run(1000);
  assert.equal(host.ended, null);
  stage.run(40_000);
  assert.ok(host.deeds.some(({ kind, pid }) => kind === 'SIGKILL' && pid === HOLDER));
});

test('forced to end it kills them first', () => {
  const { stage, host } = haunted();
  host.connect(900).send(shutdown(1).request);
  stage.run(3000);
  assert.equal(host.ended, null);
  assert.deepEqual(host.deeds[0]?.kind, 'SIGKILL');
  assert.deepEqual(host.deeds[0]?.pid, HOLDER);
  host.processEnds(HOLDER);
  stage.run(1000);
  assert.equal(host.ended, 0);
});

test('while it keeps persistent leases it does not end, forced or not, and serves on', () => {
  const told: string[] = [];
  const note = (event: string, fields?: LogFields) => {
    if (event === 'daemon.keepsLeases') told.push(`${fields?.['goOn']}`);
  };
  const { stage, host } = haunted(RES_FLAGS.PERSISTENT, { ...SILENT, error: note });
  stage.run(1000);
  for (const force of [0, 1]) {
    host.connect(900).send(shutdown(force).request);
    assert.equal(stage.result(shutdownWait(force).request, host.connect(900)), EBUSY);
  }
  assert.equal(told.length, 4);
  for (const text of told) assert.match(text, /lvmlockctl --drop/);
  stage.run(8 * T * 1000 + 60_000);
  assert.equal(host.ended, null);
  assert.deepEqual(host.deeds, [], 'nor is anybody stopped for an end that does not come');

  assert.equal(stage.result(removeLockspace(OURS).request, host.connect(HOLDER)), 0);
  assert.equal(stage.result(shutdownWait(1).request, host.connect(900)), 0);
  stage.run(1000);
  assert.equal(host.ended, 0);
});

test('nobody is let into a lockspace that is to be removed, to be killed a moment later', () => {
  const stage = new Stage();
  assert.equal(stage.join(), 0);
  const user = stage.client(HOLDER);
  stage.run(300);
  const remove = removeLockspace(OURS, { async: true, onlyUnused: true });
  assert.equal(stage.result(remove.request), 0);
  assert.equal(stage.result(acquire(1), user), ENOSPC);
  stage.run(10_000);
  assert.deepEqual(stage.host.deeds, []);
});

test('a lease that a client holds twice goes with two releases, also in one request', () => {
  const stage = new Stage();
  assert.equal(stage.join(), 0);
  const user = holding(stage, HOLDER, 1, RES_FLAGS.SHARED);
  assert.equal(stage.result(acquire(1, RES_FLAGS.SHARED), user), 0);
  assert.equal(stage.result(release([named(1), named(1)]).request, user), 0);
  const from = user.received.length;
  user.send(inquire().request);
  const answer = decode(smHeader, Uint8Array.from(user.received.slice(from)));
  assert.equal(answer.data2, 0);
});

test('what a client never heard of is no orphan: it died while it acquired', () => {
  const stage = new Stage();
  assert.equal(stage.join(), 0);
  const user = stage.client(HOLDER);
  user.send(acquire(1, RES_FLAGS.PERSISTENT));
  user.close();
  stage.run(5000);
  assert.equal(stage.result(acquire(1), stage.client(HOLDER + 1)), 0);
});
