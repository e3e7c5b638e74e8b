import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERRNO } from '../base/errno.ts';
import type { LogFields } from '../base/log-fields.ts';
import { MIB } from '../base/units.ts';
import { decode } from '../codec/struct.ts';
import { deltaLeader } from '../format/leader.ts';
import type { Log } from '../ports/log.ts';
import { FrontHost } from '../sim/cluster/front-host.ts';
import { MemoryJournal } from '../sim/kernel/journal.ts';
import { writeLockspace } from '../wire/sanlock/area-calls.ts';
import {
  addLockspace,
  removeLockspace,
  shutdown,
  shutdownWait,
} from '../wire/sanlock/daemon-calls.ts';
import { inquire, release } from '../wire/sanlock/lease-calls.ts';
import { RES_FLAGS, SM_CMD, smHeader } from '../wire/sanlock/socket.ts';
import { acquire, Harness, holding, LUN, message, T } from './testing/front-harness.ts';

const OTHER = { name: 'LS2', hostId: 1n, path: LUN, offset: BigInt(8 * MIB) };
const OURS = { name: 'LS', hostId: 1n, path: LUN, offset: 0n };
const SILENT: Log = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} };
const HOLDER = 101;

function named(n: number) {
  return { lockspaceName: 'LS', name: `R${n}`, lver: 0n, flags: 0, disks: [] };
}

test('a daemon that ends joins no further lockspace', () => {
  const harness = new Harness();
  assert.equal(harness.result(writeLockspace(OTHER, { ioTimeoutS: T }).request), 0);
  assert.equal(harness.join(), 0);
  const user = holding(harness, HOLDER);
  harness.host.connect(900).send(shutdown(1).request);
  harness.run(100);
  assert.equal(harness.result(addLockspace(OTHER).request), -1);
  user.close();
  harness.run(20_000);
  assert.equal(harness.host.ended, 0);
});

test('a daemon that has ended answers no request, not even one that is too long', () => {
  const harness = new Harness();
  const client = harness.host.connect(900);
  harness.host.connect(901).send(shutdown(0).request);
  assert.equal(harness.host.ended, 0);
  client.send(message(SM_CMD.ACQUIRE, new Uint8Array(0), { data: 9 }));
  harness.run(100);
  assert.deepEqual(client.received, []);
});

/** The host id cannot be released: the device refuses the write, and it lands 50 s later. */
const LANDS_LATE = { landsInMs: 0, answersInMs: 1, errno: 5, refusedLandsInMs: 50_000 };

function timestampOnDisk(harness: Harness): bigint {
  const disk = harness.storage.device(LUN);
  assert.ok(disk !== undefined);
  return decode(deltaLeader, disk).timestampS;
}

test('a removal whose last write was refused ends when that is over, and no host joins before', () => {
  const harness = new Harness();
  assert.equal(harness.join(), 0);
  harness.run(10_000);
  harness.writeFate = LANDS_LATE;
  const startedMs = harness.clock.nowMs();
  const remover = harness.host.connect(900);
  remover.send(removeLockspace(OURS).request);
  harness.run(5000);
  harness.writeFate = null;
  for (let n = 0; n < 10; n++) {
    assert.equal(harness.join(), -ERRNO.EAGAIN);
    assert.equal(remover.received.length, 0);
    harness.run(5000);
  }
  assert.equal(timestampOnDisk(harness), 0n, 'it has landed');
  harness.run(10_000);
  assert.ok(remover.received.length > 0);
  assert.ok(harness.clock.nowMs() < startedMs + 70_000);
  assert.equal(harness.join(), 0);
  harness.run(60_000);
  assert.ok(timestampOnDisk(harness) * 1000n > harness.clock.nowMs() - 10_000, 'it renews');
});

test('a daemon that is forced to end waits as long for that write, and no longer', () => {
  const harness = new Harness();
  assert.equal(harness.join(), 0);
  harness.run(10_000);
  harness.writeFate = LANDS_LATE;
  harness.host.connect(900).send(shutdown(1).request);
  harness.run(55_000);
  assert.equal(harness.host.ended, null);
  assert.equal(timestampOnDisk(harness), 0n);
  harness.run(10_000);
  assert.equal(harness.host.ended, 0);
});

test('a lease process that hangs while it waits for its last write does not hold up the end', () => {
  const harness = new Harness();
  assert.equal(harness.join(), 0);
  harness.run(10_000);
  harness.writeFate = LANDS_LATE;
  harness.host.connect(900).send(shutdown(1).request);
  harness.run(20_000);
  harness.leaseTime.pause();
  harness.run(50_000);
  assert.equal(harness.host.ended, 0);
});

