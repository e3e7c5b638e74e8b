import { join } from 'node:path';
import { nameToText } from '../../../base/bytes.ts';
import { fail, ok, type Result } from '../../../base/result.ts';
import { SECOND_MS } from '../../../base/units.ts';
import { type Ask, holderOf } from '../../../client/lease-holder.ts';
import type { DiskSeen, GuestSeen, LeaseSeen } from '../../../guard/check/guest-check.ts';
import type { GuardConfig } from '../../../guard/config.ts';
import { type Guest, type GuestDisk, parseGuest } from '../../../guard/domain.ts';
import type { DiskLease } from '../../../guard/lease-names.ts';
import { parseStatusFile } from '../../../guard/status-file.ts';
import { monotonicMs } from '../../../platform/clock.ts';
import type { PathProbe } from '../../../platform/path-probe.ts';
import { textOf } from '../../../platform/text-file.ts';
import { leaseResource } from '../../../programs/guard-leases.ts';
import { DiskNames } from '../../guard/disk-names.ts';
import { GUEST_LOCKSPACE } from '../../guard/paths.ts';
import { PLACES } from './places.ts';

/** As libvirt has it now, else as it is defined. @returns why there is none, in a sentence */
export function findGuest(
  name: string,
): Result<{ readonly guest: Guest; readonly isActive: boolean }, string> {
  if (name === '' || name.includes('/') || name.startsWith('.')) {
    return fail(`"${name}" is no name of a guest`);
  }
  const running = textOf(join(PLACES.running, `${name}.xml`));
  if (running !== null) {
    const status = parseStatusFile(running);
    return status.ok ? ok({ guest: status.value.guest, isActive: true }) : status;
  }
  const defined = textOf(join(PLACES.definitions, `${name}.xml`));
  if (defined === null) {
    return fail(`there is no guest ${name} in ${PLACES.running} or ${PLACES.definitions}`);
  }
  const guest = parseGuest(defined);
  return guest.ok ? ok({ guest: guest.value, isActive: false }) : guest;
}

export interface LeaseWorld {
  readonly ask: Ask;
  readonly probe: PathProbe;
  readonly config: GuardConfig;
}

export async function seeGuest(
  world: LeaseWorld,
  { guest, isActive }: { readonly guest: Guest; readonly isActive: boolean },
): Promise<GuestSeen> {
  const disks: DiskSeen[] = [];
  for (const disk of guest.disks) disks.push(await seeDisk(world, disk));
  return { guest, isActive, usesPlugin: world.config.naming.isBesidePlugin, disks };
}

async function seeDisk(world: LeaseWorld, disk: GuestDisk): Promise<DiskSeen> {
  const { naming } = world.config;
  const hung = await hungPath(world.probe, disk);
  if (hung !== null) {
    const reason = `the file system of ${hung} does not answer`;
    return { disk, guard: fail(reason), plugin: [] };
  }
  const own = await new DiskNames(naming).leasesOf([disk]);
  if (!own.ok) return { disk, guard: own, plugin: [] };
  const guard = ok(await seeAll(world, own.value));
  if (!naming.isBesidePlugin || disk.access === 'readonly') return { disk, guard, plugin: [] };
  // What the guard leaves to the plugin is the plugin's.
  const all = await new DiskNames({ ...naming, isBesidePlugin: false }).leasesOf([disk]);
  const names = new Set(own.value.map(({ name }) => name));
  const plugin = (all.ok ? all.value : []).filter(({ name }) => !names.has(name));
  return { disk, guard, plugin: await seeAll(world, plugin) };
}

/** null: the path of the disk answers, or it has none. */
async function hungPath(probe: PathProbe, { source }: GuestDisk): Promise<string | null> {
  if (!('path' in source)) return null;
  return (await probe.stat(source.path)).kind === 'silent' ? source.path : null;
}

async function seeAll(
  world: LeaseWorld,
  leases: readonly DiskLease[],
): Promise<readonly LeaseSeen[]> {
  const seen: LeaseSeen[] = [];
  for (const lease of leases) seen.push({ ...lease, ...(await seeLease(world, lease.name)) });
  return seen;
}

async function seeLease(
  { ask, probe, config }: LeaseWorld,
  name: string,
): Promise<Pick<LeaseSeen, 'isMade' | 'holder'>> {
  const { leaseDir, hostId } = config;
  if (probe.hangs) return { isMade: null, holder: null };
  const file = await probe.stat(`${leaseDir}/${name}`);
  if (file.kind === 'failed' && file.errno === 'ENOENT') return { isMade: false, holder: 'nobody' };
  if (file.kind !== 'done') return { isMade: null, holder: null };
  const resource = leaseResource({ lockspace: GUEST_LOCKSPACE, leaseDir }, name);
  let isSilent = false;
  const watched: Ask = async (call, options) => {
    const answer = await ask(call, options);
    if (!answer.ok) isSilent = true;
    return answer;
  };
  const found = await holderOf(watched, resource, { hostId, nowS: monotonicMs() / SECOND_MS });
  if (found === null) return { isMade: true, holder: isSilent ? null : 'nobody' };
  if (found.kind === 'here') {
    return { isMade: true, holder: { ...found, name: nameToText(found.name) } };
  }
  const { hostName } = found;
  const text = hostName === null ? null : nameToText(hostName);
  return { isMade: true, holder: { ...found, hostName: text } };
}
