import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Host } from '../../src/rig/host.ts';
import { ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { until } from '../../src/rig/run.ts';
import { Pair, type Peer } from './holder-note-peer.ts';
import { run, whyNot } from './sanlock-daemons.ts';
import { askWho, HOLDFAST, holdersText } from './who-answers.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const SOON = { withinMs: 60_000 };

/** `holdfast who … --watch` on a host, and the lines that it has printed. */
function watched(host: Host, ...words: readonly string[]) {
  const stdio = ['ignore', 'pipe', 'inherit'] as const;
  const child = host.spawn(HOLDFAST, ['who', ...words, '--watch'], [...stdio]);
  let said = '';
  child.stdout?.on('data', (bytes: Buffer) => {
    said += bytes.toString('utf8');
  });
  return { child, said: () => said };
}

/** A host on which nothing runs, and the VG was never started, sees what the others have. */
async function overTheDiskAlone(rig: Rig, a: Host, b: Host): Promise<void> {
  const { vg } = rig;
  const lv1 = `${vg}/lv1`;
  await a.startDaemons();
  await a.mustLvm('vgcreate', '--shared', vg, rig.lun.device);
  await a.mustLvm('lvcreate', '-an', '-L', '8m', '-n', 'lv1', vg);
  await a.mustLvm('lvcreate', '-an', '-L', '8m', '-n', 'lv2', vg);
  await a.mustLvm('lvchange', '-aey', lv1);
  const ended = await b.run('rm', [`/dev/mapper/${vg}-lvmlock`]);
  assert.equal(ended.code, 0, 'as where the VG is not started');

  const [lease] = await askWho(b, lv1);
  assert.equal(lease && holdersText(lease), `ex ${a.name} alive lvm`);
  const uuid = (await a.mustLvm('lvs', '--noheadings', '-o', 'lv_uuid', lv1)).trim();
  for (const word of [vg, rig.lun.device, '--all']) {
    const said = (await askWho(b, word, '--now')).map((one) => `${one.target}=${holdersText(one)}`);
    assert.deepEqual(
      said,
      [
        `${vg}: the global lock=free`,
        `${vg}: the VG lock=free`,
        `${lv1}=ex ${a.name} not watched lvm`,
        `${vg}/lv2=free`,
      ],
      word,
    );
  }
  for (const word of [`lvm_${vg}:${uuid}`, `/dev/${vg}/lv1`, `/dev/mapper/${vg}-lv1`]) {
    const [one] = await askWho(b, word, '--now');
    assert.equal(one && holdersText(one), `ex ${a.name} not watched lvm`, word);
  }
}

/** Each change is a line, in the order in which they came. */
async function whatChanges(rig: Rig, a: Host, b: Host): Promise<void> {
  const lv1 = `${rig.vg}/lv1`;
  const { child, said } = watched(b, lv1);
  try {
    await until('the holder is seen to live', () => /: alive\n/.test(said()), SOON);
    await a.mustLvm('lvchange', '-an', lv1);
    await until('the lease is free', () => /: free\n/.test(said()), SOON);
    await a.mustLvm('lvchange', '-asy', lv1);
    await until('it is shared', () => /shared .*: (alive|not watched)\n/.test(said()), SOON);
    await a.mustLvm('lvchange', '-an', lv1);
  } finally {
    child.kill('SIGINT');
  }
  const words = said()
    .split('\n')
    .map((line) => line.replace(/^\S+ \S+ \S+ /, ''));
  const held = `exclusive ${a.name} (1), generation 1, lvmlockd:`;
  assert.deepEqual(words.slice(0, 3), [`${held} not watched`, `${held} alive`, 'free'], said());
}

/** All of a host ends at once. */
async function powerLoss(rig: Rig, a: Host, b: Host): Promise<void> {
  const lv1 = `${rig.vg}/lv1`;
  await a.mustLvm('lvchange', '-aey', lv1);
  a.crash();
  const { stdout, code } = await b.run(HOLDFAST, ['who', lv1]);
  assert.equal(code, 1, 'it needs attention');
  assert.doesNotMatch(stdout, /alive/);
  assert.match(
    stdout,
    new RegExp(`exclusive: ${a.name} .* did not renew in the \\d+ s we watched`),
  );
  assert.match(stdout, /the LV is active there: taken by lvmlockd \(pid \d+\), \d+ s ago/);
}

test('a host without daemons is told who has what, and what changes', {
  skip: rigObstacle() ?? false,
  timeout: 300_000,
}, async () => {
  const bin = join(ROOT, 'bin');
  const rig = await Rig.create({ hosts: [ALL_OURS, ALL_OURS], bin, ioTimeoutS: 2 });
  try {
    const [a, b] = [rig.host(1), rig.host(2)];
    await overTheDiskAlone(rig, a, b);
    await whatChanges(rig, a, b);
    await powerLoss(rig, a, b);
  } finally {
    await rig.close();
  }
});

/** What is told of a lease in a file, with its lockspace in the file beside it. */
async function whoHas(pair: Pair, name: string, ...words: readonly string[]): Promise<string> {
  const place = `LS:${name}:${pair.leasesPath}:${pair.offset(name) / 1024}K`;
  const { stdout } = await run(HOLDFAST, ['who', place, ...words], { env: process.env });
  return stdout;
}

async function killed(pair: Pair, ours: Peer, original: Peer): Promise<void> {
  for (const [peer, name] of [
    [ours, 'OURS'],
    [original, 'ORIGINAL'],
  ] as const) {
    assert.equal(await peer.acquire(name, 'ex'), 0);
    const other = await pair.another(peer);
    assert.equal(await other.acquire(`${name}2`, 'ex'), 0);
    other.holder.kill('SIGKILL');
    const isFree = async () => /no host holds it/.test(await whoHas(pair, `${name}2`, '--now'));
    await until(`the lease of the killed process of ${name} is free`, isFree, SOON);
  }
  const [one, two] = await Promise.all([whoHas(pair, 'OURS'), whoHas(pair, 'ORIGINAL')]);
  assert.match(one, /^exclusive: host-1 \(host id 1, generation 1\) is alive/m);
  const pid = ours.holder.pid;
  assert.match(
    one,
    new RegExp(`^ {2}taken by client "guest-OURS" \\(node, pid ${pid}\\), \\d+ s ago`, 'm'),
  );
  assert.match(two, /^exclusive: host-2 .* is alive/m);
  assert.match(two, /^ {2}taken, \d+ s ago .* is known to sanlock on that host alone/m);

  for (const { daemon } of [ours, original]) daemon.process.kill('SIGKILL');
  const after = await Promise.all([whoHas(pair, 'OURS'), whoHas(pair, 'ORIGINAL')]);
  for (const said of after) {
    assert.doesNotMatch(said, /alive/);
    assert.match(said, /^exclusive: host-\d .* did not renew in the \d+ s we watched/m);
  }
}

test('of hosts whose daemons or holders were killed nothing is said to live', {
  skip: whyNot('c', 'ours') ?? false,
  timeout: 300_000,
}, async () => {
  const names = ['OURS', 'OURS2', 'ORIGINAL', 'ORIGINAL2'];
  const { pair, ours, original } = await Pair.create('3.8.5', names);
  try {
    await killed(pair, ours, original);
  } finally {
    await pair.close();
  }
});
