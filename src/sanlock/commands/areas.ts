import { ERRNO } from '../../base/errno.ts';
import { MIB, SECOND_MS, toSafeNumber } from '../../base/units.ts';
import { decode, encode, zeroRecord } from '../../codec/struct.ts';
import { geometryOf } from '../../format/geometry.ts';
import type {
  LeaseCommand,
  LeaseCommandResult,
  WantedSizes,
} from '../../lease-process/messages.ts';
import {
  RES_FLAGS,
  sanlkDisk,
  sanlkHost,
  sanlkLockspace,
  sanlkResource,
  WRITE_FLAGS,
} from '../../wire/sanlock/socket.ts';
import { examine } from '../examine.ts';
import type { Front } from '../front.ts';
import { announce, setBit } from '../host-events.ts';
import type { Request } from '../request.ts';
import { resultNumber } from '../result-number.ts';
import type { Pending, Reply } from '../state.ts';
import { isAreaOffset } from './area-offset.ts';

const DEFAULT_IO_TIMEOUT_S = 10;

/** Runs in the lease process of the joined lockspace, else in the one for areas of no lockspace. */
export function runAnywhere(
  front: Front,
  lockspaceName: string,
  command: LeaseCommand,
  done: Pending['done'],
): void {
  const joined = front.usableLockspace(lockspaceName)?.lease ?? null;
  if (joined !== null) {
    front.command(joined, command, done);
    return;
  }
  front.scratch ??= front.startLease('scratch', () => {});
  front.scratchUsedMs = front.nowMs;
  front.command(front.scratch, command, done);
}

/** Every ALIGN and SECTOR bit. */
const SIZE_FLAGS = 0x3f0;

/** ALIGN and SECTOR bits of any flags; null = none given. */
export function sizesOfFlags(flags: number): WantedSizes | null {
  const aligns: readonly (readonly [number, number])[] = [
    [RES_FLAGS.ALIGN1M, MIB],
    [RES_FLAGS.ALIGN2M, 2 * MIB],
    [RES_FLAGS.ALIGN4M, 4 * MIB],
    [RES_FLAGS.ALIGN8M, 8 * MIB],
  ];
  const areaBytes = aligns.find(([bit]) => flags & bit)?.[1] ?? 0;
  const sectorSize = flags & RES_FLAGS.SECTOR512 ? 512 : flags & RES_FLAGS.SECTOR4K ? 4096 : 0;
  return areaBytes === 0 && sectorSize === 0 ? null : { sectorSize, areaBytes };
}

function sectorOfFlags(flags: number): number | null {
  if ((flags & RES_FLAGS.SECTOR512) !== 0) return 512;
  return (flags & RES_FLAGS.SECTOR4K) !== 0 ? 4096 : null;
}

export function flagsOfSizes(sizes: WantedSizes): number {
  const bits: Readonly<Record<number, number>> = {
    1: RES_FLAGS.ALIGN1M,
    2: RES_FLAGS.ALIGN2M,
    4: RES_FLAGS.ALIGN4M,
    8: RES_FLAGS.ALIGN8M,
  };
  const sector = sizes.sectorSize === 512 ? RES_FLAGS.SECTOR512 : RES_FLAGS.SECTOR4K;
  return (bits[sizes.areaBytes / MIB] ?? 0) | sector;
}

function areaOf(disk: { readonly path: string; readonly offset: bigint }) {
  return { path: disk.path, offset: toSafeNumber(disk.offset, 'offset') };
}

/** An impossible offset or an empty path is refused before any process runs. */
function badArea(disk: { readonly path: string; readonly offset: bigint }): boolean {
  return disk.path === '' || !isAreaOffset(disk.offset);
}

/** A missing path is named first, then an offset at which no lockspace can begin. */
function badLockspaceArea(disk: { readonly path: string; readonly offset: bigint }): number {
  if (disk.path === '') return -ERRNO.ENODEV;
  return badArea(disk) ? -ERRNO.EINVAL : 0;
}

const MAX_READ_HOST_ID = 0xffffffffn;

