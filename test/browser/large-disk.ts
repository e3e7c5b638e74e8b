import { closeSync, openSync, writeSync } from 'node:fs';
import { MIB } from '../../src/base/units.ts';
import { encodeDeltaLeader, encodePaxosLeader } from '../../src/format/leader.ts';
import type { ReportedLv } from '../../src/inspect/snapshot/lvm-report.ts';
import { deltaRecord, paxosRecord } from '../../src/lease/testing/records.ts';

/** The bytes of a lockspace and its leases, as so many hosts would leave them. */
export interface LargeDisk {
  readonly path: string;
  readonly hosts: number;
  readonly leases: number;
}

export const SPACE = 'lvm_large';
const SECTOR = 512;
/** Behind the areas of the lockspace, the VG lock and the global lock. */
const FIRST_LV_AREA = 70;
const AREA_VG = 66;
/** Every so many leases one is free. */
const FREE_EACH = 100;
/** Every so many hosts one has died. */
const DEAD_EACH = 250;

export function hostNameOf(hostId: number): string {
  return `node-${hostId}.example.net`;
}

export function isDead(hostId: number): boolean {
  return hostId % DEAD_EACH === 0;
}

/** 0: it is free. */
export function ownerOf(lease: number, { hosts }: LargeDisk): number {
  return lease % FREE_EACH === FREE_EACH - 1 ? 0 : (lease % hosts) + 1;
}

export function generationOf(hostId: number): number {
  return 1 + (hostId % 9);
}

/** Renews for all hosts but the first, which is a real one, and but the dead. */
export function renewAll({ path, hosts }: LargeDisk, nowS: number): void {
  const fd = openSync(path, 'r+');
  const sector = new Uint8Array(SECTOR);
  for (let hostId = 2; hostId <= hosts; hostId++) {
    const record = deltaRecord({
      spaceName: SPACE,
      hostName: hostNameOf(hostId),
      ownerId: BigInt(hostId),
      ownerGeneration: BigInt(generationOf(hostId)),
      timestampS: BigInt(isDead(hostId) ? 1 : nowS),
      numHosts: 0n,
      maxHosts: 1n,
      ioTimeoutS: 1,
    });
    encodeDeltaLeader(record, sector);
    writeSync(fd, sector, 0, SECTOR, (hostId - 1) * SECTOR);
  }
  closeSync(fd);
}

/** Writes the leases, once. @returns what lvm would report of their LVs */
export function writeLeases(disk: LargeDisk): readonly ReportedLv[] {
  const fd = openSync(disk.path, 'r+');
  const sector = new Uint8Array(SECTOR);
  const write = (resourceName: string, owner: number, area: number) => {
    const record = paxosRecord({
      spaceName: SPACE,
      resourceName,
      lver: owner === 0 ? 4n : 5n,
      ownerId: BigInt(owner),
      ownerGeneration: BigInt(owner === 0 ? 0 : generationOf(owner)),
      timestampS: owner === 0 ? 0n : 100n,
    });
    encodePaxosLeader(record, sector);
    writeSync(fd, sector, 0, SECTOR, area * MIB);
  };
  write('VGLK', 0, AREA_VG);
  const lvs = Array.from({ length: disk.leases }, (_, lease): ReportedLv => {
    const area = FIRST_LV_AREA + lease;
    write(`uuid-${lease}`, ownerOf(lease, disk), area);
    return {
      vgName: 'large',
      vgUuid: 'uuid-of-large',
      vgLockType: 'sanlock',
      vgLockArgs: '1.0.0:lvmlock',
      name: `guest-${lease}`,
      uuid: `uuid-${lease}`,
      lockArgs: `1.0.0:${area * MIB}`,
      isActive: null,
      isHidden: false,
    };
  });
  closeSync(fd);
  return lvs;
}

export function sizeOf({ leases }: LargeDisk): number {
  return (FIRST_LV_AREA + leases) * MIB;
}
