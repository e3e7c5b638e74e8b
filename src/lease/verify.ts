import type { ByteString } from '../base/bytes.ts';
import { fail, ok, type Result } from '../base/result.ts';
import { type Damage, decode } from '../codec/struct.ts';
import {
  DELTA_DISK_MAGIC,
  DELTA_DISK_VERSION,
  type DeltaLeader,
  damageOfDelta,
  damageOfPaxos,
  deltaLeader,
  leaderChecksum,
  leaderGeometry,
  PAXOS_DISK_MAGIC,
  PAXOS_DISK_VERSION,
  type PaxosLeader,
  paxosLeader,
} from '../format/leader.ts';
import { leaseError } from './io.ts';
import type { LeaseError, LeaseErrorCode } from './lease-error.ts';

/**
 * Whether two versions agree in their upper half. Reads are good for any minor version, never for
 * another major one.
 */
export function sameMajor(version: number, ours: number): boolean {
  return version >>> 16 === ours >>> 16;
}

/** Whose host lease should lie there. */
export interface WantedHost {
  readonly lockspaceName: ByteString;
  /** Whose record lies there; null: not known. */
  readonly hostId: number | null;
}

/**
 * Checks of a host lease at `offset`, in the order clients know (spec 10 §5); last, whether its
 * numbers can be: a record that could not have been written by a host is damaged as by a wrong
 * checksum.
 * @returns the record; LEADER_MAGIC, LEADER_VERSION, LEADER_LOCKSPACE, LEADER_CHECKSUM.
 */
export function verifyDelta(
  bytes: Uint8Array,
  offset: number,
  { lockspaceName, hostId }: WantedHost,
): Result<DeltaLeader, LeaseError> {
  const leader = decode(deltaLeader, bytes, offset);
  const during = 'delta lease check';
  if (leader.magic !== DELTA_DISK_MAGIC) {
    return fail(
      leaseError('LEADER_MAGIC', during, { found: leader.magic, wanted: DELTA_DISK_MAGIC }),
    );
  }
  if (!sameMajor(leader.version, DELTA_DISK_VERSION)) {
    return fail(leaseError('LEADER_VERSION', during, { found: leader.version }));
  }
  if (leader.spaceName !== lockspaceName) {
    return fail(
      leaseError('LEADER_LOCKSPACE', during, { found: leader.spaceName, wanted: lockspaceName }),
    );
  }
  if (leader.checksum !== leaderChecksum(bytes, offset)) {
    return fail(leaseError('LEADER_CHECKSUM', during, { found: leader.checksum }));
  }
  const damage = damageOfDelta(leader, hostId);
  return damage === null ? ok(leader) : fail(damaged('LEADER_CHECKSUM', during, damage));
}

/** A record that no working host wrote, as a refusal with what a client knows for it. */
export function damaged(code: LeaseErrorCode, during: string, damage: Damage): LeaseError {
  return leaseError(code, during, { ...damage });
}

/** Which resource should lie there, and for whom. */
export interface WantedLeader {
  readonly lockspaceName: ByteString;
  readonly resourceName: ByteString;
  /** 0 where no host takes part (reading only). */
  readonly hostId: number;
}

/** Numbers of hosts, for which clients know a result of their own. */
const OF_HOSTS: ReadonlySet<string> = new Set(['numHosts', 'maxHosts', 'ownerId']);

/**
 * Checks of a leader record at `offset`, in the order clients know (spec 10 §8.1); last, whether
 * its numbers can be, as for a host lease.
 * @returns the record; LEADER_MAGIC, LEADER_VERSION, LEADER_LOCKSPACE, LEADER_RESOURCE,
 *   LEADER_NUMHOSTS, LEADER_CHECKSUM, LEADER_SECTORSIZE.
 */
export function verifyPaxos(
  bytes: Uint8Array,
  offset: number,
  wanted: WantedLeader,
): Result<PaxosLeader, LeaseError> {
  const leader = decode(paxosLeader, bytes, offset);
  const during = 'leader check';
  if (leader.magic !== PAXOS_DISK_MAGIC) {
    return fail(
      leaseError('LEADER_MAGIC', during, { found: leader.magic, wanted: PAXOS_DISK_MAGIC }),
    );
  }
  if (!sameMajor(leader.version, PAXOS_DISK_VERSION)) {
    return fail(leaseError('LEADER_VERSION', during, { found: leader.version }));
  }
  if (leader.spaceName !== wanted.lockspaceName) {
    return fail(
      leaseError('LEADER_LOCKSPACE', during, {
        found: leader.spaceName,
        wanted: wanted.lockspaceName,
      }),
    );
  }
  if (leader.resourceName !== wanted.resourceName) {
    return fail(
      leaseError('LEADER_RESOURCE', during, {
        found: leader.resourceName,
        wanted: wanted.resourceName,
      }),
    );
  }
  if (leader.numHosts < BigInt(wanted.hostId)) {
    return fail(
      leaseError('LEADER_NUMHOSTS', during, { numHosts: leader.numHosts, hostId: wanted.hostId }),
    );
  }
  if (leader.checksum !== leaderChecksum(bytes, offset)) {
    return fail(leaseError('LEADER_CHECKSUM', during, { found: leader.checksum }));
  }
  if (leaderGeometry(leader) === null) {
    return fail(leaseError('LEADER_SECTORSIZE', during, { found: leader.sectorSize }));
  }
  const damage = damageOfPaxos(leader);
  if (damage === null) return ok(leader);
  const code = OF_HOSTS.has(damage.field) ? 'LEADER_NUMHOSTS' : 'LEADER_CHECKSUM';
  return fail(damaged(code, during, damage));
}