/** A line of a version that did not record all leases: what it had cannot be handed over. */
function asBefore(line: string): string {
  const isHolder = line.includes(`"pid":${HOLDER},`);
  return isHolder
    ? line.replace('"persistent":false', '"persistent":true')
    : line.replace('"allLeases":true', '"allLeases":false');
}

/** A daemon that finds a holder of an earlier daemon, whose lease processes have ended. */
function haunted(
  flags = 0,
  log: Log = SILENT,
  isWhole = true,
): { harness: Harness; host: FrontHost } {
  const journal = new MemoryJournal();
  const harness = new Harness({ journal, killGraceS: 5 });
  assert.equal(harness.join(), 0);
  holding(harness, HOLDER, 1, flags);
  harness.frontTime.stop();
  harness.leaseTime.stop();
  const { clock, storage } = harness;
  const { lines } = journal.load();
  if (!isWhole) journal.replace(lines.map(asBefore));
  const ended = new Set([50_000, 50_001]);
  const settings = { killGraceS: 5 };
  return {
    harness,
    host: new FrontHost({ name: 'host1', clock, storage, settings, journal, log, ended }),
  };
}

test('a daemon that has holders of an earlier daemon does not end unforced', () => {
  const { harness, host } = haunted();
  host.connect(900).send(shutdown(0).request);
  assert.equal(harness.result(shutdownWait(0).request, host.connect(900)), -ERRNO.EBUSY);
  harness.run(1000);
  assert.equal(host.ended, null);
  harness.run(40_000);
  assert.equal(host.ended, null);
  assert.deepEqual(host.actions, []);
});

test('a daemon that is forced to end kills such holders first', () => {
  const { harness, host } = haunted();
  host.connect(900).send(shutdown(1).request);
  harness.run(3000);
  assert.equal(host.ended, null);
  assert.deepEqual(host.actions[0]?.kind, 'SIGKILL');
  assert.deepEqual(host.actions[0]?.pid, HOLDER);
  host.processEnds(HOLDER);
  harness.run(1000);
  assert.equal(host.ended, 0);
});

test('a daemon that keeps persistent leases does not end, forced or not, and serves on', () => {
  const advice: string[] = [];
  const note = (event: string, fields?: LogFields) => {
    if (event === 'daemon.keepsLeases') advice.push(`${fields?.['advice']}`);
  };
  const { harness, host } = haunted(RES_FLAGS.PERSISTENT, { ...SILENT, error: note }, false);
  harness.run(1000);
  for (const force of [0, 1]) {
    host.connect(900).send(shutdown(force).request);
    assert.equal(harness.result(shutdownWait(force).request, host.connect(900)), -ERRNO.EBUSY);
  }
  assert.equal(advice.length, 4);
  for (const text of advice) assert.match(text, /lvmlockctl --drop/);
  harness.run(8 * T * 1000 + 60_000);
  assert.equal(host.ended, null);
  assert.deepEqual(host.actions, [], 'nor is anybody stopped for an end that does not come');

  assert.equal(harness.result(removeLockspace(OURS).request, host.connect(HOLDER)), 0);
  assert.equal(harness.result(shutdownWait(1).request, host.connect(900)), 0);
  harness.run(1000);
  assert.equal(host.ended, 0);
});

test('no lease is granted in a lockspace whose removal was asked for: its holder would be killed', () => {
  const harness = new Harness();
  assert.equal(harness.join(), 0);
  const user = harness.client(HOLDER);
  harness.run(300);
  const remove = removeLockspace(OURS, { async: true, onlyUnused: true });
  assert.equal(harness.result(remove.request), 0);
  assert.equal(harness.result(acquire(1), user), -ERRNO.ENOSPC);
  harness.run(10_000);
  assert.deepEqual(harness.host.actions, []);
});

test('a lease that a client holds twice is free after two releases, also in one request', () => {
  const harness = new Harness();
  assert.equal(harness.join(), 0);
  const user = holding(harness, HOLDER, 1, RES_FLAGS.SHARED);
  assert.equal(harness.result(acquire(1, RES_FLAGS.SHARED), user), 0);
  assert.equal(harness.result(release([named(1), named(1)]).request, user), 0);
  const from = user.received.length;
  user.send(inquire().request);
  const answer = decode(smHeader, Uint8Array.from(user.received.slice(from)));
  assert.equal(answer.data2, 0);
});

test('a lease of a client that died while it acquired is no orphan: no client knows of it', () => {
  const harness = new Harness();
  assert.equal(harness.join(), 0);
  const user = harness.client(HOLDER);
  user.send(acquire(1, RES_FLAGS.PERSISTENT));
  user.close();
  harness.run(5000);
  assert.equal(harness.result(acquire(1), harness.client(HOLDER + 1)), 0);
});
