import { MIB } from '../../base/units.ts';
import {
  hostBlockSector,
  LEADER_SECTOR,
  LVB_SECTOR,
  REQUEST_SECTOR,
} from '../../format/geometry.ts';

/** The simulated LUN: one lockspace, then resources, an area each; 512-byte sectors. */
export const LUN = '/lun';
export const LOCKSPACE = 'LS';
export const SECTOR_BYTES = 512;
export const AREA_BYTES = MIB;
export const MAX_HOSTS = 2000;

export function resourceOffset(resource: number): number {
  return (1 + resource) * AREA_BYTES;
}

export function resourceName(resource: number): string {
  return `R${resource}`;
}

/** What a sector of the LUN is for. */
export type Sector =
  | { readonly kind: 'hostLease'; readonly hostId: number }
  | { readonly kind: 'leader' | 'request' | 'value'; readonly resource: number }
  | { readonly kind: 'block'; readonly resource: number; readonly hostId: number }
  | { readonly kind: 'nothing' };

export function sectorAt(offset: number): Sector {
  const area = Math.floor(offset / AREA_BYTES);
  const sector = (offset % AREA_BYTES) / SECTOR_BYTES;
  if (area === 0) {
    return sector < MAX_HOSTS ? { kind: 'hostLease', hostId: sector + 1 } : { kind: 'nothing' };
  }
  const resource = area - 1;
  if (sector === LEADER_SECTOR) return { kind: 'leader', resource };
  if (sector === REQUEST_SECTOR) return { kind: 'request', resource };
  if (sector === LVB_SECTOR) return { kind: 'value', resource };
  const hostId = sector - hostBlockSector(0);
  return hostId <= MAX_HOSTS ? { kind: 'block', resource, hostId } : { kind: 'nothing' };
}

/** Where a resource's sectors are on the LUN. */
export function leaderOffset(resource: number): number {
  return resourceOffset(resource) + LEADER_SECTOR * SECTOR_BYTES;
}

export function blockOffset(resource: number, hostId: number): number {
  return resourceOffset(resource) + hostBlockSector(hostId) * SECTOR_BYTES;
}
