import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { MIB } from '../../src/base/units.ts';
import { until } from '../../src/rig/run.ts';
import { DIRECT_STEPS, INDEX_STEPS, STEPS } from './cli-steps.ts';
import {
  clientCommand,
  hold,
  type Maker,
  makeArea,
  removeRunFolder,
  run,
  SANLOCK,
  startDaemon,
  type TestDaemon,
  whyNot,
} from './sanlock-daemons.ts';
import { withoutTimes } from './shown-records.ts';

/** What differs between any two runs: pids, descriptors, monotonic seconds, versions of text. */
function normalize(text: string, world: TestDaemon, holderPid: number): string {
  return text
    .replaceAll(world.directory, '<dir>')
    .replaceAll(new RegExp(`\\b${holderPid}\\b`, 'g'), '<pid>')
    .replaceAll(/(timestamp|monotime|\w*last_\w+|helper_pid|pid|fd|helper_kill_fd)=\d+/g, '$1=#')
    .replaceAll(/(timestamp) \d+/g, '$1 #')
    .replaceAll(/(fd|done) \d+$/gm, (all, word) => (word === 'fd' ? 'fd #' : all));
}

interface Outcome {
  readonly typed: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number;
}

/** Until the daemon has seen a process end, and what it held is free or an orphan. */
async function untilForgotten(world: TestDaemon, cli: Maker, pid: number): Promise<void> {
  const isHere = new RegExp(`\\bp ${pid}\\b(?!.*ORPHAN$)`, 'm');
  const isForgotten = async () => {
    const { stdout } = await clientCommand(world, ['status'], cli);
    return !isHere.test(stdout);
  };
  await until(`process ${pid} is forgotten`, isForgotten, { withinMs: 30_000, everyMs: 100 });
}

async function runSteps(daemon: Maker, cli: Maker, steps: readonly string[]): Promise<Outcome[]> {
  const world = await startDaemon(daemon, { hostName: 'host1' });
  let holder: ChildProcess | null = null;
  const outcomes: Outcome[] = [];
  try {
    const areas = {
      ls: makeArea(`${world.directory}/ls`, MIB),
      res: makeArea(`${world.directory}/res`, 16 * MIB),
      rx: makeArea(`${world.directory}/rx`, 16 * MIB),
    };
    for (const step of steps) {
      const typed = step
        .replaceAll('{pid}', String(holder?.pid ?? 0))
        .replaceAll(/\{(ls|res|rx)\}/g, (_, name: keyof typeof areas) => areas[name]);
      const words = typed.split(' ');
      if (words[0] === '<hold>') {
        holder = await hold(world, cli, words[1] ?? '');
        continue;
      }
      if (words[0] === '<drop>') {
        holder?.kill('SIGKILL');
        await untilForgotten(world, cli, holder?.pid ?? 0);
        continue;
      }
      const ran = await run(SANLOCK[cli], words, { env: world.env });
      const pid = holder?.pid ?? -1;
      const stdout = normalize(ran.stdout, world, pid);
      outcomes.push({ typed: step, stdout, stderr: ran.stderr, status: ran.status });
    }
  } finally {
    holder?.kill('SIGKILL');
    await world.stop();
  }
  return outcomes;
}

/** Nothing but files: without a daemon. */
async function runDirectSteps(cli: Maker): Promise<Outcome[]> {
  const directory = mkdtempSync('/var/tmp/holdfast-direct-');
  const files: Readonly<Record<string, string>> = {
    ls: makeArea(`${directory}/ls`, MIB),
    res: makeArea(`${directory}/res`, 16 * MIB),
    rx: makeArea(`${directory}/rx`, 16 * MIB),
  };
  const outcomes: Outcome[] = [];
  try {
    for (const typed of DIRECT_STEPS) {
      const words = typed.replaceAll(/\{(\w+)\}/g, (_, name) => files[name] ?? '').split(' ');
      const { stdout, stderr, status } = await run(SANLOCK[cli], words, { env: process.env });
      outcomes.push({ typed, stdout: withoutTimes(stdout, directory), stderr, status });
    }
  } finally {
    await removeRunFolder(directory);
  }
  return outcomes;
}

