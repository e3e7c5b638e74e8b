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
import type { Lab } from '../../sim/lab.ts';

// Sectors with a sound checksum that no host has written, or none that works.

export function plantBlock(lab: Lab, hostId: number, change: Partial<Dblock>): void {
  const at = hostBlockSector(hostId) * lab.geometry.sectorSize;
  const block = { ...zeroRecord(dblock), mbal: BigInt(hostId), ...change };
  encodeDblock(block, lab.disks.resource, at);
}

export function plantLeader(lab: Lab, change: Partial<PaxosLeader>): void {
  const leader = decode(paxosLeader, lab.disks.resource);
  encodePaxosLeader({ ...leader, ...change }, lab.disks.resource);
}

export function plantHostLease(lab: Lab, hostId: number, change: Partial<DeltaLeader>): void {
  const at = deltaLeaseOffset(lab.geometry, hostId);
  const lease = decode(deltaLeader, lab.disks.lockspace, at);
  encodeDeltaLeader({ ...lease, ...change }, lab.disks.lockspace, at);
}

export function plantRequest(lab: Lab, lver: bigint): void {
  const at = REQUEST_SECTOR * lab.geometry.sectorSize;
  const request = decode(requestRecord, lab.disks.resource, at);
  encodeInto(requestRecord, { ...request, lver, forceMode: 2 }, lab.disks.resource, at);
}
