import type { ByteString } from '../base/bytes.ts';
import { ERRNO } from '../base/errno.ts';
import { fail, ok, type Result } from '../base/result.ts';
import { decode } from '../codec/struct.ts';
import { deltaLeaseOffset, type Geometry } from '../format/geometry.ts';
import {
  DELTA_DISK_MAGIC,
  DELTA_DISK_VERSION,
  type DeltaLeader,
  deltaLeader,
  leaderGeometry,
  type PaxosLeader,
  paxosLeader,
} from '../format/leader.ts';
import { errnoError, leaseError, readSpan } from './io.ts';
import type { LeaseError } from './lease-error.ts';
import { scanBlocks } from './paxos-area.ts';
import type { Steps } from './steps.ts';
import { sameMajor, verifyDelta, verifyPaxos } from './verify.ts';

/** First bytes read of any area; enough for the first record of either sector size. */
export const PROBE_BYTES = 4096;

/** A lockspace as one of its host leases says. */
export interface LockspaceFound {
  readonly name: ByteString;
  readonly geometry: Geometry;
  readonly ioTimeoutS: number;
  /** The record of that host. */
  readonly leader: DeltaLeader;
}

/**
 * Reads one host lease of a lockspace; an empty name takes what the disk says, `hostId` 0 is 1.
 * @returns LEADER_MAGIC, LEADER_VERSION, LEADER_SECTORSIZE, LEADER_LOCKSPACE, LEADER_CHECKSUM,
 *   ADDLS_INVALID_HOSTID; AIO_TIMEOUT, ERRNO.
 */
export function* readLockspace(wish: {
  readonly offset: number;
  readonly name: ByteString;
  readonly hostId: number;
  readonly timeoutMs: number;
  /** Of the first read, as the caller expects it; a device of larger sectors refuses it. */
  readonly sectorSize?: number | null;
}): Steps<Result<LockspaceFound, LeaseError>> {
  const during = 'lockspace read';
  const base = { disk: 'lockspace', timeoutMs: wish.timeoutMs } as const;
  const length = wish.sectorSize ?? PROBE_BYTES;
  const probe = yield* readSpan({ ...base, offset: wish.offset, length }, during);
  if (!probe.ok) return probe;
  const first = decode(deltaLeader, probe.value.value);
  if (first.magic !== DELTA_DISK_MAGIC)
    return fail(leaseError('LEADER_MAGIC', during, { found: first.magic }));
  if (!sameMajor(first.version, DELTA_DISK_VERSION)) {
    return fail(leaseError('LEADER_VERSION', during, { found: first.version }));
  }
  const geometry = leaderGeometry(first);
  if (geometry === null)
    return fail(leaseError('LEADER_SECTORSIZE', during, { found: first.sectorSize }));
  const hostId = wish.hostId || 1;
  if (hostId > geometry.maxHosts) {
    return fail(
      leaseError('ADDLS_INVALID_HOSTID', during, { hostId, maxHosts: geometry.maxHosts }),
    );
  }
  const offset = wish.offset + deltaLeaseOffset(geometry, hostId);
  const read = yield* readSpan({ ...base, offset, length: geometry.sectorSize }, during);
  if (!read.ok) return read;
  const lockspaceName = wish.name || first.spaceName;
  const leader = verifyDelta(read.value.value, 0, { lockspaceName, hostId });
  if (!leader.ok) return leader;
  const { spaceName: name, ioTimeoutS } = leader.value;
  return ok({ name, geometry, ioTimeoutS, leader: leader.value });
}

/** A resource as its leader says. */
export interface ResourceFound {
  readonly leader: PaxosLeader;
  readonly geometry: Geometry;
}

/** Which resource is to be read; an empty name takes the one on the disk. */
export interface ResourceWish {
  readonly offset: number;
  readonly lockspaceName: ByteString;
  readonly resourceName: ByteString;
  readonly timeoutMs: number;
  /** Of the first read, as the caller expects it; a device of larger sectors refuses it. */
  readonly sectorSize?: number | null;
  /** An empty name is a name too, and no lease has it. */
  readonly exactNames?: boolean;
}