export function readLockspaceCommand(front: Front, request: Request, reply: Reply): void {
  const asked = decode(sanlkLockspace, request.body);
  const echo = (result: number, data2: number, more: object = {}) =>
    reply(result, data2, encode(sanlkLockspace, { ...asked, ...more }));
  const bad = badLockspaceArea(asked);
  if (bad !== 0) {
    echo(bad, 0);
    return;
  }
  // Too large an id becomes the largest one, and is refused: its low bits may be another host's id.
  const hostId = Number(asked.hostId > MAX_READ_HOST_ID ? MAX_READ_HOST_ID : asked.hostId);
  const sectorSize = sectorOfFlags(asked.flags);
  const area = areaOf(asked);
  const command = { op: 'readLockspace', area, name: asked.name, hostId, sectorSize } as const;
  runAnywhere(front, asked.name, command, (result) => {
    if (!result.ok) {
      echo(lockspaceResult(result), 0);
      return;
    }
    if (result.op !== 'readLockspace') return;
    const { name, ioTimeoutS } = result;
    echo(0, ioTimeoutS, { name, hostId: BigInt(result.hostId), flags: flagsOfSizes(result) });
  });
}

/** Lockspace commands answer ENODEV for any reason why the device cannot be opened. */
function lockspaceResult(result: Extract<LeaseCommandResult, { ok: false }>): number {
  return result.step === 'open' ? -ERRNO.ENODEV : resultNumber(result.error);
}

function resourceOf(body: Uint8Array) {
  const asked = decode(sanlkResource, body);
  const disk = decode(sanlkDisk, body, sanlkResource.size);
  const name = { lockspaceName: asked.lockspaceName, resourceName: asked.name };
  return { asked, disk, name };
}

/** One disk for each resource: the original's manual calls more than one untested. */
function badResource(body: Uint8Array): number {
  const { asked, disk } = resourceOf(body);
  if (asked.numDisks !== 1) return -ERRNO.EINVAL;
  if (disk.path === '') return -ERRNO.ENOENT;
  return badArea(disk) ? -ERRNO.EINVAL : 0;
}

/** Returns the record of the request, completed with what was found on the disk. */
function toEcho(request: Request, reply: Reply) {
  const what = resourceOf(request.body);
  const echo = (result: number, more: object = {}) =>
    reply(result, 0, encode(sanlkResource, { ...what.asked, ...more }));
  return { ...what, echo };
}

export function readResourceCommand(front: Front, request: Request, reply: Reply): void {
  const { asked, disk, name, echo } = toEcho(request, reply);
  const bad = badResource(request.body);
  if (bad !== 0) {
    echo(bad);
    return;
  }
  const sectorSize = sectorOfFlags(asked.flags);
  const command = { op: 'readResource', area: areaOf(disk), name, sectorSize } as const;
  runAnywhere(front, asked.lockspaceName, command, (result) => {
    if (!result.ok) echo(resultNumber(result.error));
    else if (result.op === 'readResource') {
      const { leader } = result;
      const names = { lockspaceName: leader.spaceName, name: leader.resourceName };
      const others = asked.flags & ~SIZE_FLAGS; // of the request; the sizes are the disk's
      echo(0, { ...names, lver: leader.lver, flags: others | flagsOfSizes(result) });
    }
  });
}

export function readOwnersCommand(front: Front, request: Request, reply: Reply): void {
  const { asked, disk, name, echo } = toEcho(request, reply);
  const bad = badResource(request.body);
  if (bad !== 0) {
    echo(bad);
    return;
  }
  const sizes = sizesOfFlags(asked.flags);
  if (sizes !== null && geometryOf(sizes.sectorSize, sizes.areaBytes) === null) {
    echo(-ERRNO.EINVAL);
    return;
  }
  const command = { op: 'readOwners', area: areaOf(disk), name, sizes } as const;
  runAnywhere(front, asked.lockspaceName, command, (result) => {
    if (!result.ok) {
      echo(resultNumber(result.error));
      return;
    }
    if (result.op !== 'readOwners') return;
    const { leader, owners } = result;
    // As in the request: sizes other than the disk's were refused, and none are added.
    const flags = asked.flags | (result.shared ? RES_FLAGS.SHARED : 0);
    const names = { lockspaceName: leader.spaceName, name: leader.resourceName };
    const head = encode(sanlkResource, { ...asked, ...names, lver: leader.lver, flags });
    const body = new Uint8Array(head.length + owners.length * sanlkHost.size);
    body.set(head);
    for (const [index, owner] of owners.entries()) {
      const host = {
        ...zeroRecord(sanlkHost),
        hostId: BigInt(owner.hostId),
        generation: owner.generation,
        timestampS: owner.timestampS,
      };
      body.set(encode(sanlkHost, host), head.length + index * sanlkHost.size);
    }
    reply(0, owners.length, body);
  });
}

