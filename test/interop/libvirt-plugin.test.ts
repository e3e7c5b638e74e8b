import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { originalsInstalled } from '../../src/rig/host.ts';
import { ALL_ORIGINAL, ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { must } from '../../src/rig/run.ts';
import { type Guest, type GuestDisk, withoutImageLock } from './libvirt-guest.ts';
import { HELD_ELSEWHERE, type Libvirt, whyNoLibvirt } from './libvirt-host.ts';
import { holdersOf, leaseName, leasesOf, startLibvirts, untilHeldBy } from './libvirt-rig.ts';
import { holdfast } from './supervisor.ts';

/**
 * Two guests, one disk: libvirt of Debian with its plugin on three hosts, two with our sanlock and
 * one with the original. Every refusal has the words that the original causes (spec 60 §5).
 */
const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const originals = originalsInstalled() ? null : 'the originals are not installed';
const noImages = existsSync('/usr/bin/qemu-img') ? null : 'qemu-img is not installed (qemu-utils)';
const obstacle = rigObstacle() ?? originals ?? whyNoLibvirt() ?? noImages;

const HERE = /^error: Failed to acquire lock: File exists$/m;
const SHARED_ELSEWHERE = /^error: Failed to acquire lock: Resource temporarily unavailable$/m;

/** The two of ours, and the original. */
type Three = readonly [Libvirt, Libvirt, Libvirt];

test('libvirt: two guests share no disk, on one host or on two', {
  skip: obstacle ?? false,
  timeout: 900_000,
  concurrency: 8,
}, async (t) => {
  const rig = await Rig.create({
    hosts: [ALL_OURS, ALL_OURS, ALL_ORIGINAL],
    bin: join(ROOT, 'bin'),
  });
  try {
    const [one, two, original] = await startLibvirts(rig);
    assert.ok(one !== undefined && two !== undefined && original !== undefined);
    const three: Three = [one, two, original];
    const leases = leasesOf(rig);
    for (const { host } of three) await withoutImageLock(host);
    const disks = await makeDisks(rig);
    await defineGuests(three, disks);
    const part = (name: string, of: () => Promise<void>) => t.test(name, of);
    await Promise.all([
      ...Object.entries(disks).map(([kind, disk]) =>
        part(`a ${kind} disk`, () => refusedEverywhere(three, kind, disk, leases)),
      ),
      part('an exclusive guest beside sharers', () => besideSharers(three, leases)),
      part('a sharer beside an exclusive guest', () => besideExclusive(three, leases)),
      part('a read-only disk has no lease', () => readOnly(three, leases)),
      part('failure actions that sanlock has not', () => otherActions(three)),
    ]);
  } finally {
    await rig.close();
  }
});

type Disks = Readonly<Record<'raw' | 'qcow2' | 'block', GuestDisk>>;

const shared = (n: number) => `/run/shared-${n}.img`;
const READ_ONLY = '/run/read-only.img';
const EMULATOR = '/run/qemu-without-image-lock';

/** Of all hosts; the block device has the name of a logical volume. */
async function makeDisks(rig: Rig): Promise<Disks> {
  const [raw, qcow2] = [join(rig.dir, 'disk.img'), join(rig.dir, 'disk.qcow2')];
  const volume = '/dev/mapper/vg-guest';
  await must('truncate', ['-s', '1M', raw]);
  await must('qemu-img', ['create', '-q', '-f', 'qcow2', qcow2, '1M']);
  for (const host of rig.hosts) {
    await must('nsenter', host.enter('ln', ['-s', rig.lun.device, volume]));
    await must('nsenter', host.enter('truncate', ['-s', '1M', shared(1), shared(2), READ_ONLY]));
  }
  return {
    raw: { path: raw },
    qcow2: { path: qcow2, format: 'qcow2' },
    block: { path: volume, type: 'block' },
  };
}

async function defineGuests(three: Three, disks: Disks): Promise<void> {
  const guest = (name: string, disk: GuestDisk, onLockFailure?: string): Guest => {
    const known = { name, disks: [disk], emulator: EMULATOR };
    return onLockFailure === undefined ? known : { ...known, onLockFailure };
  };
  const pairs = Object.entries(disks).flatMap(([kind, disk]) =>
    ['1', '2'].map((number) => guest(`${kind}-${number}`, disk)),
  );
  const sharers = [1, 2].flatMap((n) => [
    ...['a', 'b'].map((which) =>
      guest(`sharer-${n}${which}`, { path: shared(n), use: 'shareable' }),
    ),
    guest(`alone-${n}`, { path: shared(n) }),
  ]);
  const others = ['restart', 'ignore'].map((action) => guest(action, disks.raw, action));
  const reader = guest('reader', { path: READ_ONLY, use: 'readonly' });
  const all = [...pairs, ...sharers, ...others, reader];
  await Promise.all(three.map((libvirt) => libvirt.defineAll(all)));
}

/** The guest of that name is refused there, in these words. */
async function isRefused(libvirt: Libvirt, guest: string, words: RegExp): Promise<void> {
  assert.match(await libvirt.refuses('start', guest), words, `${libvirt.host.name}: ${guest}`);
}

async function whoSays({ host }: Libvirt, lease: string, texts: readonly string[]): Promise<void> {
  const { stdout, stderr } = await holdfast(host, 'who', '--path', lease);
  for (const text of texts) assert.ok(stdout.includes(text), `${text} in ${stdout}${stderr}`);
}

/** One line of the log of our sanlock says all that. */
function explains({ host }: Libvirt, ...texts: readonly string[]): void {
  const log = readFileSync(host.path('/var/log/sanlock.log'), 'utf8');
  assert.match(log, new RegExp(`lease\\.refused .*${texts.join('.*')}`));
}

async function refusedEverywhere(
  [one, two, original]: Three,
  kind: string,
  { path }: GuestDisk,
  leases: string,
): Promise<void> {
  const [first, second] = [`${kind}-1`, `${kind}-2`];
  await one.must('start', first);
  assert.deepEqual(holdersOf(leases, path), ['exclusive 1']);
  await Promise.all([
    isRefused(one, second, HERE),
    isRefused(two, second, HELD_ELSEWHERE),
    isRefused(original, second, HELD_ELSEWHERE),
    whoSays(two, join(leases, leaseName(path)), [
      `guest: ${first} (UUID `,
      `), which is defined on this host: vda, ${path}\n`,
      'exclusive: host-1 (host id 1, generation 1) is alive, it renewed ',
      `  taken for guest ${first} (`,
    ]),
  ]);
  explains(one, `clientName=${second} mode=exclusive result=-17`, `holderName=${first}`);
  explains(two, `clientName=${second} mode=exclusive result=-243`, 'owner=1 .* ownerName=host-1');
  await one.end(first);
  await untilHeldBy(leases, path, []);
  await original.must('start', second);
  assert.deepEqual(holdersOf(leases, path), ['exclusive 3']);
  await Promise.all([isRefused(one, first, HELD_ELSEWHERE), isRefused(original, first, HERE)]);
  await original.end(second);
  await untilHeldBy(leases, path, []);
}

/** An exclusive guest beside sharers: on one host, and on others. */
async function besideSharers(three: Three, leases: string): Promise<void> {
  const [one, two, original] = three;
  // One after another: the original refuses one of two shared requests at the same moment.
  for (const libvirt of three) await libvirt.must('start', 'sharer-1a');
  await one.must('start', 'sharer-1b');
  const all = ['shared 1', 'shared 2', 'shared 3'];
  assert.deepEqual([...holdersOf(leases, shared(1))].sort(), all);
  await Promise.all(three.map((libvirt) => isRefused(libvirt, 'alone-1', HERE)));
  await Promise.all([two.end('sharer-1a'), original.end('sharer-1a')]);
  await untilHeldBy(leases, shared(1), ['shared 1']);
  for (const libvirt of [two, original]) await isRefused(libvirt, 'alone-1', SHARED_ELSEWHERE);
  await Promise.all([one.end('sharer-1a'), one.end('sharer-1b')]);
}

/** Sharers beside an exclusive guest, of ours and of the original. */
async function besideExclusive([one, two, original]: Three, leases: string): Promise<void> {
  await original.must('start', 'alone-2');
  await Promise.all([
    isRefused(one, 'sharer-2a', HELD_ELSEWHERE),
    isRefused(original, 'sharer-2a', HERE),
  ]);
  await original.end('alone-2');
  await untilHeldBy(leases, shared(2), []);
  await one.must('start', 'alone-2');
  await Promise.all([
    isRefused(one, 'sharer-2a', HERE),
    isRefused(two, 'sharer-2a', HELD_ELSEWHERE),
    isRefused(original, 'sharer-2a', HELD_ELSEWHERE),
  ]);
  await one.end('alone-2');
}

async function readOnly([one, , original]: Three, leases: string): Promise<void> {
  await Promise.all([one.must('start', 'reader'), original.must('start', 'reader')]);
  assert.ok(!existsSync(join(leases, leaseName(READ_ONLY))), 'no lease was made');
  await Promise.all([one.end('reader'), original.end('reader')]);
}

async function otherActions([one]: Three): Promise<void> {
  const isNotSupported = (action: string) => {
    const words = `unsupported configuration: Failure action ${action} is not supported by sanlock`;
    return isRefused(one, action, new RegExp(words));
  };
  await Promise.all([isNotSupported('restart'), isNotSupported('ignore')]);
}
