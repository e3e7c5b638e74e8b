import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { type ByteString, textToName } from '../../base/bytes.ts';
import { ERRNO } from '../../base/errno.ts';
import { given } from '../../base/given.ts';
import type { Result } from '../../base/result.ts';
import { MIB } from '../../base/units.ts';
import {
  GEOMETRY_512_1M,
  type Geometry,
  geometryOf,
  hostBlockSector,
} from '../../format/geometry.ts';
import { HOST_NAME_BYTES, NAME_BYTES } from '../../format/leader.ts';
import { MAX_GENERATION } from '../../format/limits.ts';
import { type DeltaPlace, deltaAcquire, readLockspaceSizes } from '../../lease/delta-acquire.ts';
import { deltaRelease } from '../../lease/delta-release.ts';
import { deltaRenew } from '../../lease/delta-renew.ts';
import { initLockspace, initResource } from '../../lease/initialise.ts';
import type { LeaseError } from '../../lease/lease-error.ts';
import { leaseTimes } from '../../lease/lease-times.ts';
import type { Member } from '../../lease/member.ts';
import { paxosAcquire } from '../../lease/paxos-acquire.ts';
import { blockAt } from '../../lease/paxos-area.ts';
import type { PaxosHold } from '../../lease/paxos-hold.ts';
import { paxosRelease } from '../../lease/paxos-release.ts';
import { readResource } from '../../lease/read.ts';
import { verifyDelta } from '../../lease/verify.ts';
import type { DirectDisk } from '../../platform/disk-direct.ts';
import { SANLOCK_CODES } from '../../wire/sanlock/codes.ts';
import { RES_FLAGS } from '../../wire/sanlock/socket.ts';
import {
  atoi,
  type CommandLine,
  hasHalfSizes,
  ioTimeoutOption,
  lockspaceOption,
  resourceOption,
  sizesOption,
  u64Option,
} from './command-line.ts';
import {
  byteOffset,
  defaultGeometry,
  leaseCode,
  nowMs,
  OpenFailure,
  openDisk,
  runDirectly,
} from './direct-disk.ts';

const INIT_WRITE_MS = 60_000;

function codeOf(result: Result<unknown, LeaseError>): number {
  return result.ok ? 0 : leaseCode(result.error);
}

function wantedGeometry(line: CommandLine, disk: DirectDisk): Geometry {
  const { sectorSize, areaMib } = sizesOption(line);
  return geometryOf(sectorSize, areaMib * MIB) ?? defaultGeometry(disk);
}

/** Formats a lockspace when -s has a path, else a resource. */
export function directInit(line: CommandLine): number {
  const { name, path, offset } = lockspaceOption(line);
  if (path === '') return initDirectResource(line);
  const disk = openDisk(path, 'lockspace');
  if (hasHalfSizes(line)) return -ERRNO.EINVAL;
  const geometry = wantedGeometry(line, disk);
  const wish = {
    offset: byteOffset(offset),
    name,
    geometry,
    ioTimeoutS: ioTimeoutOption(line),
    writeTimeoutMs: INIT_WRITE_MS,
  };
  return codeOf(runDirectly(initLockspace(wish), { lockspace: disk }));
}

function initDirectResource(line: CommandLine): number {
  const resource = resourceOption(line);
  const place = resource.disks[0];
  if (place === undefined) return -ERRNO.EINVAL;
  const disk = openDisk(place.path, 'resource');
  if (hasHalfSizes(line)) return -ERRNO.EINVAL;
  const geometry = wantedGeometry(line, disk);
  const wish = {
    offset: byteOffset(place.offset),
    lockspaceName: resource.lockspaceName,
    resourceName: resource.name,
    geometry,
    numHosts: atoi(line.words.n),
    clear: line.words.z !== undefined,
    writeTimeoutMs: INIT_WRITE_MS,
    nowMs: nowMs(),
  };
  return codeOf(runDirectly(initResource(wish), { resource: disk }));
}

/**
 * A lease whose owner is another host is refused with ACQUIRE_LOCKSPACE: no process here
 * follows the lockspace, so it is unknown whether that host is alive.
 */
export function directAcquire(line: CommandLine): number {
  const resource = resourceOption(line);
  const disk0 = resource.disks[0];
  if (disk0 === undefined) return -ERRNO.EINVAL;
  const disk = openDisk(disk0.path, 'resource');
  const found = readLeader(line, disk);
  if (!found.ok) return leaseCode(found.error);
  const { leader, geometry } = found.value;
  const member = memberOf(line);
  if (member.hostId < 1 || member.generation > MAX_GENERATION) return -ERRNO.EINVAL;
  if (leader.numHosts < BigInt(member.hostId)) return SANLOCK_CODES.LEADER_NUMHOSTS;
  const isOwn = leader.ownerId === BigInt(member.hostId);
  if (leader.timestampS !== 0n && !(isOwn && leader.ownerGeneration <= member.generation)) {
    return SANLOCK_CODES.ACQUIRE_LOCKSPACE;
  }
  const place = { path: disk0.path, offset: byteOffset(disk0.offset), resourceName: resource.name };
  const wish = {
    shared: (resource.flags & RES_FLAGS.SHARED) !== 0,
    ownerNowait: true,
    wantedLver: (resource.flags & RES_FLAGS.LVER) === 0 ? null : resource.lver,
    newNumHosts: null,
    guess: { geometry, numHosts: Number(leader.numHosts) },
  };
  const got = runDirectly(paxosAcquire(member, place, wish), { resource: disk });
  return got.ok ? 0 : leaseCode(got.error.error);
}