export function writeLockspaceCommand(front: Front, request: Request, reply: Reply): void {
  const asked = decode(sanlkLockspace, request.body);
  const bad = badLockspaceArea(asked);
  if (bad !== 0) {
    reply(bad);
    return;
  }
  const command = {
    op: 'writeLockspace',
    area: areaOf(asked),
    name: asked.name,
    sizes: sizesOfFlags(asked.flags),
    ioTimeoutS: request.header.data2 || DEFAULT_IO_TIMEOUT_S,
    writeTimeoutMs: front.settings.writeInitIoTimeoutS * SECOND_MS,
  } as const;
  runAnywhere(front, asked.name, command, (result) =>
    reply(result.ok ? 0 : lockspaceResult(result)),
  );
}

export function writeResourceCommand(front: Front, request: Request, reply: Reply): void {
  const { asked, disk, name } = resourceOf(request.body);
  const bad = badResource(request.body);
  if (bad !== 0) {
    reply(bad);
    return;
  }
  const command = {
    op: 'writeResource',
    area: areaOf(disk),
    name,
    sizes: sizesOfFlags(asked.flags),
    // The field that the original reads, although the library fills another one.
    numHosts: request.header.data || front.settings.defaultNumHosts,
    clear: (request.header.cmdFlags & WRITE_FLAGS.CLEAR) !== 0,
    writeTimeoutMs: front.settings.writeInitIoTimeoutS * SECOND_MS,
  } as const;
  runAnywhere(front, asked.lockspaceName, command, (result) =>
    reply(result.ok ? 0 : resultNumber(result.error)),
  );
}

export function alignCommand(front: Front, request: Request, reply: Reply): void {
  const { path } = decode(sanlkDisk, request.body);
  if (path === '') {
    reply(-ERRNO.ENODEV);
    return;
  }
  runAnywhere(front, '', { op: 'align', area: { path, offset: 0 } }, (result) => {
    if (!result.ok) reply(lockspaceResult(result));
    else if (result.op === 'align') reply(result.areaBytes);
  });
}

/** Reads the requests of other hosts to us at once; always answers 0 (spec 20 §4 EXAMINE). */
export function examineLockspaceCommand(front: Front, request: Request, reply: Reply): void {
  const space = front.usableLockspace(decode(sanlkLockspace, request.body).name);
  if (space !== null) examine(front, space, () => true);
  reply(0);
}

export function examineResourceCommand(front: Front, request: Request, reply: Reply): void {
  const asked = decode(sanlkResource, request.body);
  const space = front.usableLockspace(asked.lockspaceName);
  if (space !== null) examine(front, space, (resource) => resource.name === asked.name);
  reply(0);
}

/** Asks the host that owns a resource to release it (spec 10 §10.1). */
export function requestCommand(front: Front, request: Request, reply: Reply): void {
  const { asked, disk, name } = resourceOf(request.body);
  const space = front.usableLockspace(asked.lockspaceName);
  if (space === null) {
    reply(-ERRNO.ENOSPC);
    return;
  }
  const bad = badResource(request.body);
  if (bad !== 0) {
    reply(bad);
    return;
  }
  const command = {
    op: 'request',
    area: areaOf(disk),
    name,
    lver: asked.lver,
    forceMode: request.header.data >>> 0,
    nextLver: (request.header.cmdFlags & 1) !== 0,
  } as const;
  front.command(space.lease, command, (result) => {
    if (result.ok && result.op === 'request' && result.ownerId !== 0) {
      setBit(front, space, result.ownerId);
      announce(front, space);
    }
    reply(result.ok ? 0 : resultNumber(result.error));
  });
}
