import type { ByteString } from '../../base/bytes.ts';
import { fail, ok, type Result } from '../../base/result.ts';
import { SECOND_MS } from '../../base/units.ts';
import { decode } from '../../codec/struct.ts';
import { deltaLeaseOffset, type Geometry } from '../../format/geometry.ts';
import {
  DELTA_DISK_MAGIC,
  type DeltaLeader,
  deltaLeader,
  leaderGeometry,
  PAXOS_DISK_CLEAR,
  PAXOS_DISK_MAGIC,
  type PaxosLeader,
  paxosLeader,
} from '../../format/leader.ts';
import { type Holding, holdersIn } from '../../lease/holders.ts';
import type { LeaseError } from '../../lease/lease-error.ts';
import { leaseTimes } from '../../lease/lease-times.ts';
import { scanBlocks } from '../../lease/paxos-area.ts';
import { verifyDelta, verifyPaxos } from '../../lease/verify.ts';

/** Enough to hold a leader record on any sector size. */
export const FIRST_READ_BYTES = 4096;

/** A lease as an acquire reads its area. */
export interface LeaseState extends Holding {
  readonly lockspaceName: ByteString;
  readonly resourceName: ByteString;
  readonly geometry: Geometry;
  readonly lver: bigint;
}

/** What stands at the lease's place instead of a lease. */
export type NoLease =
  | { readonly kind: 'nothing' | 'cleared' | 'lockspace' }
  /** Every acquire is refused with this. */
  | { readonly kind: 'damaged'; readonly error: LeaseError };

/** Reads a resource's leader record, and its sizes, as an acquire would. */
export function decodeLeader(bytes: Uint8Array): Result<[PaxosLeader, Geometry], NoLease> {
  const { magic, spaceName, resourceName } = decode(paxosLeader, bytes);
  if (magic === PAXOS_DISK_CLEAR) return fail({ kind: 'cleared' });
  if (magic === DELTA_DISK_MAGIC) return fail({ kind: 'lockspace' });
  if (magic !== PAXOS_DISK_MAGIC) return fail({ kind: 'nothing' });
  const leader = verifyPaxos(bytes, 0, { lockspaceName: spaceName, resourceName, hostId: 0 });
  if (!leader.ok) return fail({ kind: 'damaged', error: leader.error });
  const geometry = leaderGeometry(leader.value);
  if (geometry === null) return fail({ kind: 'nothing' });
  return ok([leader.value, geometry]);
}

/**
 * Which hosts hold the lease in this area, and what keeps all hosts from it.
 * @param knownHosts the largest host id in use in the lockspace: its block counts in any case
 */
export function decodeLease(area: Uint8Array, knownHosts: number): Result<LeaseState, NoLease> {
  const decoded = decodeLeader(area);
  if (!decoded.ok) return decoded;
  const [leader, geometry] = decoded.value;
  const count = Math.min(geometry.maxHosts, Math.max(Number(leader.numHosts), knownHosts));
  const blocks = scanBlocks(area, geometry, count);
  const { lver, spaceName: lockspaceName, resourceName } = leader;
  return ok({ lockspaceName, resourceName, geometry, lver, ...holdersIn({ leader, blocks }) });
}

/** The sizes of a lockspace, from its first host's record; null when there is no lockspace. */
export function decodeSpaceGeometry(bytes: Uint8Array): Geometry | null {
  const first = decode(deltaLeader, bytes);
  return first.magic === DELTA_DISK_MAGIC ? leaderGeometry(first) : null;
}

/** The largest host id that was ever used in a lockspace, by its whole area; 0 = none. */
export function knownHostsIn(area: Uint8Array, geometry: Geometry): number {
  for (let hostId = geometry.maxHosts; hostId > 0; hostId--) {
    const host = decode(deltaLeader, area, deltaLeaseOffset(geometry, hostId));
    if (host.ownerId !== 0n || host.ownerGeneration !== 0n || host.timestampS !== 0n) return hostId;
  }
  return 0;
}

/** A host's delta lease, as an acquire reads it. */
export function decodeHost(
  bytes: Uint8Array,
  wanted: { readonly lockspaceName: ByteString; readonly hostId: number },
): Result<DeltaLeader, LeaseError> {
  return verifyDelta(bytes, 0, wanted);
}

export function hostOffset(spaceOffset: number, geometry: Geometry, hostId: number): number {
  return spaceOffset + deltaLeaseOffset(geometry, hostId);
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
