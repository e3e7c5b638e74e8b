import type { ByteString } from '../../base/bytes.ts';
import { fail, ok, type Result } from '../../base/result.ts';
import { SECOND_MS } from '../../base/units.ts';
import { decode } from '../../codec/struct.ts';
import { DBLOCK_FLAGS, dblock, MODE_FLAGS, modeBlock } from '../../format/dblock.ts';
import {
  deltaLeaseOffset,
  type Geometry,
  hostBlockSector,
  MODE_BLOCK_OFFSET,
} from '../../format/geometry.ts';
import {
  DELTA_DISK_MAGIC,
  type DeltaLeader,
  deltaLeader,
  LEADER_BYTES,
  leaderChecksum,
  leaderGeometry,
  PAXOS_DISK_CLEAR,
  PAXOS_DISK_MAGIC,
  type PaxosLeader,
  paxosLeader,
} from '../../format/leader.ts';
import { leaseTimes } from '../../lease/lease-times.ts';

/** Enough to hold a leader record on any sector size. */
export const FIRST_READ_BYTES = 4096;

export type HoldMode = 'exclusive' | 'shared';

/** A host that the resource's area names as a holder. */
export interface Holder {
  readonly hostId: number;
  readonly generation: bigint;
  readonly mode: HoldMode;
}

export interface LeaseState {
  readonly lockspaceName: ByteString;
  readonly resourceName: ByteString;
  readonly geometry: Geometry;
  readonly lver: bigint;
  readonly holders: readonly Holder[];
}

/** What stands where a lease was looked for, instead of a lease. */
export type NoLease = 'nothing' | 'cleared' | 'lockspace' | 'damaged';

/** Reads a resource's leader record, and its sizes. */
export function decodeLeader(bytes: Uint8Array): Result<[PaxosLeader, Geometry], NoLease> {
  const leader = decode(paxosLeader, bytes);
  if (leader.magic === PAXOS_DISK_CLEAR) return fail('cleared');
  if (leader.magic === DELTA_DISK_MAGIC) return fail('lockspace');
  if (leader.magic !== PAXOS_DISK_MAGIC) return fail('nothing');
  const geometry = leaderGeometry(leader);
  const isWhole = leader.checksum === leaderChecksum(bytes.subarray(0, LEADER_BYTES));
  return geometry !== null && isWhole ? ok([leader, geometry]) : fail('damaged');
}

/** Who holds the lease in this area: its owner, or every host with a shared hold. */
export function decodeLease(area: Uint8Array): Result<LeaseState, NoLease> {
  const decoded = decodeLeader(area);
  if (!decoded.ok) return decoded;
  const [leader, geometry] = decoded.value;
  const holders: Holder[] = [];
  const ownerId = Number(leader.ownerId);
  if (leader.timestampS !== 0n && ownerId !== 0 && !hasReleased(area, geometry, leader)) {
    holders.push({ hostId: ownerId, generation: leader.ownerGeneration, mode: 'exclusive' });
  }
  const hostCount = Math.min(Number(leader.numHosts), geometry.maxHosts);
  for (let hostId = 1; hostId <= hostCount; hostId++) {
    const at = hostBlockSector(hostId) * geometry.sectorSize + MODE_BLOCK_OFFSET;
    const mode = decode(modeBlock, area, at);
    if ((mode.flags & MODE_FLAGS.SHARED) === 0) continue;
    if (holders.some((holder) => holder.hostId === hostId)) continue;
    holders.push({ hostId, generation: mode.generation, mode: 'shared' });
  }
  const { lver, spaceName: lockspaceName, resourceName } = leader;
  return ok({ lockspaceName, resourceName, geometry, lver, holders });
}

/** An owner whose leader record somebody else wrote releases by its own block (spec 10 §9.3). */
function hasReleased(area: Uint8Array, geometry: Geometry, leader: PaxosLeader): boolean {
  const ownerId = Number(leader.ownerId);
  if (ownerId > geometry.maxHosts || leader.writeId === leader.ownerId) return false;
  const block = decode(dblock, area, hostBlockSector(ownerId) * geometry.sectorSize);
  return block.lver === leader.lver && (block.flags & DBLOCK_FLAGS.RELEASED) !== 0;
}

/** The sizes of a lockspace, from its first host's record; null when there is no lockspace. */
export function decodeSpaceGeometry(bytes: Uint8Array): Geometry | null {
  const first = decode(deltaLeader, bytes);
  return first.magic === DELTA_DISK_MAGIC ? leaderGeometry(first) : null;
}

/** A host's delta lease; null when that sector holds none of this lockspace. */
export function decodeHost(
  bytes: Uint8Array,
  at: number,
  lockspaceName: ByteString,
): DeltaLeader | null {
  const host = decode(deltaLeader, bytes, at);
  const isOurs = host.magic === DELTA_DISK_MAGIC && host.spaceName === lockspaceName;
  const isWhole = host.checksum === leaderChecksum(bytes, at);
  return isOurs && isWhole ? host : null;
}

export function hostOffset(spaceOffset: number, geometry: Geometry, hostId: number): number {
  return spaceOffset + deltaLeaseOffset(geometry, hostId);
}

/** How a lease can still be held by a host whose record looks like this. */
export type Standing = 'member' | 'left' | 'replaced' | 'unknown';

/** `replaced`: the host id has been taken anew since; `left`: the host released its host id. */
export function standingOf(holder: Holder, host: DeltaLeader | null): Standing {
  if (host === null) return 'unknown';
  if (host.ownerGeneration > holder.generation) return 'replaced';
  if (host.timestampS === 0n) return 'left';
  return 'member';
}

/**
 * Seconds after a host's last renewal before another host may take its leases: by then it has
 * either renewed, or its watchdog has reset it. C: host_dead_seconds
 */
export function protectedForS(ioTimeoutS: number): number {
  return leaseTimes(ioTimeoutS).hostDeadMs / SECOND_MS;
}

/** A healthy host renews this often, */
export function renewalIntervalS(ioTimeoutS: number): number {
  return leaseTimes(ioTimeoutS).renewalIntervalMs / SECOND_MS;
}

/** and a renewal itself may take another io timeout and a little. */
export function renewalSeenWithinS(ioTimeoutS: number): number {
  return renewalIntervalS(ioTimeoutS) + ioTimeoutS + 1;
}
