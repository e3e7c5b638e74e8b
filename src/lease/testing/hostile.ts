import { decode, encodeInto, zeroRecord } from '../../codec/struct.ts';
import { type Dblock, dblock, encodeDblock } from '../../format/dblock.ts';
import { deltaLeaseOffset, hostBlockSector, REQUEST_SECTOR } from '../../format/geometry.ts';
import {
  type DeltaLeader,
  deltaLeader,
  encodeDeltaLeader,
  encodePaxosLeader,
  type PaxosLeader,
  paxosLeader,
} from '../../format/leader.ts';
import { requestRecord } from '../../format/request.ts';
import type { ProcedureHarness } from '../../sim/procedure-harness.ts';

// Sectors with a sound checksum that no host has written, or none that works.

export function plantBlock(
  harness: ProcedureHarness,
  hostId: number,
  change: Partial<Dblock>,
): void {
  const at = hostBlockSector(hostId) * harness.geometry.sectorSize;
  const block = { ...zeroRecord(dblock), mbal: BigInt(hostId), ...change };
  encodeDblock(block, harness.disks.resource, at);
}

export function plantLeader(harness: ProcedureHarness, change: Partial<PaxosLeader>): void {
  const leader = decode(paxosLeader, harness.disks.resource);
  encodePaxosLeader({ ...leader, ...change }, harness.disks.resource);
}

export function plantHostLease(
  harness: ProcedureHarness,
  hostId: number,
  change: Partial<DeltaLeader>,
): void {
  const at = deltaLeaseOffset(harness.geometry, hostId);
  const lease = decode(deltaLeader, harness.disks.lockspace, at);
  encodeDeltaLeader({ ...lease, ...change }, harness.disks.lockspace, at);
}

export function plantRequest(harness: ProcedureHarness, lver: bigint): void {
  const at = REQUEST_SECTOR * harness.geometry.sectorSize;
  const request = decode(requestRecord, harness.disks.resource, at);
  encodeInto(requestRecord, { ...request, lver, forceMode: 2 }, harness.disks.resource, at);
}
