import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { until } from '../../src/rig/run.ts';
import { noHungFile, startHungFile } from './hung-file.ts';
import { looseMappings, MemoryGroup, privateCopy } from './memory-group.ts';
import { allProcesses, parentOf, STAT } from './proc-stat.ts';
import {
  hold,
  lastRenewalS,
  makeArea,
  run,
  SANLOCK,
  startDaemon,
  type TestDaemon,
  whyNot,
} from './sanlock-daemons.ts';

/**
 * No page that a daemon needs may have to be read again: the disk that programs lie on may be slow
 * or hung when it does. All that can leave memory is evicted from the daemon's control
 * group before each step, and the kernel counts the pages that had to be read.
 */
const missing = noHungFile() ?? whyNot('ours');
const where = missing === null ? {} : { skip: missing };
const IO_TIMEOUT_S = 2;
const SOON = { withinMs: 60_000 };

/** The daemon and what it started, with the pages each had to read. */
function majorFaults(front: number): ReadonlyMap<number, number> {
  const ours = allProcesses().filter((one) => one.pid === front || parentOf(one) === front);
  return new Map(ours.map(({ pid, fields }) => [pid, Number(fields[STAT.MAJOR_FAULTS])]));
}

/** Those that had to read since `before`; a process that is new had nothing to read at all. */
function readersSince(before: ReadonlyMap<number, number>, front: number): readonly string[] {
  return [...majorFaults(front)]
    .filter(([pid, count]) => count > (before.get(pid) ?? 0))
    .map(([pid, count]) => {
      const name = readFileSync(`/proc/${pid}/comm`, 'latin1').trim();
      return `${name} read ${count - (before.get(pid) ?? 0)} pages`;
    });
}

interface Fixture {
  readonly daemon: TestDaemon;
  readonly front: number;
  readonly group: MemoryGroup;
  readonly client: (...args: string[]) => Promise<void>;
  /** A program that holds this lease; it ends with the fixture. */
  readonly holds: (lease: string) => Promise<ChildProcess>;
}

/** A daemon by a Node of its own, whose pages no other process keeps in memory. */
async function withFixture(
  t: TestContext,
  extra: readonly string[],
  body: (fixture: Fixture) => Promise<void>,
): Promise<void> {
  const group = MemoryGroup.make(`holdfast-${process.pid}-${extra.join('')}`);
  if (typeof group === 'string') {
    t.skip(group);
    return;
  }
  let daemon: TestDaemon | null = null;
  const holders: ChildProcess[] = [];
  try {
    const directory = `/var/tmp/holdfast-memory-${process.pid}`;
    t.after(() => run('rm', ['-rf', directory], { env: process.env }));
    mkdirSync(directory, { recursive: true });
    privateCopy(process.execPath, `${directory}/node`);
    const env = { PATH: `${directory}:${process.env['PATH']}` };
    const { through } = group;
    daemon = await startDaemon('ours', { hostName: 'tight', directory, through, env, extra });
    const { log } = daemon;
    const client = async (...args: string[]) => {
      const ran = await run(SANLOCK.ours, ['client', ...args], {
        env: { ...process.env, SANLOCK_RUN_DIR: `${directory}/run` },
      });
      assert.equal(ran.status, 0, `${args.join(' ')}: ${ran.stdout}${ran.stderr}\n${log()}`);
    };
    await client('status'); // it listens before its memory is locked, and answers after
    const started = daemon;
    const holds = async (lease: string) => {
      const holder = await hold(started, 'ours', lease);
      holders.push(holder);
      return holder;
    };
    await body({ holds, daemon, front: daemon.process.pid ?? -1, group, client });
  } finally {
    for (const holder of holders) holder.kill('SIGKILL');
    const front = daemon?.process.pid ?? -1;
    const children = [...majorFaults(front).keys()].filter((pid) => pid !== front);
    await daemon?.stop();
    const gone = () => children.every((pid) => !majorFaults(pid).has(pid));
    await until('all that ran in the group ended', gone, SOON);
    group.remove();
  }
}

test('no page evicted from memory has to be read again: commands, renewals, a loss', where, (t) =>
  withFixture(t, [], async (fixture) => {
    const { front, group, client, daemon, holds } = fixture;
    const before = majorFaults(front);
    const step = async (what: string, act: () => Promise<unknown>) => {
      group.evict();
      await act();
      assert.deepEqual(readersSince(before, front), [], `after: ${what}`);
    };
    const area = makeArea(`${daemon.directory}/area`, 3 * MIB);
    const lease = `LS:R:${area}:1M`;
    const timeout = ['-o', String(IO_TIMEOUT_S)];
    await step('init', () => client('init', '-s', `LS:0:${area}:0`, ...timeout));
    await step('init of a lease', () => client('init', '-r', lease));
    await step('a join', () => client('add_lockspace', '-s', `LS:1:${area}:0`, ...timeout));
    for (const [pid] of majorFaults(front)) {
      const isShell = readFileSync(`/proc/${pid}/comm`, 'latin1').startsWith('sanlock-scripts');
      // A shell locks nothing itself: the front keeps its pages, and the faults are counted.
      if (!isShell) assert.deepEqual(looseMappings(pid), []);
    }
    const holders: ChildProcess[] = [];
    await step('an acquire', async () => holders.push(await holds(lease)));
    const pid = String(holders[0]?.pid);
    await step('inquire', () => client('inquire', '-p', pid));
    await step('convert', () => client('convert', '-r', `${lease}:SH`, '-p', pid));
    await step('host status', () => client('host_status', '-s', 'LS'));
    await step('status', () => client('status', '-D'));
    for (let renewal = 0; renewal < 3; renewal++) {
      const seen = lastRenewalS(area, 1);
      await step('a renewal', () => until('renewed', () => lastRenewalS(area, 1) > seen, SOON));
    }
    await step('release', () => client('release', '-r', lease, '-p', pid));
    await step('leaving', () => client('rem_lockspace', '-s', `LS:1:${area}:0`));
    await lostLockspace(fixture, step);
  }),
);

/** The disk of a lockspace hangs: its user is stopped, with a killpath and without. */
async function lostLockspace(
  { client, daemon, group, holds }: Fixture,
  step: (what: string, act: () => Promise<unknown>) => Promise<void>,
): Promise<void> {
  const file = await startHungFile(2 * MIB);
  try {
    const timeout = ['-o', String(IO_TIMEOUT_S)];
    await client('init', '-s', `HUNG:0:${file.path}:0`, ...timeout);
    await client('init', '-r', `HUNG:R:${file.path}:1M`);
    await client('add_lockspace', '-s', `HUNG:1:${file.path}:0`, ...timeout);
    const holder = await holds(`HUNG:R:${file.path}:1M`);
    const ended = new Promise((done) => holder.once('exit', done));
    file.hang();
    const squeeze = setInterval(() => group.evict(), 1000);
    try {
      await step('a loss', () => ended);
    } finally {
      clearInterval(squeeze);
    }
    assert.match(daemon.log(), /lockspace\.lost .*HUNG/);
  } finally {
    file.recover();
    file.close();
  }
}

test('without locked memory pages have to be read again: the test can fail', where, (t) =>
  withFixture(t, ['-l', '0'], async ({ front, group, client }) => {
    const before = majorFaults(front);
    group.evict();
    await client('status', '-D');
    assert.notDeepEqual(readersSince(before, front), []);
  }),
);
