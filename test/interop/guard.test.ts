import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { originalsInstalled } from '../../src/rig/host.ts';
import { ALL_ORIGINAL, ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { until } from '../../src/rig/run.ts';
import { GuardedHost, NbdServer } from './guard-host.ts';
import { whyNoLibvirt } from './libvirt-host.ts';

/** Guests whose disks libvirt's plugin leaves alone: our sanlock on one host, the original's on the other. */
const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const originals = originalsInstalled() ? null : 'the originals are not installed';
const obstacle = rigObstacle() ?? originals ?? whyNoLibvirt();

const WEB = '6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10';
const DB = '7f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f11';

interface Two {
  readonly dir: string;
  readonly a: GuardedHost;
  readonly b: GuardedHost;
  readonly storage: NbdServer;
}

test('guests with a network disk', { skip: obstacle ?? false, timeout: 300_000 }, async (t) => {
  const rig = await Rig.create({ hosts: [ALL_OURS, ALL_ORIGINAL], bin: join(ROOT, 'bin') });
  const { dir } = rig;
  const storage = NbdServer.start(dir, 3);
  try {
    const leases = join(dir, 'leases');
    mkdirSync(leases);
    const [a, b] = await Promise.all(
      [rig.host(1), rig.host(2)].map(async (host) => {
        await host.startSanlock();
        return await GuardedHost.start(host, { dir, leases, ioTimeoutS: 2 });
      }),
    );
    assert.ok(a !== undefined && b !== undefined);
    const two = { dir, a, b, storage };
    for (const one of [a, b]) {
      await one.define('web', WEB, storage.disk(0));
      await one.define('db', DB, storage.disk(0));
    }
    await t.test('the second is refused, here and elsewhere', () => second(two));
    await t.test('live migration to and fro', () => migrated(two));
    await t.test('what is killed', () => killed(two));
  } finally {
    storage.close();
    await rig.close();
  }
});

async function second({ a, b }: Two): Promise<void> {
  await a.libvirt.must('start', 'web');
  assert.equal(await a.held('web'), 'exclusive');
  console.log(await a.libvirt.refuses('start', 'db'));
  console.log(await b.libvirt.refuses('start', 'db'));
  await a.libvirt.must('destroy', 'web');
  await b.libvirt.must('start', 'db');
  console.log(await a.libvirt.refuses('start', 'web'));
  await b.libvirt.must('destroy', 'db');
}

async function migrated({ a, b, dir }: Two): Promise<void> {
  await a.libvirt.must('start', 'web');
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    const { code, stderr, ms } = await from.migrate('web', to, dir);
    assert.equal(code, 0, stderr);
    console.log('migrated in', ms);
    const isWhole = async () => (await to.held('web')) === 'exclusive';
    await until('the target has it alone', isWhole, { withinMs: 20_000 });
    assert.equal(await to.domState('web'), 'running');
    assert.equal(await from.held('web'), '');
  }
}

async function killed({ a, b }: Two): Promise<void> {
  const pid = a.libvirt.qemuPid('web');
  const keeper = await a.keeperPid('web');
  await a.killGuard();
  a.startGuard();
  const holds = async () => (await a.held('web')) === 'exclusive';
  await until('the next guard has it', holds, { withinMs: 20_000 });
  assert.equal(await a.keeperPid('web'), keeper);
  process.kill(keeper, 'SIGKILL');
  const hasAnother = async () => (await holds()) && (await a.keeperPid('web')) !== keeper;
  await until('another keeper has it', hasAnother, { withinMs: 20_000 });
  console.log(await b.libvirt.refuses('start', 'db'));
  const next = await a.keeperPid('web');
  await a.killGuard();
  process.kill(next, 'SIGKILL');
  a.startGuard();
  const hasThird = async () => (await holds()) && (await a.keeperPid('web')) !== next;
  await until('a third one has it', hasThird, { withinMs: 20_000 });
  assert.equal(a.libvirt.qemuPid('web'), pid);
  process.kill(pid, 'SIGKILL');
  const isFree = async () => (await a.held('web')) === '';
  await until('it is released', isFree, { withinMs: 20_000, everyMs: 20 });
  await b.libvirt.must('start', 'db');
  await b.libvirt.must('destroy', 'db');
  console.log(a.log);
}