/**
 * Reads a resource's leader; empty names take what the disk says.
 * @returns LEADER_*, AIO_TIMEOUT, ERRNO.
 */
export function* readResource(wish: ResourceWish): Steps<Result<ResourceFound, LeaseError>> {
  const span = {
    disk: 'resource',
    offset: wish.offset,
    length: wish.sectorSize ?? PROBE_BYTES,
    timeoutMs: wish.timeoutMs,
  } as const;
  const read = yield* readSpan(span, 'resource read');
  if (!read.ok) return read;
  return resourceIn(read.value.value, wish);
}

/** The resource in these bytes of an area's beginning; empty names take what stands there. */
export function resourceIn(
  bytes: Uint8Array,
  wish: Pick<ResourceWish, 'lockspaceName' | 'resourceName' | 'exactNames'>,
): Result<ResourceFound, LeaseError> {
  const found = decode(paxosLeader, bytes);
  const names = {
    lockspaceName: wish.lockspaceName || found.spaceName,
    resourceName: wish.resourceName || found.resourceName,
  };
  const wanted = wish.exactNames === true ? wish : names;
  const { lockspaceName, resourceName } = wanted;
  const leader = verifyPaxos(bytes, 0, { lockspaceName, resourceName, hostId: 0 });
  if (!leader.ok) return leader;
  const geometry = leaderGeometry(leader.value);
  if (geometry === null) {
    return fail(
      leaseError('LEADER_SECTORSIZE', 'resource read', { found: leader.value.sectorSize }),
    );
  }
  return ok({ leader: leader.value, geometry });
}

/**
 * A host that has a lease, by the area alone: whether it lives, its host lease says. `timestampS` 0
 * for a sharer.
 */
export interface Owner {
  readonly hostId: number;
  readonly generation: bigint;
  readonly timestampS: bigint;
}

/**
 * Reads a lease with its owners: the committed one first, then the sharers by host id (spec 10
 * §13).
 * @returns LEADER_*, ERRNO EINVAL where the lease has other sizes than those given; AIO_TIMEOUT,
 *   ERRNO.
 */
export function* readOwners(
  wish: ResourceWish & {
    readonly sizes: { readonly sectorSize: number; readonly areaBytes: number } | null;
  },
): Steps<
  Result<
    ResourceFound & { readonly owners: readonly Owner[]; readonly shared: boolean },
    LeaseError
  >
> {
  const head = yield* readResource(wish);
  if (!head.ok) return head;
  const { geometry } = head.value;
  if (
    wish.sizes !== null &&
    (wish.sizes.sectorSize !== geometry.sectorSize || wish.sizes.areaBytes !== geometry.areaBytes)
  ) {
    return fail(
      errnoError(ERRNO.EINVAL, 'owners read', {
        sectorSize: geometry.sectorSize,
        areaBytes: geometry.areaBytes,
      }),
    );
  }
  const length = geometry.areaBytes;
  const span = {
    disk: 'resource',
    offset: wish.offset,
    length,
    timeoutMs: wish.timeoutMs,
  } as const;
  const read = yield* readSpan(span, 'owners read');
  if (!read.ok) return read;
  const again = resourceIn(read.value.value, wish);
  if (!again.ok) return again;
  const { leader } = again.value;
  const owners: Owner[] = [];
  if (leader.timestampS !== 0n && leader.ownerId !== 0n) {
    const hostId = Number(leader.ownerId);
    owners.push({ hostId, generation: leader.ownerGeneration, timestampS: leader.timestampS });
  }
  const numHosts = Math.min(Number(leader.numHosts), geometry.maxHosts);
  const sharers = scanBlocks(read.value.value, geometry, numHosts).filter((block) => block.shared);
  for (const sharer of sharers) {
    if (owners[0]?.hostId === sharer.hostId) continue;
    owners.push({ hostId: sharer.hostId, generation: sharer.sharedGeneration, timestampS: 0n });
  }
  return ok({ ...again.value, owners, shared: sharers.length > 0 });
}
