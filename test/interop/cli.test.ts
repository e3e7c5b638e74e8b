import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { MIB } from '../../src/base/units.ts';
import { until } from '../../src/rig/run.ts';
import {
  clientCommand,
  hold,
  type Maker,
  makeArea,
  run,
  SANLOCK,
  startDaemon,
  type TestDaemon,
  whyNot,
} from './sanlock-daemons.ts';
import { withoutTimes } from './shown-records.ts';

/**
 * What is typed, in order; the state of one step is what the next one meets. {ls}, {res} and {rx}
 * are files, {pid} is a registered process that holds RH.
 */
const STEPS: readonly string[] = [
  'client version',
  'client status',
  'client status -D',
  'client gets -h 1',
  'client init -s LS1:0:{ls}:0 -o 2',
  'client init -s LSX:0:/nowhere/at/all:0',
  'client init -r LS1:RA:{res}:0',
  'client init -r LS1:RB:{res}:1M -Z 512 -A 1M',
  'client init -r LS1:RC:{res}:2M -Z 512 -A 8M',
  'client init -r LS1:RH:{res}:3M',
  'client init -r LS1:RZ:{res}:4M -z 1',
  'client write -r LS1:RN:{res}:5M -m 8',
  'client init',
  'client read -s LS1:1:{ls}:0 -D',
  'client read -s :0:{ls}:0',
  'client init -s LSY:0:{rx}:0 -o 300',
  'client read -s LSY:1:{rx}:0 -D',
  'client read -s NOPE:1:{ls}:0',
  'client read -s LS1:1:{res}:0',
  'client read -r LS1:RA:{res}:0 -D',
  'client read -r LS1:RA:{res}:0 -h 1',
  'client read -r LS1:RZ:{res}:4M',
  'client read -r LS1:OTHER:{res}:0',
  'client read -r LS1:RA:/nowhere:0',
  'client read -r LS1:RA:{res}:0:SH',
  'client read -r ab',
  'client read -r LS1:RB:{res}:1Mx',
  'client read -r LS1:RB:{res}:',
  'client init -r LS1:RX:{res}:x',
  'client init -r LS1:RX:{res}:-512',
  'client init -r LS1:RX:{res}:0:',
  'client read -r LS1:RA:{res}:0',
  'client read -r ::{res}:0 -h 1',
  'client read -s LS1:010:{ls}:0',
  'client read -s LS1:1:{ls}:100',
  'client init -s LS1:0:{ls}:-512',
  'client read -r LS1:RA:{res}',
  'client read',
  'client align -s LS1:1:{ls}:0',
  'client init -r LS1:RK:{res}:8M -Z 4096 -A 8M',
  'client align -s LS1:1:{res}:8M',
  'client align -s LS1:1:{res}:90M',
  'client align',
  'client inq_lockspace -s LS1:1:{ls}:0',
  'client add_lockspace -s LS1:1:{ls}:0 -o 2',
  'client add_lockspace -s LS1:1:{ls}:0 -o 2',
  'client add_lockspace -s LS1:5:{ls}:0',
  'client add_lockspace',
  'client inq_lockspace -s LS1:1:{ls}:0',
  'client gets',
  'client host_status -s NOPE',
  'client renewal -s NOPE',
  'client set_config -s LS1 -u 1',
  'client set_config -s LS1 -u 0',
  'client set_config -s LS1 -O 1',
  'client set_config -s LS1 -O 0',
  'client set_config -s NOPE -u 1',
  '<hold> LS1:RH:{res}:3M',
  'client status',
  'client status -o p',
  'client status -o s',
  'client inquire -p {pid}',
  'client inquire -p {pid} -D',
  'client acquire -r LS1:RA:{res}:0 -r LS1:RB:{res}:1M:SH -p {pid}',
  'client inquire -p {pid} -D',
  'client acquire -r LS1:RA:{res}:0 -p {pid}',
  'client acquire -r LS1:RZ:{res}:4M -p {pid}',
  'client acquire -r LS1:RA:{res}:0 -p 1',
  'client acquire -r LS1:RA:{res}:0',
  'client acquire -r LSN:RA:{res}:0 -p {pid}',
  'client read -r LS1:RB:{res}:1M -h 1',
  'client convert -r LS1:RB:{res}:1M -p {pid}',
  'client convert -r LS1:RB:{res}:1M -p {pid}',
  'client convert -r LS1:RB:{res}:1M:SH -p {pid}',
  'client convert -p {pid}',
  'client convert',
  'client status',
  'client request -r LS1:RA:{res}:0:1 -f 2',
  'client request',
  'client examine -s LS1:1:{ls}:0',
  'client examine -r LS1:RA:{res}:0',
  'client examine',
  'client release -r LS1:RA:{res}:0 -p {pid}',
  'client release -r LS1:RA:{res}:0 -p {pid}',
  'client release -r LS1:RA:{res}:0 -p 1',
  'client release -p {pid} -a 1',
  'client inquire -p {pid}',
  'client inquire -p 1',
  'client inquire',
  'client acquire -r LS1:RB:{res}:1M -p {pid} -P 1',
  '<drop>',
  'client status',
  'client command -r LS1:RH:{res}:3M -c /bin/echo the words',
  'client shutdown',
  'client shutdown -f 0x0',
  'client shutdown -w 1',
  'client rem_lockspace -s LS1:2:{ls}:0',
  'client rem_lockspace -s LS1:0:{ls}:1M',
  'client rem_lockspace -s LS1:0:{ls}:0',
  'client rem_lockspace -s LS1:1:{ls}:0',
  'client gets',
  'status',
  'client nosuchaction',
  'client status x',
  'client status -o',
  'client status -q 1',
  'client status -q',
  'client status -Z 1024',
  'client shutdown -f 0x1',
  'version',
];

