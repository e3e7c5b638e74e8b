import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { originalsInstalled } from '../../src/rig/host.ts';
import { ALL_ORIGINAL, ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { must, until } from '../../src/rig/run.ts';
import { withoutImageLock } from './libvirt-guest.ts';
import { HELD_ELSEWHERE, type Libvirt, whyNoLibvirt } from './libvirt-host.ts';
import { holdersOf, leasesOf, migrate, startLibvirts } from './libvirt-rig.ts';

/**
 * The life of guests of libvirt with its plugin, on a host with our sanlock and on one with the
 * original: what becomes of their leases when they are paused, saved, moved or killed, and when a
 * daemon is.
 */
const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const originals = originalsInstalled() ? null : 'the originals are not installed';
const obstacle = rigObstacle() ?? originals ?? whyNoLibvirt();

/** 8 of it have to pass between a kill and a renewal of the successor, on a busy machine too. */
const IO_TIMEOUT_S = 4;
const HERE = /^error: Failed to acquire lock: File exists$/m;
const NO_SANLOCK =
  /Lock Driver error : Failed to open socket to sanlock daemon: Connection refused/;
const SOON = { withinMs: 120_000, everyMs: 10 };

const PARTS = ['paused', 'saved', 'moved', 'killed', 'ended', 'daemons'] as const;
type Part = (typeof PARTS)[number];

/** The host of ours, the other one, and who has the lease of a guest's disk, by the storage. */
interface Pair {
  readonly rig: Rig;
  readonly ours: Libvirt;
  readonly original: Libvirt;
  readonly holders: (part: Part) => readonly string[];
}

test('libvirt: guests are paused, saved, moved and killed, and daemons under them', {
  skip: obstacle ?? false,
  timeout: 900_000,
  concurrency: 4,
}, async (t) => {
  const rig = await Rig.create({
    hosts: [ALL_OURS, ALL_ORIGINAL],
    bin: join(ROOT, 'bin'),
    ioTimeoutS: IO_TIMEOUT_S,
  });
  try {
    const pair = await startPair(rig);
    await Promise.all([
      t.test('paused, and resumed', () => paused(pair)),
      t.test('saved, and restored', () => saved(pair)),
      t.test('moved to the original, and back', () => moved(pair)),
      t.test('QEMU is killed', () => killed(pair)),
    ]);
    await t.test('libvirtd is killed, and sanlock', () => bothKilled(pair));
    await t.test('a guest is paused while sanlock is away', () => pausedWithoutSanlock(pair));
    await t.test('QEMU ends while sanlock is away', () => endedWithoutSanlock(pair));
  } finally {
    await rig.close();
  }
});

/** On the host of ours a guest with the disk of another one. */
const SECOND = 'second';

/** On each host its own image, by the same path: QEMU's own lock is on the image. */
function diskOf(part: Part): string {
  return `/run/${part}.img`;
}

async function startPair(rig: Rig): Promise<Pair> {
  const [ours, original] = await startLibvirts(rig);
  assert.ok(ours !== undefined && original !== undefined);
  const guests = PARTS.map((part) => ({
    name: part,
    uuid: `6f1c1d1e-27a1-4b52-a1e7-${part.padEnd(12, '0').replace(/[^0-9a-f]/g, '0')}`,
    disks: [{ path: diskOf(part) }],
  }));
  const pair = [ours, original];
  await Promise.all(
    pair.map(async (libvirt) => {
      const { host } = libvirt;
      await must('nsenter', host.enter('truncate', ['-s', '1M', ...PARTS.map(diskOf)]));
      await libvirt.defineAll(guests);
      const emulator = await withoutImageLock(host);
      const disks = [{ path: diskOf('daemons') }];
      await libvirt.defineAll([{ name: SECOND, disks, emulator }]);
    }),
  );
  return { rig, ours, original, holders: (part) => holdersOf(leasesOf(rig), diskOf(part)) };
}

/** A paused guest has no lease, and does not resume without it. */
async function paused({ ours, original, holders }: Pair): Promise<void> {
  const guest = 'paused';
  for (const [one, other] of [
    [ours, original],
    [original, ours],
  ] as const) {
    await one.must('start', guest);
    assert.deepEqual(holders(guest), [`exclusive ${one.host.hostId}`]);
    await one.must('suspend', guest);
    assert.deepEqual(holders(guest), []);
    await other.must('start', guest);
    assert.match(await one.refuses('resume', guest), HELD_ELSEWHERE);
    assert.equal(await one.must('domstate', guest), 'paused');
    await endAndFree(other, guest, holders);
    await one.must('resume', guest);
    assert.deepEqual(holders(guest), [`exclusive ${one.host.hostId}`]);
    await endAndFree(one, guest, holders);
  }
}

async function saved({ ours, original, holders }: Pair): Promise<void> {
  const guest = 'saved';
  await ours.must('start', guest);
  await ours.must('save', guest, '/run/guest.saved');
  assert.deepEqual(holders(guest), []);
  await original.must('start', guest);
  assert.match(await ours.refuses('restore', '/run/guest.saved'), HELD_ELSEWHERE);
  await endAndFree(original, guest, holders);
  await ours.must('restore', '/run/guest.saved');
  assert.deepEqual(holders(guest), ['exclusive 1']);
  await ours.must('managedsave', guest);
  assert.deepEqual(holders(guest), []);
  await ours.must('start', guest);
  assert.deepEqual(holders(guest), ['exclusive 1']);
  await ours.end(guest);
}

async function moved({ rig, ours, original, holders }: Pair): Promise<void> {
  const guest = 'moved';
  await ours.must('start', guest);
  for (const [from, to] of [
    [ours, original],
    [original, ours],
  ] as const) {
    const done = await migrate(from, to, guest, rig);
    assert.equal(done.code, 0, `${done.stdout}${done.stderr}`);
    assert.equal(await to.must('domstate', guest), 'running');
    assert.equal(await from.must('domstate', guest), 'shut off');
    assert.deepEqual(holders(guest), [`exclusive ${to.host.hostId}`]);
    assert.match(await from.refuses('start', guest), HELD_ELSEWHERE);
  }
  await ours.end(guest);
}

/** libvirt may know of the end before sanlock does. */
async function endAndFree(libvirt: Libvirt, guest: Part, holders: Pair['holders']): Promise<void> {
  await libvirt.end(guest);
  const isFree = () => holders(guest).length === 0;
  await until(`the lease of guest ${guest} is free`, isFree, SOON);
}

/** Only the hang-up of its socket tells sanlock. */
async function killed({ ours, holders }: Pair): Promise<void> {
  const guest = 'killed';
  await ours.must('start', guest);
  await freedBy(() => process.kill(ours.qemuPid(guest), 'SIGKILL'), guest, holders);
}

async function freedBy(kill: () => void, guest: Part, holders: Pair['holders']): Promise<void> {
  assert.deepEqual(holders(guest), ['exclusive 1']);
  kill();
  const isFree = () => holders(guest).length === 0;
  await until(`the lease of guest ${guest} is free`, isFree, SOON);
}

/**
 * Guests and their leases need no libvirtd. When sanlock is killed as well, the original would let
 * a second guest onto the disk of one that runs (spec 60 §6).
 */
async function bothKilled({ ours, original, holders }: Pair): Promise<void> {
  const [ended, guest] = ['ended', 'daemons'] as const;
  await ours.must('start', ended);
  await ours.must('start', guest);
  const pid = ours.qemuPid(guest);
  await ours.kill();
  assert.match(await original.refuses('start', ended), HELD_ELSEWHERE);
  await freedBy(() => process.kill(ours.qemuPid(ended), 'SIGKILL'), ended, holders);
  await original.must('start', ended);
  await ours.host.kill('sanlock');
  await ours.host.startSanlock();
  await ours.startAgain();
  assert.equal(await ours.must('domstate', ended), 'shut off');
  assert.equal(await ours.must('domstate', guest), 'running');
  assert.equal(ours.qemuPid(guest), pid);
  assert.match(await ours.refuses('start', SECOND), HERE);
  await ours.must('suspend', guest);
  assert.deepEqual(holders(guest), []);
  await ours.must('start', SECOND);
  assert.match(await ours.refuses('resume', guest), HERE);
  await ours.end(SECOND);
  await until('the lease of that guest is free', () => holders(guest).length === 0, SOON);
  await ours.must('resume', guest);
  assert.deepEqual(holders(guest), ['exclusive 1']);
  await Promise.all([endAndFree(ours, guest, holders), original.end(ended)]);
}

async function pausedWithoutSanlock({ ours, original, holders }: Pair): Promise<void> {
  const guest = 'daemons';
  await ours.must('start', guest);
  await ours.host.kill('sanlock');
  assert.match(await ours.refuses('start', SECOND), NO_SANLOCK);
  await ours.must('suspend', guest);
  assert.deepEqual(holders(guest), ['exclusive 1'], 'nobody could release it');
  await ours.host.startSanlock();
  assert.match(await original.refuses('start', guest), HELD_ELSEWHERE);
  await ours.must('resume', guest);
  assert.deepEqual(holders(guest), ['exclusive 1']);
  await ours.must('suspend', guest);
  assert.deepEqual(holders(guest), []);
  await ours.end(guest);
}

async function endedWithoutSanlock({ ours, original, holders }: Pair): Promise<void> {
  const guest = 'daemons';
  await ours.must('start', guest);
  const qemu = `/proc/${ours.qemuPid(guest)}`;
  await ours.host.kill('sanlock');
  process.kill(ours.qemuPid(guest), 'SIGKILL');
  // libvirt is not waited for: after 8·t the original waits for the death of this host.
  await until('the end of QEMU', () => !existsSync(`${qemu}/exe`), SOON);
  assert.match(await original.refuses('start', guest), HELD_ELSEWHERE);
  await ours.host.startSanlock();
  const isFree = () => holders(guest).length === 0;
  await until('the lease of a guest that has ended is free', isFree, SOON);
  await original.must('start', guest);
  await original.end(guest);
}