/** What scripts go by: the same words on stdout, the same status. */
function compare(theirs: readonly Outcome[], ours: readonly Outcome[]): void {
  assert.equal(ours.length, theirs.length);
  const plain = (outcome: Outcome | undefined) => [outcome?.status, outcome?.stdout];
  const differing = theirs.filter(
    (expected, index) => !isDeepStrictEqual(plain(expected), plain(ours[index])),
  );
  const reports = differing.map((expected) => {
    const found = ours[theirs.indexOf(expected)];
    return `sanlock ${expected.typed}\n  wanted ${show(expected)}\n  found  ${show(found)}`;
  });
  assert.equal(differing.length, 0, reports.join('\n'));
}

/** The original says nothing on stderr; our command one sentence a failure, and nothing else. */
function compareSentences(cli: Maker, outcomes: readonly Outcome[]): void {
  for (const { typed, stdout, stderr, status } of outcomes) {
    const text = `sanlock ${typed}\n${stdout}\n${stderr}`;
    if (cli === 'c') {
      assert.equal(stderr, '', text);
      continue;
    }
    assert.match(stderr, /^(sanlock .*; .*\n|sanlock: .*\n)*$/, text);
    const isAnswer = / lookup /.test(typed) && stdout === 'lookup done -2\n';
    const hasFailed = /(done|error) -\d+/.test(stdout) && !isAnswer;
    if (hasFailed || (status !== 0 && stdout === '')) assert.notEqual(stderr, '', text);
    else if (status === 0 && !/shutdown/.test(typed)) assert.equal(stderr, '', text);
  }
}

function show(outcome: Outcome | undefined): string {
  return JSON.stringify([outcome?.status, outcome?.stdout, outcome?.stderr]);
}

for (const [title, steps] of [
  ['leases and lockspaces', STEPS],
  ['resource index and events', INDEX_STEPS],
] as const) {
  test(`our command line prints what the C one prints: ${title}, C daemon`, async (t) => {
    const reason = whyNot('c');
    if (reason !== null) return t.skip(reason);
    const [theirs, ours] = await Promise.all([
      runSteps('c', 'c', steps),
      runSteps('c', 'ours', steps),
    ]);
    compare(theirs, ours);
    compareSentences('c', theirs);
    compareSentences('ours', ours);
  });
}

for (const [title, steps] of [
  ['leases and lockspaces', STEPS],
  ['resource index and events', INDEX_STEPS],
] as const) {
  for (const cli of ['ours', 'c'] as const) {
    test(`${cli} command line on our daemon: as all original, ${title}`, async (t) => {
      const reason = whyNot('c', 'ours');
      if (reason !== null) return t.skip(reason);
      const [theirs, ours] = await Promise.all([
        runSteps('c', 'c', steps),
        runSteps('ours', cli, steps),
      ]);
      compare(theirs, ours);
      compareSentences(cli, ours);
    });
  }
}

test('sanlock direct: the same is printed, and found on disk afterwards', async (t) => {
  const reason = whyNot('c');
  if (reason !== null) return t.skip(reason);
  const [theirs, ours] = await Promise.all([runDirectSteps('c'), runDirectSteps('ours')]);
  compare(theirs, ours);
  compareSentences('ours', ours);
});

test('client set_host prints what the later generation prints of leases of this version', async (t) => {
  const reason = whyNot('ours');
  if (reason !== null) return t.skip(reason);
  const outcomes = await runSteps('ours', 'ours', [
    'client init -s LS1:0:{ls}:0 -o 1',
    'client add_lockspace -s LS1:1:{ls}:0 -o 1',
    'client set_host -s LS1:1:{ls}:0 -i 2 -F DEAD_EXT',
    'client set_host -s LS1 -i 2 -g 7 -F DEAD_EXT',
    'client set_host -s NONE:1:/nowhere:0 -i 2 -F DEAD_EXT',
    'client set_host -s LS1:1:{ls}:0 -i 2 -F ALIVE',
  ]);
  assert.deepEqual(
    outcomes.slice(2).map(({ stdout, status }) => [stdout, status]),
    [
      ['set_host 2 0 DEAD_EXT\nset_host done -204\n', 1],
      ['set_host 2 7 DEAD_EXT\nset_host done -22\n', 1],
      ['set_host 2 0 DEAD_EXT\nset_host done -2\n', 1],
      ['set_host unknown operation\n', 0],
    ],
  );
});
