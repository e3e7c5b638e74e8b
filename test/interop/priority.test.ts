import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MIB } from '../../src/base/units.ts';
import { makeArea, run, SANLOCK, startDaemon, whyNot } from './sanlock-daemons.ts';
import { FakeWatchdog, WdmdHost, whyNoWdmd } from './wdmd-world.ts';

const SCHED_RR = 2;
const SCHED_OTHER = 0;
const START_MS = 10_000;

/** Fields of /proc/PID/task/TID/stat behind the name in parentheses. */
const POLICY_FIELD = 41 - 3;
const PPID_FIELD = 4 - 3;

function statFields(path: string): string[] {
  const text = readFileSync(path, 'latin1');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

function policies(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).map((tid) =>
    Number(statFields(`/proc/${pid}/task/${tid}/stat`)[POLICY_FIELD]),
  );
}

function childrenOf(pid: number): { readonly pid: number; readonly name: string }[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => {
      try {
        if (Number(statFields(`/proc/${entry}/stat`)[PPID_FIELD]) !== pid) return [];
        return [{ pid: Number(entry), name: readFileSync(`/proc/${entry}/comm`, 'latin1').trim() }];
      } catch {
        return []; // it ended meanwhile
      }
    });
}

async function until(what: string, isTrue: () => boolean): Promise<void> {
  const deadline = Date.now() + START_MS;
  while (!isTrue()) {
    assert.ok(Date.now() < deadline, what);
    await sleep(50);
  }
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
    const client = (...args: string[]) =>
      run(SANLOCK.ours, ['client', ...args], { env: daemon.env });
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
    await until('all threads raised', () => !policies(wdmd.pid ?? -1).includes(SCHED_OTHER));
    allReal(wdmd.pid ?? -1);
  } finally {
    host.close();
    device.close();
  }
});
