import { zeroRecord } from '../../codec/struct.ts';
import {
  DELTA_DISK_MAGIC,
  DELTA_DISK_VERSION,
  type DeltaLeader,
  deltaLeader,
  LEADER_FLAGS,
  PAXOS_DISK_MAGIC,
  PAXOS_DISK_VERSION,
  type PaxosLeader,
  paxosLeader,
} from '../../format/leader.ts';

// Records as a host writes them, on sectors of 512 bytes and areas of 1 MiB, but for some fields.

/** The leader of resource RA in lockspace LS: free, version 0. */
export function paxosRecord(fields: Partial<PaxosLeader> = {}): PaxosLeader {
  return {
    ...zeroRecord(paxosLeader),
    magic: PAXOS_DISK_MAGIC,
    version: PAXOS_DISK_VERSION,
    flags: LEADER_FLAGS.ALIGN_1M,
    sectorSize: 512,
    numHosts: 2000n,
    maxHosts: 2000n,
    spaceName: 'LS',
    resourceName: 'RA',
    ...fields,
  };
}

/** A host lease of lockspace LS: of no host yet. */
export function deltaRecord(fields: Partial<DeltaLeader> = {}): DeltaLeader {
  return {
    ...zeroRecord(deltaLeader),
    magic: DELTA_DISK_MAGIC,
    version: DELTA_DISK_VERSION,
    flags: LEADER_FLAGS.ALIGN_1M,
    sectorSize: 512,
    spaceName: 'LS',
    ...fields,
  };
}
