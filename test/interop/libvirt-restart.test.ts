import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { type Host, originalsInstalled } from '../../src/rig/host.ts';
import { ALL_ORIGINAL, ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { must, until } from '../../src/rig/run.ts';
import { type HungFile, startHungFile } from './hung-file.ts';
import { HELD_ELSEWHERE, LIBVIRT_LOCKSPACE, Libvirt, whyNoLibvirt } from './libvirt-host.ts';
import { formatLockspace, leaseName, untilHeldBy } from './libvirt-rig.ts';
import { holdfast, ownerOf, Supervisor } from './supervisor.ts';
import { FakeWatchdog, whyNoWdmd } from './wdmd-host.ts';

/**
 * libvirt and QEMU of Debian under our sanlock and wdmd, which are killed and replaced. The other
 * host has the same libvirt under the original sanlock.
 */
const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const originals = originalsInstalled() ? null : 'the originals are not installed';
const obstacle = rigObstacle() ?? whyNoWdmd() ?? originals ?? whyNoLibvirt();

const GUEST = 'guest';
/** A file of each host's own: the lease goes by its path, and QEMU's own lock on it by the file. */
const DISK = '/run/guest.img';
/** 8 of it have to pass between a kill and a renewal of the successor, on a busy machine too. */
const IO_TIMEOUT_S = 4;
const SOON = { withinMs: 120_000, everyMs: 200 };

interface Two {
  readonly leases: string;
  readonly ours: Libvirt;
  readonly other: Libvirt;
}

test('guests of libvirt outlive restarts of sanlock and wdmd, and start after a lost storage', {
  skip: obstacle ?? false,
  timeout: 900_000,
}, async (t) => {
  const watchdog = await FakeWatchdog.start();
  const file = await startHungFile(MIB); // before the hosts, which see the mounts of this moment
  const rig = await Rig.create({
    hosts: [ALL_OURS, ALL_ORIGINAL],
    bin: join(ROOT, 'bin'),
    watchdogs: [watchdog.path, null],
    shown: [dirname(file.path)],
  });
  try {
    const two = await startBoth(rig, file);
    await killedUnderGuest(two);
    await killedUnderPausedGuest(two);
    await killedWithoutGuest(two);
    await handedOver(t, two);
    await lostAndBack(two, file);
    assert.ok(two.ours.isRunning(), 'the libvirtd of the beginning');
    assert.ok(!watchdog.words().includes('write V'), 'the device is never disarmed');
  } finally {
    file.recover();
    await rig.close();
    file.close();
    watchdog.close();
  }
});

/** The plugin's lockspace is on the storage that will fail; the leases stay readable. */
async function startBoth(rig: Rig, file: HungFile): Promise<Two> {
  const leases = join(rig.dir, 'leases');
  mkdirSync(leases);
  const lockspace = join(leases, LIBVIRT_LOCKSPACE);
  writeFileSync(lockspace, '');
  const [one, two] = [rig.host(1), rig.host(2)];
  await one.startWdmd();
  for (const host of rig.hosts) {
    await must('nsenter', host.enter('mount', ['--bind', file.path, lockspace]));
    await must('nsenter', host.enter('truncate', ['-s', '1M', DISK]));
    await host.startSanlock();
  }
  await formatLockspace(one, lockspace, IO_TIMEOUT_S);
  const options = { dir: rig.dir, leases, ioTimeoutS: IO_TIMEOUT_S };
  const [ours, other] = await Promise.all([
    Libvirt.start(one, options),
    Libvirt.start(two, options),
  ]);
  for (const libvirt of [ours, other]) await libvirt.define(GUEST, DISK);
  return { leases, ours, other };
}

/** Its lease is the same one, and no other host gets it, until it is destroyed. */
async function killedUnderGuest({ leases, ours, other }: Two): Promise<void> {
  await ours.must('start', GUEST);
  const isSame = sameGuest(leases, ours);
  await killed(ours.host);
  assert.match(await other.refuses('start', GUEST), HELD_ELSEWHERE);
  await isSame();
  await destroyed(ours, leases);
  await other.must('start', GUEST);
  assert.match(await ours.refuses('start', GUEST), HELD_ELSEWHERE);
  await destroyed(other, leases);
}

/** A paused guest has no lease. If the next sanlock did not know it, it would go on without. */
async function killedUnderPausedGuest({ leases, ours, other }: Two): Promise<void> {
  await ours.must('start', GUEST);
  await ours.must('suspend', GUEST);
  await other.must('start', GUEST);
  await killed(ours.host);
  assert.match(await ours.refuses('resume', GUEST), HELD_ELSEWHERE);
  assert.equal(await ours.must('domstate', GUEST), 'paused');
  await destroyed(other, leases);
  await ours.must('resume', GUEST);
  await sameGuest(leases, ours)();
  await destroyed(ours, leases);
}

/** The plugin adds its lockspace when libvirtd starts, and never again. */
async function killedWithoutGuest({ ours }: Two): Promise<void> {
  await killed(ours.host);
  await ours.must('start', GUEST);
}

/** What `systemctl restart` and `holdfast upgrade` do. */
async function handedOver(t: TestContext, { leases, ours, other }: Two): Promise<void> {
  const isSame = sameGuest(leases, ours);
  const supervisor = new Supervisor(ours.host);
  const done = await holdfast(ours.host, 'upgrade');
  await supervisor.close();
  t.diagnostic(done.stdout);
  assert.equal(done.code, 0, `${done.stdout}${done.stderr}`);
  assert.deepEqual(supervisor.restarts, ['wdmd', 'sanlock']);
  assert.match(done.stdout, /lockspace __LIBVIRT__DISKS__: 1 lease of 1 holder carried over/);
  assert.match(await other.refuses('start', GUEST), HELD_ELSEWHERE);
  await isSame();
  await destroyed(ours, leases);
  await ours.must('start', GUEST);
}

/** sanlock stops the guest; with the storage back, ours can start it, and the original cannot. */
async function lostAndBack({ ours, other }: Two, file: HungFile): Promise<void> {
  file.hang();
  const isOff = async () => (await ours.must('domstate', GUEST)) === 'shut off';
  await until('the guest is stopped', isOff, { withinMs: 120_000, everyMs: 500 });
  assert.match(await ours.refuses('start', GUEST), /No space left on device/);
  const isLost = async () => !(await isJoined(other.host));
  await until('the original has lost it as well', isLost, { withinMs: 120_000, everyMs: 500 });
  file.recover();
  const starts = async () => (await ours.virsh('start', GUEST)).code === 0;
  await until('the guest can be started again', starts, { withinMs: 240_000, everyMs: 1000 });
  assert.match(await other.refuses('start', GUEST), /No space left on device/);
  await ours.must('destroy', GUEST);
}

async function destroyed(libvirt: Libvirt, leases: string): Promise<void> {
  await libvirt.must('destroy', GUEST);
  await untilHeldBy(leases, DISK, []);
}

async function killed(host: Host): Promise<void> {
  await host.kill('sanlock');
  await host.startSanlock();
}

async function isJoined(host: Host): Promise<boolean> {
  const { stdout } = await host.run(host.program('sanlock'), ['client', 'status']);
  return new RegExp(`^s ${LIBVIRT_LOCKSPACE}:[0-9]+:\\S+:0$`, 'm').test(stdout);
}

/** @returns a check that the QEMU of this moment runs still, with the lease that it has now */
function sameGuest(leases: string, libvirt: Libvirt): () => Promise<void> {
  const { host } = libvirt;
  const lease = join(leases, leaseName(DISK));
  const [pid, owner] = [libvirt.qemuPid(GUEST), ownerOf(lease, 0)];
  assert.equal(Number(owner.ownerId), host.hostId);
  const holds = async () => {
    const { stdout } = await host.run(host.program('sanlock'), ['client', 'status']);
    return new RegExp(`^r .*:${owner.lver} p ${pid}$`, 'm').test(stdout);
  };
  return async () => {
    await until(`QEMU holds its lease on ${host.name}`, holds, SOON);
    assert.deepEqual(ownerOf(lease, 0), owner, 'no generation, no version has changed');
    assert.equal(await libvirt.must('domstate', GUEST), 'running');
    assert.equal(libvirt.qemuPid(GUEST), pid);
  };
}
