import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { readHolders } from '../../src/lease/read-holders.ts';
import type { Reply } from '../../src/lease/steps.ts';
import type { Host } from '../../src/rig/host.ts';
import type { Rig } from '../../src/rig/rig.ts';
import { must, type Outcome, until } from '../../src/rig/run.ts';
import { LIBVIRT_LOCKSPACE, Libvirt } from './libvirt-host.ts';

/** The folder of lockspace and leases, which all hosts of a rig have. */
export function leasesOf(rig: Rig): string {
  return join(rig.dir, 'leases');
}

/** Starts all sanlocks of a rig. @returns the folder of lockspace and leases, which is empty */
export async function startSanlocks(rig: Rig): Promise<string> {
  const leases = leasesOf(rig);
  mkdirSync(leases);
  await Promise.all(rig.hosts.map((host) => host.startSanlock()));
  return leases;
}

/** Formats the lockspace of the plugin and the guard, by sanlock of a host. */
export async function formatLockspace(host: Host, path: string, ioTimeoutS: number): Promise<void> {
  const place = ['-s', `${LIBVIRT_LOCKSPACE}:0:${path}:0`, '-o', `${ioTimeoutS}`];
  const made = await host.run(host.program('sanlock'), ['client', 'init', ...place]);
  assert.equal(made.code, 0, `${made.stdout}${made.stderr}`);
}

/**
 * sanlock and libvirtd on each host of a rig, side by side, and able to migrate guests. The
 * lockspace is formatted before: the plugin uses a file that another host is still making, and then
 * goes without the lockspace (spec 60 §6).
 */
export async function startLibvirts(
  rig: Rig,
  options: { readonly lockManager?: string } = {},
): Promise<readonly Libvirt[]> {
  const leases = leasesOf(rig);
  const lockspace = join(leases, LIBVIRT_LOCKSPACE);
  if (!existsSync(lockspace)) {
    mkdirSync(leases, { recursive: true });
    await must('truncate', ['-s', '1M', lockspace]);
  }
  await Promise.all(rig.hosts.map((host) => host.startSanlock()));
  const { ioTimeoutS } = rig;
  await formatLockspace(rig.host(1), lockspace, ioTimeoutS);
  return await Promise.all(
    rig.hosts.map(async (host) => {
      await must('nsenter', ['-t', `${host.holderPid}`, '-n', 'ip', 'link', 'set', 'lo', 'up']);
      const uuid = `${host.hostId}1111111-2222-4222-8222-222222222222`;
      return await Libvirt.start(host, { dir: rig.dir, leases, ioTimeoutS, uuid, ...options });
    }),
  );
}

/** To a libvirtd of the same rig, with the guest running all the time. */
export function migrate(from: Libvirt, to: Libvirt, guest: string, rig: Rig): Promise<Outcome> {
  const target = `qemu+unix:///system?socket=${to.host.path('/run/libvirt/libvirt-sock')}`;
  const way = `unix://${join(rig.dir, `${guest}-to-${to.host.name}.sock`)}`;
  const where = ['--desturi', target, '--migrateuri', way];
  return from.virsh('migrate', '--live', '--unsafe', guest, ...where);
}

/** The plugin's name for the lease of a disk. */
export function leaseName(disk: string): string {
  return createHash('md5').update(disk).digest('hex');
}

/** Of a guest that has ended libvirt may know before sanlock does, and starts the next one. */
export async function untilHeldBy(
  leases: string,
  disk: string,
  holders: readonly string[],
): Promise<void> {
  const areThey = () => [...holdersOf(leases, disk)].sort().join() === holders.join();
  const what = holders.length === 0 ? 'free' : `of ${holders.join(' and ')}`;
  await until(`the lease of ${disk} is ${what}`, areThey, { withinMs: 120_000, everyMs: 10 });
}

/** Who has the lease of a disk, by the storage: 'exclusive 1', 'shared 2', … */
export function holdersOf(leases: string, disk: string): readonly string[] {
  const area = {
    lockspace: join(leases, LIBVIRT_LOCKSPACE),
    resource: join(leases, leaseName(disk)),
  };
  const steps = readHolders({ offset: 0, spaceOffset: 0, timeoutMs: 10_000 });
  let turn = steps.next();
  while (turn.done !== true) {
    const effect = turn.value;
    assert.ok(effect.op === 'read');
    turn = steps.next(readAt(area[effect.disk], effect.offset, effect.length));
  }
  assert.ok(turn.value.ok, `there is no lease of ${disk}`);
  return turn.value.value.holders.map(({ mode, hostId }) => `${mode} ${hostId}`);
}

function readAt(path: string, offset: number, length: number): Reply {
  const bytes = new Uint8Array(length);
  const fd = openSync(path, 'r');
  readSync(fd, bytes, 0, length, offset);
  closeSync(fd);
  return { outcome: 'done', bytes, nowMs: 0 };
}