/** Releases what -i and -g name as the owner; the C program answers 0 and writes nothing. */
export function directRelease(line: CommandLine): number {
  const resource = resourceOption(line);
  const place = resource.disks[0];
  if (place === undefined) return -ERRNO.EINVAL;
  const disk = openDisk(place.path, 'resource');
  const found = readLeader(line, disk);
  if (!found.ok) return leaseCode(found.error);
  const { leader, geometry } = found.value;
  if (leader.timestampS === 0n) return 0;
  const member = memberOf(line);
  const isOwn =
    leader.ownerId === BigInt(member.hostId) && leader.ownerGeneration === member.generation;
  if (!isOwn || member.hostId < 1) return SANLOCK_CODES.RELEASE_OWNER;
  const offset = byteOffset(place.offset);
  const { sectorSize } = geometry;
  const sector = disk.read(offset + hostBlockSector(member.hostId) * sectorSize, sectorSize);
  const block = blockAt(sector, member.hostId, geometry);
  if (block.damage !== null) return SANLOCK_CODES.DBLOCK_CHECKSUM;
  const hold: PaxosHold = {
    path: place.path,
    offset,
    lockspaceName: resource.lockspaceName,
    resourceName: resource.name,
    geometry,
    shared: false,
    leader,
    dblock: block.dblock,
    note: null,
  };
  const released = paxosRelease(member, hold, { lvb: null, rename: null });
  return codeOf(runDirectly(released, { resource: disk }));
}

function readLeader(line: CommandLine, disk: DirectDisk) {
  const { lockspaceName, name, disks } = resourceOption(line);
  const wish = {
    offset: byteOffset(disks[0]?.offset ?? 0n),
    lockspaceName,
    resourceName: name,
    timeoutMs: leaseTimes(ioTimeoutOption(line)).ioTimeoutMs,
  };
  return runDirectly(readResource(wish), { resource: disk });
}

/** This host in a lockspace that no process here follows. */
function memberOf(line: CommandLine): Member {
  return {
    hostId: Number(BigInt.asUintN(32, u64Option(line, 'i'))),
    generation: u64Option(line, 'g'),
    ioTimeoutS: ioTimeoutOption(line),
    lockspaceOffset: 0,
    lockspaceGeometry: GEOMETRY_512_1M,
    lockspaceName: resourceOption(line).lockspaceName,
    hostView: () => null,
    random: Math.random,
    sharedRetries: 8,
    cancelled: () => false,
  };
}

interface HostIdPlace {
  readonly disk: DirectDisk;
  readonly place: DeltaPlace;
}

function hostIdPlace(line: CommandLine): HostIdPlace {
  const { name, path, offset, hostId } = lockspaceOption(line);
  const disk = openDisk(path, 'lockspace');
  const place = {
    lockspaceName: name,
    offset: byteOffset(offset),
    hostId: Number(hostId),
    hostName: hostNameOption(line),
    ioTimeoutS: ioTimeoutOption(line),
    aborted: () => false,
  };
  return { disk, place };
}

/** -e, or a name no host had before. */
function hostNameOption(line: CommandLine): ByteString {
  const madeUp = () => `${randomUUID()}.${hostname()}`.slice(0, HOST_NAME_BYTES);
  const name = textToName(given(line.words.e) ?? madeUp());
  if (name.length <= NAME_BYTES) return name;
  const reason = `the host name is of ${name.length} bytes, ${NAME_BYTES} at most are wanted`;
  throw new OpenFailure(-ERRNO.EINVAL, reason);
}

export function directAcquireId(line: CommandLine): number {
  const { disk, place } = hostIdPlace(line);
  if (place.hostId < 1) return -ERRNO.EINVAL;
  const sizes = runDirectly(readLockspaceSizes(place), { lockspace: disk });
  if (!sizes.ok) return leaseCode(sizes.error);
  return codeOf(runDirectly(deltaAcquire(place, sizes.value), { lockspace: disk }));
}

export function directRenewId(line: CommandLine): number {
  return withOwnRecord(line, ({ disk, place }, hold) => {
    const renewal = {
      hold,
      lastWriteLanded: true,
      readTimeoutMs: leaseTimes(place.ioTimeoutS).ioTimeoutMs,
      hostBits: [],
      event: null,
      observe: () => undefined,
    };
    const renewed = runDirectly(deltaRenew(place, renewal), { lockspace: disk });
    return renewed.ok ? 0 : leaseCode(renewed.error.error);
  });
}

export function directReleaseId(line: CommandLine): number {
  return withOwnRecord(line, ({ disk, place }, hold) =>
    codeOf(runDirectly(deltaRelease(place, hold), { lockspace: disk })),
  );
}

/** Takes the record on disk for this host's, as there is no earlier one to compare with. */
function withOwnRecord(
  line: CommandLine,
  act: (at: HostIdPlace, hold: Parameters<typeof deltaRelease>[1]) => number,
): number {
  const at = hostIdPlace(line);
  if (at.place.hostId < 1) return -ERRNO.EINVAL;
  const sizes = runDirectly(readLockspaceSizes(at.place), { lockspace: at.disk });
  if (!sizes.ok) return leaseCode(sizes.error);
  const geometry = sizes.value;
  const offset = at.place.offset + (at.place.hostId - 1) * geometry.sectorSize;
  const leader = verifyDelta(at.disk.read(offset, geometry.sectorSize), 0, at.place);
  if (!leader.ok) return leaseCode(leader.error);
  if (leader.value.ownerId === 0n) return -ERRNO.EINVAL;
  return act(at, { leader: leader.value, geometry });
}
