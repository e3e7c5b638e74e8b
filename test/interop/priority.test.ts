import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { until } from '../../src/rig/run.ts';
import { allProcesses, parentOf, STAT, statFields } from './proc-stat.ts';
import { clientCommand, makeArea, startDaemon, whyNot } from './sanlock-daemons.ts';
import { FakeWatchdog, WdmdHost, whyNoWdmd } from './wdmd-host.ts';

const SCHED_RR = 2;
const SCHED_OTHER = 0;
const START_MS = 10_000;

function policies(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).map((tid) =>
    Number(statFields(`${pid}/task/${tid}`)[STAT.POLICY]),
  );
}

function childrenOf(pid: number): { readonly pid: number; readonly name: string }[] {
  return allProcesses().flatMap((one) => {
    if (parentOf(one) !== pid) return [];
    try {
      return [{ pid: one.pid, name: readFileSync(`/proc/${one.pid}/comm`, 'latin1').trim() }];
    } catch {
      return []; // it ended meanwhile
    }
  });
}

function allReal(pid: number): void {
  const found = policies(pid);
  assert.ok(found.length > 4, 'the collector and the pool have threads');
  assert.deepEqual([...new Set(found)], [SCHED_RR], `policies ${found.join(' ')}`);
}

test('-h 1: every thread of the front and of a lease process is SCHED_RR, the helper is not', {
  skip: whyNot('ours') ?? false,
}, async () => {
  const daemon = await startDaemon('ours', { hostName: 'high', extra: ['-h', '1'] });
  try {
    const front = daemon.process.pid ?? -1;
    const area = makeArea(`${daemon.directory}/area`, MIB);
    const client = (...args: string[]) => clientCommand(daemon, args);
    assert.equal((await client('init', '-s', `LS:0:${area}:0`)).status, 0);
    assert.equal((await client('add_lockspace', '-s', `LS:1:${area}:0`, '-o', '1')).status, 0);
    allReal(front);
    const lease = childrenOf(front).find(({ name }) => name.startsWith('slk LS'));
    assert.ok(lease !== undefined, 'a lease process serves LS');
    allReal(lease.pid);
    const helper = childrenOf(front).find(({ name }) => !name.startsWith('slk'));
    if (helper !== undefined) assert.ok(policies(helper.pid).includes(SCHED_OTHER));
  } finally {
    await daemon.stop();
  }
});

test('without -h every thread is an ordinary one', { skip: whyNot('ours') ?? false }, async () => {
  const daemon = await startDaemon('ours', { hostName: 'low' });
  try {
    const found = policies(daemon.process.pid ?? -1);
    assert.deepEqual([...new Set(found)], [SCHED_OTHER], `policies ${found.join(' ')}`);
  } finally {
    await daemon.stop();
  }
});

test('wdmd -H 1: every thread is SCHED_RR', { skip: whyNoWdmd() ?? false }, async () => {
  const device = await FakeWatchdog.start();
  const host = await WdmdHost.start();
  try {
    const wdmd = await host.wdmd('ours', device, '-H', '1');
    // nsenter became it: the same pid.
    const areRaised = () => !policies(wdmd.pid ?? -1).includes(SCHED_OTHER);
    await until('all threads raised', areRaised, { withinMs: START_MS });
    allReal(wdmd.pid ?? -1);
  } finally {
    host.close();
    device.close();
  }
});
