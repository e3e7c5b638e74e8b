import { MIB } from '../base/units.ts';

/** Sector and area size of a lockspace or resource in bytes, and the highest host id they allow. */
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

/** The sizes of sectors of 512 bytes; also those of a regular file where the administrator gave none. */
export const GEOMETRY_512_1M: Geometry = { sectorSize: 512, areaBytes: MIB, maxHosts: 2000 };
/** The usual sizes of sectors of 4096 bytes, with as many hosts as those of 512 bytes. */
export const GEOMETRY_4K_8M: Geometry = { sectorSize: 4096, areaBytes: 8 * MIB, maxHosts: 2000 };

/** The sector of the leader record in a resource area. */
export const LEADER_SECTOR = 0;
/** The sector of the request record in a resource area. */
export const REQUEST_SECTOR = 1;
/** The value block's sector, for every geometry; inside the area only where sectors ≥ 2003. */
export const LVB_SECTOR = 2002;
/** Where a host's mode block begins in its host sector, in bytes. */
export const MODE_BLOCK_OFFSET = 128;
/** Where the map of called hosts begins in a host lease, in bytes. */
export const BITMAP_OFFSET = 256;
/** How long that map is: a bit for each of 2000 hosts, and a few that no host has. */
export const BITMAP_BYTES = 256;

/** The sizes of that pair, in bytes; null for a pair that is not in the table. */
export function geometryOf(sectorSize: number, areaBytes: number): Geometry | null {
  return GEOMETRIES.find((g) => g.sectorSize === sectorSize && g.areaBytes === areaBytes) ?? null;
}

/**
 * Whether a lockspace may begin there, or an area be formatted through the socket: at a multiple of
 * its size. Elsewhere its sectors would be others' (spec 10 §3).
 */
export function isAreaOffset(offset: number, { areaBytes }: Pick<Geometry, 'areaBytes'>): boolean {
  return offset % areaBytes === 0;
}

/**
 * Whether a lease may be used there. The original formats and acquires at any sector, and setups do
 * (libvirt's documentation has a lease at 1024), so only two kinds are refused: what is no sector,
 * and the value block of an aligned area. That whole sector is a client's to fill: a leader forged
 * there would have us write host blocks into the next area (spec 10 §3, §17.1).
 */
export function isLeaseOffset(offset: number): boolean {
  if (offset % SMALLEST_SECTOR !== 0) return false;
  return !GEOMETRIES.some(({ sectorSize, areaBytes }) => {
    const valueBlock = LVB_SECTOR * sectorSize;
    return valueBlock < areaBytes && offset % areaBytes === valueBlock;
  });
}

const SMALLEST_SECTOR = 512;

/** The sector of the host block of `hostId` (1..maxHosts) in a resource area. */
export function hostBlockSector(hostId: number): number {
  return 1 + hostId;
}

/** Where the delta lease of `hostId` (1..maxHosts) begins, in bytes from the lockspace's start. */
export function deltaLeaseOffset(geometry: Geometry, hostId: number): number {
  return (hostId - 1) * geometry.sectorSize;
}

/** Whether sector 2002 lies inside the area; elsewhere a value block is refused (spec 10 §17.1). */
export function hasLvb(geometry: Geometry): boolean {
  return geometry.areaBytes / geometry.sectorSize > LVB_SECTOR;
}
