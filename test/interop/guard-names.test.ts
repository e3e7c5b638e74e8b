import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { originalsInstalled } from '../../src/rig/host.ts';
import { ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { must, until } from '../../src/rig/run.ts';
import { GuardService } from './guard-service.ts';
import { noHungFile, startHungFile } from './hung-file.ts';
import { LIBVIRT_LOCKSPACE } from './libvirt-host.ts';
import { leaseName, startSanlocks } from './libvirt-rig.ts';

/** One disk by its several names, on real devices; and disks on a file system that hangs. */
const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const originals = originalsInstalled() ? null : 'the originals are not installed';
const obstacle = rigObstacle() ?? originals ?? noHungFile();
const [ONE, TWO] = [1, 2].map((n) => `${n}f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f1${n}`);

interface Guarded {
  readonly guard: GuardService;
  readonly dir: string;
  readonly leases: string;
}

test('the names of a disk', { skip: obstacle ?? false, timeout: 900_000 }, async (t) => {
  const hung = await startHungFile(MIB); // before the host, which sees the mounts of this moment
  const shown = [dirname(hung.path)];
  const rig = await Rig.create({ hosts: [ALL_OURS], bin: join(ROOT, 'bin'), shown });
  try {
    const { dir } = rig;
    const leases = await startSanlocks(rig);
    const guard = await GuardService.start(rig.host(1), { dir, leases, ioTimeoutS: 4 });
    const guarded = { guard, dir, leases };
    await t.test('a file by five paths', () => files(guarded));
    await t.test('a device by three, and the file behind it', () => devices(guarded));
    await t.test('a volume of a pool, and its file', () => volumes(guarded));
    await t.test('a file system that hangs keeps no other guest from starting', async () => {
      await hanging(guarded, hung);
    });
  } finally {
    hung.recover();
    await rig.close();
    hung.close();
  }
});

function guestXml(name: string, uuid: string | undefined, disk: string): string {
  return `<domain type='qemu' id='1'><name>${name}</name><uuid>${uuid}</uuid>
    <devices>${disk}</devices></domain>`;
}

function disk(type: 'file' | 'block', path: string): string {
  const attribute = type === 'file' ? 'file' : 'dev';
  return `<disk type='${type}'><source ${attribute}='${path}'/><target dev='vda'/></disk>`;
}

/** With each of the disks a guest starts, and keeps a guest with the next of them from starting. */
async function excludeEachOther({ guard }: Guarded, disks: readonly string[]): Promise<void> {
  for (const [n, first] of disks.entries()) {
    const one = guestXml('one', ONE, first);
    assert.deepEqual(await guard.hook('start', one), { status: 0, said: '' }, first);
    const second = disks[(n + 1) % disks.length] ?? '';
    const { status, said } = await guard.hook('start', guestXml('two', TWO, second));
    assert.match(said, /^holdfast guard: disk vda of guest two .* in use on this host by one/);
    assert.equal(status, 3, `${first} ${second}`);
    assert.equal((await guard.hook('release', one)).status, 0);
  }
}

function leaseOf({ leases }: Guarded, key: string): boolean {
  return readdirSync(leases).includes(leaseName(key));
}

async function files(guarded: Guarded): Promise<void> {
  const { dir } = guarded;
  mkdirSync(join(dir, 'images/sub'), { recursive: true });
  const file = join(dir, 'images/a.img');
  writeFileSync(file, '');
  symlinkSync(file, join(dir, 'link.img'));
  symlinkSync('images', join(dir, 'folder'));
  const paths = [
    file,
    join(dir, 'link.img'),
    `${dir}/folder/a.img`,
    `${dir}/images/sub/../a.img`,
    `${dir}//images/./a.img`,
  ];
  await excludeEachOther(
    guarded,
    paths.map((path) => disk('file', path)),
  );
  for (const path of paths) assert.ok(leaseOf(guarded, path), `the plugin's lease of ${path}`);
  assert.equal(readdirSync(guarded.leases).length, paths.length + 1, 'and the lockspace');
}

async function devices(guarded: Guarded): Promise<void> {
  const { dir, guard } = guarded;
  const file = join(dir, 'device.img');
  writeFileSync(file, new Uint8Array(MIB));
  const device = await must('losetup', ['-f', '--show', file]);
  const over = await must('losetup', ['-f', '--show', device]);
  try {
    const inside = (...words: string[]) => must('nsenter', guard.host.enter('ln', words));
    mkdirSync(guard.host.path('/run/by-id'));
    await inside('-s', device, '/run/by-id/scsi-1');
    await inside('-s', `../${device.replace('/dev/', '')}`, '/dev/mapper/vg-lv');
    const names = [device, '/run/by-id/scsi-1', '/dev/mapper/vg-lv', over];
    await excludeEachOther(guarded, [
      ...names.map((name) => disk('block', name)),
      disk('file', file),
    ]);
    for (const name of [...names, file]) assert.ok(leaseOf(guarded, name), name);
  } finally {
    await must('losetup', ['-d', over]);
    await must('losetup', ['-d', device]);
  }
}

async function volumes(guarded: Guarded): Promise<void> {
  const { dir, guard } = guarded;
  const file = join(dir, 'images/v.img');
  writeFileSync(file, '');
  mkdirSync(guard.host.path('/run/libvirt/storage'), { recursive: true });
  const pool = `<poolstate><pool type='dir'><name>img</name>
    <target><path>${dir}/folder</path></target></pool></poolstate>`;
  writeFileSync(guard.host.path('/run/libvirt/storage/img.xml'), pool);
  const volume = `<disk type='volume'><source pool='img' volume='v.img'/><target dev='vda'/></disk>`;
  await excludeEachOther(guarded, [volume, disk('file', file)]);
  assert.ok(leaseOf(guarded, `${dir}/folder/v.img`), 'as the plugin names it');
  const gone = volume.replace("'img'", "'gone'");
  assert.deepEqual(await guard.hook('start', guestXml('one', ONE, gone)), {
    status: 3,
    said:
      'holdfast guard: guest one: disk vda is volume v.img of pool gone, ' +
      'and this host has no storage pool of that name\n',
  });
}

/** More guests hang than Node has threads by itself. */
async function hanging(
  guarded: Guarded,
  hung: { readonly path: string; hang(): void; recover(): void },
): Promise<void> {
  const { guard, dir } = guarded;
  const good = guestXml('good', TWO, disk('file', join(dir, 'images/a.img')));
  const sockets = () => readdirSync(`/proc/${guard.pid}/fd`).length;
  const before = sockets();
  hung.hang();
  const late = Array.from({ length: 6 }, async (_, n) => {
    const uuid = `${n}a1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10`;
    const path = join(dirname(hung.path), `sub-${n}/a.img`);
    return await guard.ask('start', guestXml(`hung-${n}`, uuid, disk('file', path)));
  });
  const haveAsked = () => sockets() >= before + late.length;
  await until('all have asked', haveAsked, { withinMs: 15_000, everyMs: 20 });
  assert.equal(await Promise.race([...late, guard.ask('start', good)]), null);
  for (const said of await Promise.all(late)) {
    assert.match(`${said}`, /guest hung-\d: the file system of \S+ did not answer within 20 s$/);
  }
  hung.recover();
  assert.equal((await guard.hook('release', good)).status, 0);
  assert.equal(readdirSync(guarded.leases).includes(LIBVIRT_LOCKSPACE), true);
}
