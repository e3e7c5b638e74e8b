import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { originalsInstalled } from '../../src/rig/host.ts';
import { ALL_ORIGINAL, ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { must, until } from '../../src/rig/run.ts';
import { GuardedHost } from './guard-host.ts';
import { SOON } from './guard-service.ts';
import { HELD_ELSEWHERE, whyNoLibvirt } from './libvirt-host.ts';
import { leaseName, startSanlocks, untilHeldBy } from './libvirt-rig.ts';

/** A guest whose disk is a volume of a pool: a host with the guard alone, and one with the plugin alone. */
const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const originals = originalsInstalled() ? null : 'the originals are not installed';
const obstacle = rigObstacle() ?? originals ?? whyNoLibvirt();
const GUARD_REFUSES = /disk vda of guest vol \(\S+\) is in use by host host-2/;

/** On each host, as a path of the host. */
const POOL = '/run/link';
const VOL = {
  ...{ name: 'vol', uuid: '6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10' },
  disks: [
    {
      xml: `<disk type='volume' device='disk'><driver name='qemu' type='raw'/>
        <source pool='img' volume='a.img'/><target dev='vda' bus='virtio'/></disk>`,
    },
  ],
};
const FILE = {
  ...{ name: 'file', uuid: '7f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f11' },
  disks: [{ path: '/run/images/a.img' }],
};

test('volumes of a storage pool', { skip: obstacle ?? false, timeout: 900_000 }, async (t) => {
  const rig = await Rig.create({ hosts: [ALL_OURS, ALL_ORIGINAL], bin: join(ROOT, 'bin') });
  try {
    const { dir } = rig;
    const leases = await startSanlocks(rig);
    const options = { dir, leases, ioTimeoutS: 4 };
    const guard = await GuardedHost.start(rig.host(1), options);
    const plugin = await GuardedHost.start(rig.host(2), { ...options, plugin: true, guard: false });
    await Promise.all([guard, plugin].map(madePool));
    await t.test('guard and plugin have one lease for it', () => excluded(guard, plugin, leases));
    await t.test('a pool that is stopped under its guest', () => stopped(guard));
  } finally {
    await rig.close();
  }
});

async function madePool({ host, libvirt }: GuardedHost): Promise<void> {
  mkdirSync(host.path('/run/images'));
  await must('nsenter', host.enter('ln', ['-s', '/run/images', POOL]));
  writeFileSync(host.path('/run/images/a.img'), new Uint8Array(MIB));
  await libvirt.must('pool-define-as', 'img', 'dir', '--target', POOL);
  await libvirt.must('pool-start', 'img');
}

async function excluded(guard: GuardedHost, plugin: GuardedHost, leases: string): Promise<void> {
  for (const one of [guard, plugin]) await one.define(VOL);
  await guard.define(FILE);
  await guard.libvirt.must('start', 'vol');
  assert.equal(await guard.held('vol'), 'exclusive exclusive');
  for (const path of [`${POOL}/a.img`, '/run/images/a.img']) {
    assert.ok(existsSync(join(leases, leaseName(path))), path);
  }
  assert.match(await plugin.libvirt.refuses('start', 'vol'), HELD_ELSEWHERE);
  assert.match(await guard.libvirt.refuses('start', 'file'), /in use on this host by vol/);
  await guard.libvirt.must('destroy', 'vol');
  await plugin.libvirt.must('start', 'vol');
  assert.match(await guard.libvirt.refuses('start', 'vol'), GUARD_REFUSES);
  await plugin.libvirt.must('destroy', 'vol');
  await untilHeldBy(leases, `${POOL}/a.img`, []);
}

/** libvirt allows it. Where the volume is, the pool's definition still says. */
async function stopped(guard: GuardedHost): Promise<void> {
  await guard.libvirt.must('start', 'vol');
  await guard.libvirt.must('pool-destroy', 'img');
  for (const change of ['suspend', 'resume']) await guard.libvirt.must(change, 'vol');
  await guard.killGuard();
  guard.startGuard();
  const isHeld = async () => (await guard.held('vol')) === 'exclusive exclusive';
  await until('the next guard has its leases', isHeld, SOON);
  assert.match(await guard.libvirt.refuses('start', 'file'), /in use on this host by vol/);
  await guard.libvirt.must('pool-undefine', 'img');
  for (const change of ['suspend', 'resume']) await guard.libvirt.must(change, 'vol');
  assert.ok(await isHeld());
  await guard.libvirt.must('destroy', 'vol');
  await guard.libvirt.must('start', 'file');
  await guard.libvirt.must('destroy', 'file');
}
