import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { EndRecords } from '../../src/platform/end-records.ts';
import { identityOf } from '../../src/platform/kernel-process.ts';
import { MachineClock } from '../../src/platform/machine-clock.ts';
import { until } from '../../src/rig/run.ts';
import { type HungFile, noHungFile, startHungFile } from './hung-file.ts';
import {
  clientCommand,
  removeRunFolder,
  startDaemon,
  type TestDaemon,
  whyNot,
} from './sanlock-daemons.ts';

const missing = whyNot('ours') ?? noHungFile();
const where = missing === null ? { timeout: 120_000 } : { skip: missing };
const T = 2;

interface Joined {
  readonly daemon: TestDaemon;
  readonly disk: HungFile;
  readonly directory: string;
  readonly records: EndRecords;
  readonly leasePid: number;
  readonly identity: string;
}

/** A daemon that has joined a lockspace, by its one lease process. */
async function withJoined(body: (joined: Joined) => Promise<void>): Promise<void> {
  const directory = mkdtempSync('/var/tmp/holdfast-end-record-');
  const disk = await startHungFile(2 * MIB);
  let daemon: TestDaemon | null = null;
  try {
    daemon = await startDaemon('ours', { hostName: 'one', directory });
    const lockspace = `LS:1:${disk.path}:0`;
    await clientCommand(daemon, ['init', '-s', lockspace, '-o', `${T}`]);
    const added = await clientCommand(daemon, ['add_lockspace', '-s', lockspace, '-o', `${T}`]);
    assert.match(added.stdout, /done 0/);
    const leasePid = Number(
      /leaseProcess\.started .*label="?LS"? pid=(\d+)/.exec(daemon.log())?.[1],
    );
    const identity = identityOf(leasePid);
    assert.ok(identity !== null, daemon.log());
    const records = new EndRecords(`${directory}/run`);
    await body({ daemon, disk, directory, records, leasePid, identity });
    // A lease process whose front has just been killed writes one, and puts it in its place.
    const drafts = () => readdirSync(`${directory}/run`).filter((name) => name.endsWith('.new'));
    await until('no draft is left', () => drafts().length === 0, { withinMs: 5000 });
  } finally {
    disk.close();
    await daemon?.stop();
    await removeRunFolder(directory);
  }
}

const gone = (pid: number) => () => identityOf(pid) === null;

test(
  'a lease process whose front is killed ends at once, and leaves an end record',
  where,
  async () => {
    await withJoined(async ({ daemon, records, leasePid, identity }) => {
      daemon.process.kill('SIGKILL');
      await until('the lease process is gone', gone(leasePid), { withinMs: 5000 });
      assert.deepEqual(records.read(leasePid, identity), { refusedUntilMs: null });
    });
  },
);

test(
  'a lease process that its device holds back has ended only when that answers',
  where,
  async () => {
    await withJoined(async ({ daemon, disk, records, leasePid, identity }) => {
      disk.hang();
      await until('a late answer', () => daemon.log().includes('renewal.failed'), {
        withinMs: 20_000,
      });
      daemon.process.kill('SIGKILL');
      const isWritten = () => records.read(leasePid, identity) !== null;
      await until('its end record', isWritten, { withinMs: 5000 }); // no write is under way
      assert.equal(identityOf(leasePid), identity);
      disk.recover();
      await until('the lease process is gone', gone(leasePid), { withinMs: 5000 });
      assert.deepEqual(records.read(leasePid, identity), { refusedUntilMs: null });
    });
  },
);

test('after a refused write the end record says until when it may land', where, async () => {
  await withJoined(async ({ daemon, disk, records, leasePid, identity }) => {
    disk.refuse();
    await until('a refusal', () => daemon.log().includes('renewal.failed'), { withinMs: 10_000 });
    daemon.process.kill('SIGKILL');
    await until('the lease process is gone', gone(leasePid), { withinMs: 5000 });
    const aheadMs =
      (records.read(leasePid, identity)?.refusedUntilMs ?? 0) - new MachineClock().nowMs();
    assert.ok(aheadMs > 50_000 && aheadMs <= 60_000, `${aheadMs} ms`);
  });
});

test('a lease process that is killed with its front leaves none', where, async () => {
  await withJoined(async ({ daemon, records, leasePid, identity }) => {
    process.kill(leasePid, 'SIGSTOP');
    daemon.process.kill('SIGKILL');
    process.kill(leasePid, 'SIGKILL');
    await until('the lease process is gone', gone(leasePid), { withinMs: 5000 });
    assert.equal(records.read(leasePid, identity), null);
  });
});

test('a lease process that is stopped is killed in time for its membership', where, async () => {
  await withJoined(async ({ daemon, directory, leasePid, identity, records }) => {
    process.kill(leasePid, 'SIGSTOP');
    daemon.process.kill('SIGKILL');
    const successor = await startDaemon('ours', { hostName: 'one', directory });
    try {
      const isKilled = () => successor.log().includes('leaseProcess.outlives');
      await until('the stopped process is killed', isKilled, { withinMs: 8 * T * 1000 });
      await until('the lease process is gone', gone(leasePid), { withinMs: 5000 });
      const isResumed = () => successor.log().includes('lockspace.handedOver');
      await until('the membership goes on', isResumed, { withinMs: 5000 });
      assert.equal(records.read(leasePid, identity), null);
    } finally {
      await successor.stop();
    }
  });
});
