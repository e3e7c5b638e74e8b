import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { MonotonicClock } from '../../src/platform/clock.ts';
import { type Host, originalsInstalled } from '../../src/rig/host.ts';
import { ALL_ORIGINAL, ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { must, until } from '../../src/rig/run.ts';
import { explained, GuardedHost, NbdServer } from './guard-host.ts';
import { SOON } from './guard-service.ts';
import { type HungFile, noHungFile, startHungFile } from './hung-file.ts';
import { LIBVIRT_LOCKSPACE, whyNoLibvirt } from './libvirt-host.ts';
import { formatLockspace } from './libvirt-rig.ts';

/** The storage of the leases is lost, and comes back; nothing is restarted. */
const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const originals = originalsInstalled() ? null : 'the originals are not installed';
const obstacle = rigObstacle() ?? originals ?? whyNoLibvirt() ?? noHungFile();
const IO_TIMEOUT_S = 2;
const LOST_S = 8 * IO_TIMEOUT_S;
/**
 * sanlock looks each second, and says when it renewed in whole seconds; the rest is the machine's.
 * Before another host may have the leases it is a minute.
 */
const LATE_S = 15;
const UUIDS = {
  stops: '6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10',
  waits: '7f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f11',
  left: '8f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f12',
  hurries: '9f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f13',
};

test('guests of a lost lockspace', { skip: obstacle ?? false, timeout: 900_000 }, async (t) => {
  const file = await startHungFile(MIB); // before the hosts, which see the mounts of this moment
  const hosts = [ALL_OURS, ALL_ORIGINAL];
  const rig = await Rig.create({ hosts, bin: join(ROOT, 'bin'), shown: [dirname(file.path)] });
  const storage = NbdServer.start(rig.dir, 8);
  try {
    const both = await start(rig, file, storage);
    file.hang();
    for (const one of both) await leave(one);
    await t.test('stopped, or paused, in time', async (sub) => {
      for (const said of await Promise.all(both.map(lost))) sub.diagnostic(said);
    });
    await t.test('what went on without its lease, or keeper, is ended by the next guard', () =>
      explained(both, async () => {
        await Promise.all(both.map(followed));
      }),
    );
    await t.test('one that goes on without its lease is ended', () =>
      explained(both, () => resumed(both[0])),
    );
    file.recover();
    await t.test('with the storage they start again', () => explained(both, () => back(both)));
  } finally {
    file.recover();
    storage.close();
    await rig.close();
    file.close();
  }
});

async function start(
  rig: Rig,
  file: HungFile,
  storage: NbdServer,
): Promise<readonly [GuardedHost, GuardedHost]> {
  const { dir } = rig;
  const leases = join(dir, 'leases');
  mkdirSync(leases);
  const lockspace = join(leases, LIBVIRT_LOCKSPACE);
  writeFileSync(lockspace, '');
  for (const host of rig.hosts) {
    await must('nsenter', host.enter('mount', ['--bind', file.path, lockspace]));
    await host.startSanlock();
  }
  await formatLockspace(rig.host(1), lockspace, IO_TIMEOUT_S);
  const begun = async (host: Host, first: number): Promise<GuardedHost> => {
    const guarded = await GuardedHost.start(host, { dir, leases, ioTimeoutS: IO_TIMEOUT_S });
    await guarded.define(
      { name: 'stops', uuid: UUIDS.stops, disks: [storage.disk(first)] },
      ...(['waits', 'hurries'] as const).map((name, n) => ({
        ...{ name, uuid: UUIDS[name], disks: [storage.disk(first + 1 + n)] },
        onLockFailure: 'pause' as const,
      })),
      { name: 'left', uuid: UUIDS.left, disks: [storage.disk(first + 3)] },
    );
    for (const name of Object.keys(UUIDS)) await guarded.libvirt.must('start', name);
    return guarded;
  };
  return await Promise.all([begun(rig.host(1), 0), begun(rig.host(2), 4)]);
}

/** What is known of one guest is lost, and nobody watches over any; sanlock is on its own. */
async function leave(one: GuardedHost): Promise<void> {
  rmSync(one.recordPath(UUIDS.stops));
  const keeper = await one.keeperPid('left');
  await one.killGuard();
  process.kill(keeper ?? 0, 'SIGKILL');
}

async function followed(one: GuardedHost): Promise<void> {
  const left = one.libvirt.qemuPid('left');
  const hurries = one.libvirt.qemuPid('hurries');
  await one.libvirt.must('resume', 'hurries');
  assert.ok(isAlive(left) && isAlive(hurries), 'nobody has ended them');
  one.startGuard();
  await until('both are ended', () => !isAlive(left) && !isAlive(hurries), SOON);
  assert.match(one.log, /guest\.leasesLost .*guest=left/);
  assert.match(one.log, /guest\.conflict .*guest=hurries/);
}

/** @returns how long it took */
async function lost(one: GuardedHost): Promise<string> {
  const clock = new MonotonicClock();
  const { host } = one;
  const stops = one.libvirt.qemuPid('stops');
  const hasEnded = () => !isAlive(stops);
  await until('its QEMU ends', hasEnded, SOON);
  const endedS = clock.nowMs() / 1000;
  const { stdout } = await host.run(host.program('sanlock'), ['client', 'status', '-D']);
  const renewedS = Number(/renewal_last_success=(\d+)/.exec(stdout)?.[1]);
  const said = `${host.name}: ${(endedS - renewedS).toFixed(1)} s after its last renewal`;
  assert.ok(endedS - renewedS >= LOST_S && endedS - renewedS <= LOST_S + LATE_S, said);
  for (const name of ['waits', 'hurries']) {
    const isPaused = async () => (await one.domState(name)) === 'paused';
    await until(`${name} is paused`, isPaused, SOON);
  }
  return said;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function resumed(one: GuardedHost): Promise<void> {
  await one.libvirt.virsh('resume', 'waits');
  const isOff = async () => (await one.domState('waits')) === 'shut off';
  await until('it is ended', isOff, SOON);
  assert.match(one.log, /guest\.conflict .*guest=waits/);
}

async function back([ours, original]: readonly [GuardedHost, GuardedHost]): Promise<void> {
  for (const one of [ours, original]) {
    const starts = async () => (await one.libvirt.virsh('start', 'stops')).code === 0;
    await until(`a guest starts on ${one.host.name}`, starts, { withinMs: 120_000 });
  }
  const hasIt = async () => (await original.held('waits')) === 'exclusive';
  await until('the paused guest has its lease again', hasIt, SOON);
  await original.libvirt.must('resume', 'waits');
  assert.equal(await original.domState('waits'), 'running');
}
