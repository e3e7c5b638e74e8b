import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { originalsInstalled } from '../../src/rig/host.ts';
import { ALL_ORIGINAL, ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { until } from '../../src/rig/run.ts';
import { explained, GuardedHost, NbdServer } from './guard-host.ts';
import { SOON } from './guard-service.ts';
import { whyNoLibvirt } from './libvirt-host.ts';
import { migrate, startSanlocks } from './libvirt-rig.ts';

/**
 * Guests of network disks, which libvirt's plugin leaves alone. One host has our sanlock, the other
 * one the original.
 */
const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const originals = originalsInstalled() ? null : 'the originals are not installed';
const obstacle = rigObstacle() ?? originals ?? whyNoLibvirt();
const WEB = '6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10';
const DB = '7f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f11';

interface Two {
  readonly rig: Rig;
  readonly a: GuardedHost;
  readonly b: GuardedHost;
}

test('guests of a network disk', { skip: obstacle ?? false, timeout: 900_000 }, async (t) => {
  const rig = await Rig.create({ hosts: [ALL_OURS, ALL_ORIGINAL], bin: join(ROOT, 'bin') });
  const { dir } = rig;
  const storage = NbdServer.start(dir, 1);
  try {
    const leases = await startSanlocks(rig);
    const options = { dir, leases, ioTimeoutS: 4, plugin: true };
    const [a, b] = await Promise.all([
      GuardedHost.start(rig.host(1), options),
      GuardedHost.start(rig.host(2), options),
    ]);
    const disks = [storage.disk(0)];
    for (const one of [a, b]) {
      await one.define({ name: 'web', uuid: WEB, disks }, { name: 'db', uuid: DB, disks });
    }
    const two = { rig, a, b };
    await t.test('without the guard both run, beside the plugin', () =>
      explained([a, b], () => unguarded(two)),
    );
    await t.test('the second is refused, here and elsewhere', () =>
      explained([a, b], () => second(two)),
    );
    await t.test('live migration to and fro', () => explained([a, b], () => migrated(two)));
    await t.test('guard and keeper are killed', () => explained([a, b], () => killed(two)));
    await t.test('what is written down of it is lost', () =>
      explained([a, b], () => recordLost(two)),
    );
    await t.test('libvirtd and sanlock are killed', () =>
      explained([a, b], () => daemonsKilled(two)),
    );
    await t.test('QEMU is killed', () => explained([a, b], () => qemuKilled(two)));
    await t.test('the original forgets its leases', () =>
      explained([a, b], () => originalKilled(two)),
    );
  } finally {
    storage.close();
    await rig.close();
  }
});

/** What the guard is for. */
async function unguarded({ a, b }: Two): Promise<void> {
  for (const one of [a, b]) {
    one.setHook('absent');
    await one.killGuard('SIGTERM');
  }
  await a.libvirt.must('start', 'web');
  await b.libvirt.must('start', 'db');
  assert.equal(await b.libvirt.must('domstate', 'db'), 'running');
  await a.libvirt.end('web');
  await b.libvirt.end('db');
  for (const one of [a, b]) {
    one.setHook('guard');
    one.startGuard();
  }
}

async function second({ a, b }: Two): Promise<void> {
  await a.libvirt.must('start', 'web');
  assert.equal(await a.held('web'), 'exclusive');
  assert.match(
    await a.libvirt.refuses('start', 'db'),
    /disk vda of guest db \(nbd:unix:\S+\/vol0\) is in use on this host by web \(process \d+\)/,
  );
  assert.match(
    await b.libvirt.refuses('start', 'db'),
    /disk vda of guest db \(nbd:unix:\S+\/vol0\) is in use by host host-1 \(host id 1, for \d+ s\): stop/,
  );
  await a.libvirt.end('web');
  await b.libvirt.must('start', 'db');
  assert.match(
    await a.libvirt.refuses('start', 'web'),
    /is in use by host host-2 \(host id 2, for/,
  );
  await b.libvirt.end('db');
}

async function migrated({ a, b, rig }: Two): Promise<void> {
  await a.libvirt.must('start', 'web');
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    const { code, stderr } = await migrate(from.libvirt, to.libvirt, 'web', rig);
    assert.equal(code, 0, stderr);
    await to.untilAlone('web');
    await from.untilWithout('web');
  }
}

/** The guest runs on, with the lease that it has. */
async function killed({ a, b }: Two): Promise<void> {
  const pid = a.libvirt.qemuPid('web');
  const first = await a.keeperPid('web');
  await a.killGuard();
  a.startGuard();
  await a.untilAlone('web');
  assert.equal(await a.keeperPid('web'), first, 'by the same keeper');
  process.kill(first ?? 0, 'SIGKILL');
  const next = await another(a, 'web', first);
  assert.match(await b.libvirt.refuses('start', 'db'), /is in use by host host-1/);
  await a.killGuard();
  process.kill(next, 'SIGKILL');
  a.startGuard();
  await another(a, 'web', next);
  assert.match(await b.libvirt.refuses('start', 'db'), /is in use by host host-1/);
  assert.equal(a.libvirt.qemuPid('web'), pid);
}

/** It has its keeper, or the orphan of that, and nobody else gets its lease. */
async function recordLost({ a, b }: Two): Promise<void> {
  const keeper = await a.keeperPid('web');
  await a.killGuard();
  rmSync(a.recordPath(WEB));
  a.startGuard();
  await a.untilAlone('web');
  assert.equal(await a.keeperPid('web'), keeper, 'by the same keeper');
  assert.match(await a.libvirt.refuses('start', 'db'), /is in use on this host by web/);
  assert.match(await b.libvirt.refuses('start', 'db'), /is in use by host host-1/);
  assert.ok(readFileSync(a.recordPath(WEB), 'utf8').includes('"name":"web"'));

  await a.killGuard();
  process.kill(keeper ?? 0, 'SIGKILL');
  const record = readFileSync(a.recordPath(WEB), 'utf8');
  writeFileSync(a.recordPath(WEB), record.replace('"version":1', '"version":0'));
  a.startGuard();
  await another(a, 'web', keeper);
  assert.match(a.log, /record\.unreadable .*is of format 0/);
  assert.match(await b.libvirt.refuses('start', 'db'), /is in use by host host-1/);
}

/** @returns the pid of the keeper after that one, which has the lease */
async function another(host: GuardedHost, guest: string, keeper: number | null): Promise<number> {
  let pid: number | null = null;
  const isThere = async () => {
    const held = await host.held(guest);
    pid = await host.keeperPid(guest);
    return held === 'exclusive' && pid !== null && pid !== keeper;
  };
  await until('another keeper has it', isThere, SOON);
  return pid ?? 0;
}

async function daemonsKilled({ a, b }: Two): Promise<void> {
  const pid = a.libvirt.qemuPid('web');
  const keeper = await a.keeperPid('web');
  await a.libvirt.kill();
  await a.libvirt.startAgain(); // it calls the hook `reconnect`
  await a.host.kill('sanlock');
  await a.host.startSanlock();
  assert.match(await b.libvirt.refuses('start', 'db'), /is in use by host host-1/);
  assert.match(await a.libvirt.refuses('start', 'db'), /is in use on this host by web/);
  assert.equal(await a.held('web'), 'exclusive');
  assert.equal(await a.keeperPid('web'), keeper);
  assert.equal(a.libvirt.qemuPid('web'), pid);
  assert.equal(await a.libvirt.must('domstate', 'web'), 'running');
}

async function qemuKilled({ a, b }: Two): Promise<void> {
  const keeper = await a.keeperPid('web');
  process.kill(a.libvirt.qemuPid('web'), 'SIGKILL');
  await a.untilWithout('web');
  await until('its keeper ends', () => !existsSync(`/proc/${keeper}`), SOON);
  await b.libvirt.must('start', 'db');
  await b.libvirt.end('db');
}

/** Without a watchdog the guest runs on, and its lease has to be acquired again. */
async function originalKilled({ a, b }: Two): Promise<void> {
  await b.libvirt.must('start', 'db');
  const keeper = await b.keeperPid('db');
  await b.host.kill('sanlock');
  await b.host.startSanlock();
  await another(b, 'db', keeper);
  assert.match(await a.libvirt.refuses('start', 'web'), /is in use by host host-2/);
  assert.equal(await b.libvirt.must('domstate', 'db'), 'running');
  await b.libvirt.end('db');
  assert.equal(await b.held('db'), '');
}
