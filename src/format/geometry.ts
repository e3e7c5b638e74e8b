import { MIB } from '../base/units.ts';

/** Sector and area size of a lockspace or resource, and the highest host id they allow. */
export interface Geometry {
  readonly sectorSize: 512 | 4096;
  readonly areaBytes: number;
  readonly maxHosts: number;
}

/** The only legal pairs (spec 10 §3). */
export const GEOMETRIES: readonly Geometry[] = [
  { sectorSize: 512, areaBytes: MIB, maxHosts: 2000 },
  { sectorSize: 4096, areaBytes: MIB, maxHosts: 250 },
  { sectorSize: 4096, areaBytes: 2 * MIB, maxHosts: 500 },
  { sectorSize: 4096, areaBytes: 4 * MIB, maxHosts: 1000 },
  { sectorSize: 4096, areaBytes: 8 * MIB, maxHosts: 2000 },
];

export const GEOMETRY_512_1M: Geometry = { sectorSize: 512, areaBytes: MIB, maxHosts: 2000 };
export const GEOMETRY_4K_8M: Geometry = { sectorSize: 4096, areaBytes: 8 * MIB, maxHosts: 2000 };

export const LEADER_SECTOR = 0;
export const REQUEST_SECTOR = 1;
/** The value block's sector, for every geometry; inside the area only where sectors ≥ 2003. */
export const LVB_SECTOR = 2002;
export const MODE_BLOCK_OFFSET = 128;
export const BITMAP_OFFSET = 256;
export const BITMAP_BYTES = 256;

export function geometryOf(sectorSize: number, areaBytes: number): Geometry | null {
  return GEOMETRIES.find((g) => g.sectorSize === sectorSize && g.areaBytes === areaBytes) ?? null;
}

/**
 * Whether an area may begin there: at a multiple of its size, or where that is not known, of the
 * smallest. Elsewhere its sectors would be others' (spec 10 §3).
 */
export function isAreaOffset(offset: number, { areaBytes } = { areaBytes: MIB }): boolean {
  return offset % areaBytes === 0;
}

/** The sector of `hostId` (1..maxHosts) in a resource area. */
export function hostBlockSector(hostId: number): number {
  return 1 + hostId;
}

/** The byte offset of `hostId`'s delta lease inside a lockspace area. */
export function deltaLeaseOffset(geometry: Geometry, hostId: number): number {
  return (hostId - 1) * geometry.sectorSize;
}

/** Whether sector 2002 lies inside the area; elsewhere a value block is refused (spec 10 §17.1). */
export function hasLvb(geometry: Geometry): boolean {
  return geometry.areaBytes / geometry.sectorSize > LVB_SECTOR;
}
