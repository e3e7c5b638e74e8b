import assert from 'node:assert/strict';
import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { originalsInstalled } from '../../src/rig/host.ts';
import { ALL_ORIGINAL, ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { must, until } from '../../src/rig/run.ts';
import { explained, GuardedHost, NbdServer } from './guard-host.ts';
import { SOON } from './guard-service.ts';
import type { Guest, GuestDisk } from './libvirt-guest.ts';
import { HELD_ELSEWHERE, whyNoLibvirt } from './libvirt-host.ts';
import { startSanlocks } from './libvirt-rig.ts';

/**
 * Disks of every kind, on a host with the guard alone, one with libvirt's plugin alone, and one
 * with both.
 */
const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const originals = originalsInstalled() ? null : 'the originals are not installed';
const obstacle = rigObstacle() ?? originals ?? whyNoLibvirt();
const GUARD_REFUSES = /disk vda of guest two \(\S+\) is in use by host host-\d/;

interface Three {
  readonly dir: string;
  readonly guard: GuardedHost;
  readonly plugin: GuardedHost;
  readonly both: GuardedHost;
  readonly storage: NbdServer;
}

test('disks, with guard, plugin, or both', {
  skip: obstacle ?? false,
  timeout: 900_000,
}, async (t) => {
  const hosts = [ALL_OURS, ALL_ORIGINAL, ALL_OURS];
  const rig = await Rig.create({ hosts, bin: join(ROOT, 'bin') });
  const { dir } = rig;
  const storage = NbdServer.start(dir, 4);
  try {
    const leases = await startSanlocks(rig);
    const options = { dir, leases, ioTimeoutS: 4 };
    // The plugin joins once, and not where another host is making the lockspace at that moment.
    const guard = await GuardedHost.start(rig.host(1), options);
    const [plugin, both] = await Promise.all([
      GuardedHost.start(rig.host(2), { ...options, plugin: true, guard: false }),
      GuardedHost.start(rig.host(3), { ...options, plugin: true }),
    ]);
    const three = { dir, guard, plugin, both, storage };
    await t.test('file, link to a file, qcow2, block device', () =>
      explained([guard, plugin, both], () => paths(three)),
    );
    await t.test('shared and read-only disks', () =>
      explained([guard, plugin, both], () => shared(three)),
    );
    await t.test('suspend, resume, save, restore', () =>
      explained([guard, plugin, both], () => rested(three)),
    );
    await t.test('a disk that is plugged in', () =>
      explained([guard, plugin, both], () => plugged(three)),
    );
    await t.test('a guest with both kinds of disks', () =>
      explained([guard, plugin, both], () => bothKinds(three)),
    );
  } finally {
    storage.close();
    await rig.close();
  }
});

function guest(n: number, name: string, ...disks: Guest['disks']): Guest {
  return { name, uuid: `${n}f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f1${n}`, disks };
}

/** Each as one host writes it, and as another one does. */
async function paths({ dir, guard, plugin, both }: Three): Promise<void> {
  const file = join(dir, 'disk.img');
  writeFileSync(file, new Uint8Array(1 << 20));
  const link = join(dir, 'link.img');
  symlinkSync(file, link);
  const qcow2 = join(dir, 'disk.qcow2');
  await must('qemu-img', ['create', '-q', '-f', 'qcow2', qcow2, '1M']);
  const device = (await must('losetup', ['-f', '--show', file])).trim();
  try {
    const disks: readonly GuestDisk[] = [
      { path: file },
      { path: qcow2, format: 'qcow2' },
      { path: device, type: 'block' },
    ];
    for (const disk of disks) {
      for (const host of [guard, plugin, both]) {
        await host.define(guest(1, 'one', disk), guest(2, 'two', disk));
      }
      await guard.libvirt.must('start', 'one');
      assert.match(await plugin.libvirt.refuses('start', 'two'), HELD_ELSEWHERE);
      assert.match(await both.libvirt.refuses('start', 'two'), /in use by host|Lease is held/);
      assert.match(await guard.libvirt.refuses('start', 'two'), /in use on this host by one/);
      await guard.libvirt.end('one');
      await plugin.libvirt.must('start', 'one');
      assert.match(await guard.libvirt.refuses('start', 'two'), GUARD_REFUSES);
      await plugin.libvirt.end('one');
    }
    await guard.define(guest(1, 'one', { path: file }));
    await guard.define(guest(2, 'two', { path: link }));
    await both.define(guest(2, 'two', { path: link }));
    await guard.libvirt.must('start', 'one');
    assert.match(await guard.libvirt.refuses('start', 'two'), /in use on this host by one/);
    assert.match(await both.libvirt.refuses('start', 'two'), GUARD_REFUSES);
    await guard.libvirt.end('one');
  } finally {
    await must('losetup', ['-d', device]);
  }
}

async function shared({ guard, both, storage }: Three): Promise<void> {
  for (const host of [guard, both]) {
    await host.define(guest(1, 'one', storage.disk(0, { use: 'shareable' })));
    await host.define(guest(2, 'two', storage.disk(0, { use: 'shareable' })));
    await host.define(guest(3, 'alone', storage.disk(0)));
    await host.define(guest(4, 'reader', storage.disk(0, { use: 'readonly' })));
  }
  await guard.libvirt.must('start', 'one');
  await guard.libvirt.must('start', 'two');
  await both.libvirt.must('start', 'two');
  assert.match(await guard.libvirt.refuses('start', 'alone'), /disk vda of guest alone .* is /);
  assert.match(await both.libvirt.refuses('start', 'alone'), /disk vda of guest alone .* is /);
  await both.libvirt.must('start', 'reader');
  assert.equal(await both.held('reader'), '');
  for (const [host, name] of [
    [guard, 'one'],
    [guard, 'two'],
    [both, 'two'],
    [both, 'reader'],
  ] as const) {
    await host.libvirt.end(name);
  }
  await both.libvirt.must('start', 'alone');
  assert.match(await guard.libvirt.refuses('start', 'one'), /is in use by host host-3/);
  await both.libvirt.end('alone');
}

/** The guard keeps its lease while a guest rests, and gives it back when it is saved. */
async function rested({ dir, guard, both, storage }: Three): Promise<void> {
  for (const host of [guard, both]) {
    await host.define(guest(1, 'one', storage.disk(0)));
    await host.define(guest(2, 'two', storage.disk(0)));
  }
  await guard.libvirt.must('start', 'one');
  await guard.libvirt.must('suspend', 'one');
  assert.match(await both.libvirt.refuses('start', 'two'), GUARD_REFUSES);
  await guard.libvirt.must('resume', 'one');
  const saved = join(dir, 'one.save');
  await guard.libvirt.must('save', 'one', saved);
  await both.libvirt.must('start', 'two');
  assert.match(await guard.libvirt.refuses('restore', saved), /guest one .* in use by host host-3/);
  await both.libvirt.end('two');
  await guard.libvirt.must('restore', saved);
  assert.equal(await guard.held('one'), 'exclusive');
  await guard.libvirt.end('one');
}

/** libvirt calls no hook: it is leased at once, and a guest that has another's disk is ended. */
async function plugged({ guard, both, storage }: Three): Promise<void> {
  await guard.define(guest(1, 'one', storage.disk(0)));
  await both.define(guest(2, 'two', storage.disk(1)));
  await guard.libvirt.must('start', 'one');
  await both.libvirt.must('start', 'two');
  const attach = async (host: GuardedHost, name: string, volume: number) => {
    writeFileSync(host.host.path('/run/plugged.xml'), storage.disk(volume, { target: 'vdb' }).xml);
    await host.libvirt.must('attach-device', name, '/run/plugged.xml', '--live');
  };
  await attach(guard, 'one', 2);
  const hasBoth = async () => (await guard.held('one')) === 'exclusive exclusive';
  await until('its second disk is leased', hasBoth, SOON);
  await guard.libvirt.must('detach-device', 'one', '/run/plugged.xml', '--live');
  await attach(both, 'two', 0);
  const isOff = async () => (await both.domState('two')) === 'shut off';
  await until('the guest with a disk of another one is ended', isOff, SOON);
  assert.equal(await guard.domState('one'), 'running');
  await guard.libvirt.end('one');
}

/** The plugin has the lease of the path, the guard that of the network disk. */
async function bothKinds({ dir, guard, both, storage }: Three): Promise<void> {
  const file = join(dir, 'both.img');
  writeFileSync(file, new Uint8Array(1 << 20));
  await both.define(guest(1, 'one', { path: file }, storage.disk(3, { target: 'vdb' })));
  await guard.define(guest(2, 'two', { path: file }));
  await guard.define(guest(5, 'three', storage.disk(3)));
  await both.libvirt.must('start', 'one');
  assert.match(await guard.libvirt.refuses('start', 'two'), GUARD_REFUSES);
  assert.match(await guard.libvirt.refuses('start', 'three'), /is in use by host host-3/);
  const { stdout } = await both.host.run(both.host.program('sanlock'), ['client', 'status']);
  assert.equal(stdout.match(/^r /gm)?.length, 2, stdout);
  await both.libvirt.end('one');
}