/** Actions on the resource index and host events. */
const INDEX_STEPS: readonly string[] = [
  'client lookup',
  'client rebuild',
  'client init -s LS1:0:{ls}:0 -o 2',
  'client add_lockspace -s LS1:1:{ls}:0 -o 2',
  'client format -x LS1:/nowhere:0',
  'client format -x LS1:{rx}:0',
  'client create -x LS1:{rx}:0 -e r1',
  'client create -x LS1:{rx}:0 -e r2',
  'client lookup -x LS1:{rx}:0 -e r2',
  'client lookup -x LS1:{rx}:0 -e :2M',
  'client lookup -x LS1:{rx}:0',
  'client lookup -x LS1:{rx}:0 -e nope',
  'client lookup -x LS1:{rx}:0 -e r2:2M',
  'client lookup -x LS1:{rx}:0 -e :9M',
  'client lookup -x LS1:{rx}:0 -e :1000',
  'client lookup -x LSX:{rx}:0',
  'client lookup -x LS1:{ls}:0',
  'client update -x LS1:{rx}:0 -e r9',
  'client update -x LS1:{rx}:0 -e r9:5M',
  'client update -x LS1:{rx}:0 -e r9:5M -z 1',
  'client delete -x LS1:{rx}:0 -e r1',
  'client delete -x LS1:{rx}:0 -e r1',
  'client update -x LS1:{rx}:0 -e r2:3M -z 1',
  'client lookup -x LS1:{rx}:0 -e r2',
  'client rebuild -x LS1:{rx}:0',
  'client lookup -x LS1:{rx}:0 -e r2',
  'client create -x LS1:{rx}:0 -e r1 -m 5 -n 7',
  'direct dump {rx}:2M:14M -f 2',
  'client set_event -s LS1 -i 2 -e 0x1 -d 0x2',
  'client set_event -s LS1 -i 9999 -e 0x1 -d 0x2',
  'client set_event -s NOPE -i 2 -e 1 -d 1',
];

/** Without a daemon. */
const DIRECT_STEPS: readonly string[] = [
  'direct init -s LD:0:{ls}:0 -o 1',
  'direct init -r LD:RA:{res}:0',
  'direct init -r LD:RB:{res}:2M -n 8',
  'direct init -r LD:RC:{res}:3M -z 1',
  'direct init -r LD:RD:{res}:8M -Z 4096 -A 8M',
  'direct init -r LD:RA:/nowhere:0',
  'direct init -s LD:0:/nowhere:0',
  'direct init',
  'direct init -s LD:0:{ls}:100',
  'direct acquire_id -s LD:1:{ls}:0 -o 1 -e hostd',
  'direct renew_id -s LD:1:{ls}:0 -o 1',
  'direct acquire_id -s LX:1:{ls}:0 -o 1',
  'direct acquire_id -s LD:0:{ls}:0 -o 1',
  'direct read_leader -s LD:1:{ls}:0',
  'direct read_leader -s LD:7:{ls}:0',
  'direct read_leader -s NO:1:{ls}:0',
  'direct acquire -r LD:RA:{res}:0 -i 1 -g 1',
  'direct acquire -r LD:RB:{res}:2M -i 2 -g 1',
  'direct acquire -r LD:RB:{res}:2M -i 1 -g 1',
  'direct acquire -r LD:RB:{res}:2M -i 9 -g 1',
  'direct acquire -r LD:XX:{res}:0 -i 1 -g 1',
  'direct read_leader -r LD:RA:{res}:0',
  'direct read_leader -r LD:RC:{res}:3M',
  'direct read_leader -r LD:RX:{res}:5M',
  'direct dump {res}',
  'direct dump {res}:0:16M -f 1',
  'direct dump {res}:0:16M -f 2',
  'direct dump {res}:2M:1M',
  'direct dump {res}:100:1M',
  'direct dump {res}:5M:1M',
  'direct dump {ls}',
  'direct dump {ls}:0:1M -f 1',
  'direct dump /nowhere',
  'direct dump',
  'direct format -x LD:{rx}:0',
  'direct format -x LD:/nowhere:0',
  'direct format -x LD:{rx}:8M -Z 4096 -A 2M',
  'direct init -r LD:R3:{rx}:3M',
  'direct lookup -x LD:{rx}:0',
  'direct lookup -x LD:{rx}:0 -e R3',
  'direct rebuild -x LD:{rx}:0',
  'direct lookup -x LD:{rx}:0 -e R3',
  'direct lookup -x LD:{rx}:0 -e :3M',
  'direct lookup -x LD:{rx}:0 -e R3:2M',
  'direct lookup -x LX:{rx}:0',
  'direct lookup -x LD:{ls}:0',
  'direct lookup',
  'direct update -x LD:{rx}:0 -e R2:2M',
  'direct update -x LD:{rx}:0 -e R3:3M -z 1',
  'direct update -x LD:{rx}:0 -e R3',
  'direct dump {rx}:0:8M -f 1',
  'direct release_id -s LD:1:{ls}:0 -o 1',
  'direct read_leader -s LD:1:{ls}:0',
  'direct renew_id -s LD:4:{ls}:0 -o 1',
  'direct init -r LD:RU:{res}:13631488',
  'direct init -r LD:RV:{res}:12583424',
  'direct read_leader -r LD:RV:{res}:12583424',
  'direct init -r LD:RW:{res}:-512',
  'direct init -r LD:RW:{res}:18446744073709551104',
  'direct init -r LD:RW:{res}:x',
  'direct init -s LD:0:{ls}:-512',
  'direct read_leader -r LD:RA:{res}:0',
  'direct nosuchaction',
];

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
    rmSync(directory, { recursive: true, force: true });
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
