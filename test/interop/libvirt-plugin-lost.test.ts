import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { SECOND_MS } from '../../src/base/units.ts';
import { decode } from '../../src/codec/struct.ts';
import { deltaLeader } from '../../src/format/leader.ts';
import { monotonicMs } from '../../src/platform/clock.ts';
import { DirectDisk } from '../../src/platform/disk-direct.ts';
import type { Host } from '../../src/rig/host.ts';
import { ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { must, until } from '../../src/rig/run.ts';
import { FailingWay, noHungFile } from './hung-file.ts';
import { LIBVIRT_LOCKSPACE, type Libvirt, whyNoLibvirt } from './libvirt-host.ts';
import { holdersOf, leasesOf, startLibvirts } from './libvirt-rig.ts';

/**
 * The storage of the plugin's lockspace does not answer: what each `<on_lockfailure>` does, and
 * when; and that guests go on with the storage back, though no daemon is restarted.
 */
const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const obstacle = rigObstacle() ?? noHungFile() ?? whyNoLibvirt();

const IO_TIMEOUT_S = 2;
const EXPIRES_MS = 8 * IO_TIMEOUT_S * SECOND_MS;
/** Between two clocks, one of which is set while it runs. */
const CLOCKS_MS = 100;
/**
 * On a machine at rest it is a second (sanlock looks when the lease expires); before another host
 * may have the leases it is a minute.
 */
const STOPPED_WITHIN_MS = 15 * SECOND_MS;
const ACTIONS = ['default', 'poweroff', 'pause'] as const;
const STOPPED = ['default', 'poweroff'] as const;
const LOST = /^error: Failed to acquire lock: No space left on device$/m;

test('libvirt: the storage of the lockspace is lost, and comes back', {
  skip: obstacle ?? false,
  timeout: 900_000,
}, async (t) => {
  const way = new FailingWay();
  const rig = await Rig.create({
    hosts: [ALL_OURS],
    bin: join(ROOT, 'bin'),
    ioTimeoutS: IO_TIMEOUT_S,
    ways: [(image) => way.open(image)],
  });
  try {
    const libvirt = await startOn(rig);
    const renewedMs = await nextRenewal(rig.lun.image);
    way.hang();
    await lost(t, libvirt, renewedMs);
    const refused = [...STOPPED.map((name) => ['start', name]), ['resume', 'pause']];
    for (const said of await Promise.all(refused.map((words) => libvirt.refuses(...words)))) {
      assert.match(said, LOST);
    }
    const log = readFileSync(libvirt.host.path('/var/log/sanlock.log'), 'utf8');
    assert.match(
      log,
      /lease\.refused .*clientName=default .*result=-28 reason="the lockspace was lo/,
    );
    way.recover();
    await back(rig, libvirt);
  } finally {
    way.recover();
    await rig.close();
    way.close();
  }
});

function diskOf(name: string): string {
  return `/run/${name}.img`;
}

/** The lockspace is on the LUN, which can fail; the leases stay readable. */
async function startOn(rig: Rig): Promise<Libvirt> {
  const host = rig.host(1);
  mkdirSync(leasesOf(rig));
  const device = rig.luns[1]?.device;
  assert.ok(device !== undefined, 'the host has a way of its own');
  symlinkSync(device, join(leasesOf(rig), LIBVIRT_LOCKSPACE));
  const [libvirt] = await startLibvirts(rig);
  assert.ok(libvirt !== undefined);
  await must('nsenter', host.enter('truncate', ['-s', '1M', ...ACTIONS.map(diskOf)]));
  const guests = ACTIONS.map((name) => ({ name, disks: [{ path: diskOf(name) }] }));
  await libvirt.defineAll(guests.map((guest) => ({ ...guest, onLockFailure: guest.name })));
  for (const name of ACTIONS) await libvirt.must('start', name);
  return libvirt;
}

/** Each action comes when the host lease has expired, and not before. */
async function lost(t: TestContext, libvirt: Libvirt, renewedMs: number): Promise<void> {
  const { host } = libvirt;
  const times: Readonly<Record<(typeof ACTIONS)[number], () => number | null>> = {
    default: () => terminatedMs(host, 'default', `from pid ${host.pid('sanlock')} `),
    poweroff: () => terminatedMs(host, 'poweroff', '(/usr/sbin/libvirtd'),
    pause: () => pausedMs(host, 'pause'),
  };
  for (const name of ACTIONS) {
    const acts = () => times[name]() !== null;
    await until(`guest ${name} is stopped`, acts, { withinMs: 120_000, everyMs: 100 });
    const afterMs = (times[name]() ?? 0) - renewedMs;
    t.diagnostic(`${name}: ${Math.round(afterMs)} ms after the last renewal`);
    assert.ok(afterMs >= EXPIRES_MS - CLOCKS_MS, `${name} after ${afterMs} ms`);
    assert.ok(afterMs <= EXPIRES_MS + STOPPED_WITHIN_MS, `${name} after ${afterMs} ms`);
  }
  for (const name of STOPPED) {
    const isOff = async () => (await libvirt.must('domstate', name)) === 'shut off';
    await until(`guest ${name} is off`, isOff, { withinMs: 120_000, everyMs: 100 });
  }
}

/** From when host 1 has claimed its host lease, at the earliest, by the clock of the logs. */
async function nextRenewal(image: string): Promise<number> {
  const disk = new DirectDisk(image, 'read');
  try {
    const timestamp = () => decode(deltaLeader, disk.read(0, 512)).timestampS;
    const before = timestamp();
    const isRenewed = () => timestamp() !== before;
    await until('a renewal', isRenewed, { withinMs: 30_000, everyMs: 10 });
    return Date.now() - (monotonicMs() - Number(timestamp()) * SECOND_MS);
  } finally {
    disk.close();
  }
}

/** When QEMU was sent SIGTERM by that process, by its log; null: not yet. */
function terminatedMs(host: Host, name: string, by: string): number | null {
  const log = readFileSync(host.path(`/var/log/libvirt/qemu/${name}.log`), 'latin1');
  const line = log.split('\n').find((one) => one.includes('terminating on signal 15'));
  if (line === undefined) return null;
  assert.ok(line.includes(by), line);
  return Date.parse(line.split(' ')[0] ?? '');
}

/** When libvirtd wrote that its CPUs stand. */
function pausedMs(host: Host, name: string): number | null {
  const path = host.path(`/run/libvirt/qemu/${name}.xml`);
  const isPaused = /<domstatus state='paused'/.test(readFileSync(path, 'latin1'));
  return isPaused ? statSync(path).mtimeMs : null;
}

async function back(rig: Rig, libvirt: Libvirt): Promise<void> {
  const resumes = async () => (await libvirt.virsh('resume', 'pause')).code === 0;
  await until('the paused guest goes on', resumes, { withinMs: 120_000, everyMs: 200 });
  await Promise.all(STOPPED.map((name) => libvirt.must('start', name)));
  for (const name of ACTIONS) {
    assert.equal(await libvirt.must('domstate', name), 'running');
    assert.deepEqual(holdersOf(leasesOf(rig), diskOf(name)), ['exclusive 1']);
  }
  assert.ok(libvirt.isRunning(), 'the libvirtd of the beginning');
  assert.ok(libvirt.host.alive('sanlock'), 'the sanlock of the beginning');
}
