import { MIB } from '../../base/units.ts';
import { decode } from '../../codec/struct.ts';
import { dblock, MODE_FLAGS, modeBlock } from '../../format/dblock.ts';
import {
  BITMAP_BYTES,
  BITMAP_OFFSET,
  type Geometry,
  hostBlockSector,
  MODE_BLOCK_OFFSET,
  REQUEST_SECTOR,
} from '../../format/geometry.ts';
import {
  DELTA_DISK_MAGIC,
  deltaLeader,
  leaderGeometry,
  PAXOS_DISK_MAGIC,
  paxosLeader,
} from '../../format/leader.ts';
import { requestRecord } from '../../format/request.ts';
import { indexEntry, indexHeader, RINDEX_DISK_MAGIC } from '../../format/resource-index.ts';
import { PROBE_BYTES } from '../../lease/read.ts';
import { type DirectDisk, DiskFailure } from '../../platform/disk-direct.ts';
import { type CommandLine, u64Option } from './command-line.ts';
import {
  explicitGeometry,
  openStretch,
  type Print,
  parseStretch,
  type Stretch,
} from './direct-show.ts';

const PROBE_LIMIT_BYTES = 1024 * MIB;

type Sizes = Pick<Geometry, 'sectorSize' | 'areaBytes'>;

interface Dump {
  readonly print: Print;
  /** 0, 1 (requests, bits, index entries) or 2 (ballot blocks too). */
  readonly detail: number;
}

/** Shows the leases found on a device, area after area (spec 10 §14). */
export function dump(line: CommandLine, place: string, print: Print): number {
  const stretch = parseStretch(place);
  const disk = openStretch(stretch, print);
  if (disk === null) return 1;
  if (stretch.offset % MIB !== 0) {
    print(`WARNING: dump offset should be a multiple of ${MIB} bytes.\n`);
  }
  const sizes = explicitGeometry(line) ?? findSizes(disk, stretch);
  if (sizes === null) {
    print('Cannot find sector_size and align_size, set with -A and -Z.\n');
    return 1;
  }
  const detail = Number(u64Option(line, 'f'));
  print(heading(detail));
  dumpAreas({ print, detail }, disk, stretch, sizes);
  return 0;
}

function heading(detail: number): string {
  const names = `${'offset'.padStart(8)} ${'lockspace'.padStart(36)} ${'resource'.padStart(48)}`;
  return `${names} ${'timestamp'.padStart(10)}  own  gen lver${detail > 0 ? '/req/mode' : ''}\n`;
}

/** The sizes of the first lease found; leases begin at whole mebibytes. */
export function findSizes(disk: DirectDisk, stretch: Stretch): Sizes | null {
  const limit = stretch.offset + (stretch.size || PROBE_LIMIT_BYTES);
  for (let at = stretch.offset; at < limit; at += MIB) {
    const bytes = readOrNull(disk, at, PROBE_BYTES);
    if (bytes === null) return null;
    const sizes = sizesOf(bytes);
    if (sizes !== null) return sizes;
  }
  return null;
}

function sizesOf(bytes: Uint8Array): Sizes | null {
  const leader = decode(paxosLeader, bytes);
  if (leader.magic === DELTA_DISK_MAGIC || leader.magic === PAXOS_DISK_MAGIC) {
    return leaderGeometry(leader);
  }
  if (leader.magic !== RINDEX_DISK_MAGIC) return null;
  const header = decode(indexHeader, bytes);
  const mebibytes = [1, 2, 4, 8].find((_, bit) => (header.flags & (1 << bit)) !== 0);
  if (mebibytes === undefined) return null;
  return { sectorSize: header.sectorSize === 512 ? 512 : 4096, areaBytes: mebibytes * MIB };
}

function dumpAreas(to: Dump, disk: DirectDisk, stretch: Stretch, sizes: Sizes): void {
  const end = stretch.size === 0 ? Number.POSITIVE_INFINITY : stretch.offset + stretch.size;
  for (let at = stretch.offset; at < end; at += sizes.areaBytes) {
    const area = readOrNull(disk, at, sizes.areaBytes);
    if (area === null) return;
    const { magic } = decode(paxosLeader, area);
    if (magic === DELTA_DISK_MAGIC) dumpHosts(to, area, at, sizes);
    else if (magic === PAXOS_DISK_MAGIC) dumpResource(to, area, at, sizes);
    else if (magic === RINDEX_DISK_MAGIC) dumpIndex(to, area, at, sizes);
    else if (stretch.size === 0) return;
  }
}

function readOrNull(disk: DirectDisk, offset: number, length: number): Uint8Array | null {
  try {
    return disk.read(offset, length);
  } catch (thrown) {
    if (thrown instanceof DiskFailure) return null;
    throw thrown;
  }
}

function digits(value: number | bigint, width: number): string {
  return `${value}`.padStart(width, '0');
}

/** One line for each host id that was ever used. */
function dumpHosts(to: Dump, area: Uint8Array, areaOffset: number, sizes: Sizes): void {
  for (let at = 0; at + sizes.sectorSize <= area.length; at += sizes.sectorSize) {
    const host = decode(deltaLeader, area, at);
    if (host.magic !== DELTA_DISK_MAGIC) return;
    if (host.ownerId === 0n && host.ownerGeneration === 0n) continue;
    const names = `${host.spaceName.padStart(36)} ${host.hostName.padStart(48)}`;
    const owner = `${digits(host.ownerId, 4)} ${digits(host.ownerGeneration, 4)}`;
    const bits = to.detail > 0 ? hostBits(area, at) : '';
    to.print(
      `${digits(areaOffset + at, 8)} ${names} ${digits(host.timestampS, 10)} ${owner}${bits}\n`,
    );
  }
}

function hostBits(area: Uint8Array, at: number): string {
  let text = '';
  for (let bit = 0; bit < BITMAP_BYTES * 8; bit++) {
    const byte = area[at + BITMAP_OFFSET + (bit >> 3)] ?? 0;
    if ((byte & (1 << (bit & 7))) !== 0) text += ` ${bit + 1}`;
  }
  return text;
}

const SHARED_INDENT = ' '.repeat(106);

function dumpResource(to: Dump, area: Uint8Array, areaOffset: number, sizes: Sizes): void {
  const leader = decode(paxosLeader, area);
  const names = `${leader.spaceName.padStart(36)} ${leader.resourceName.padStart(48)}`;
  const owner = `${digits(leader.ownerId, 4)} ${digits(leader.ownerGeneration, 4)}`;
  const request = decode(requestRecord, area, REQUEST_SECTOR * sizes.sectorSize);
  const asked = to.detail > 0 ? `/${request.lver}/${request.forceMode}` : '';
  const start = `${digits(areaOffset, 8)} ${names} ${digits(leader.timestampS, 10)}`;
  to.print(`${start} ${owner} ${leader.lver}${asked}\n`);
  for (let hostId = 1; hostId <= Number(leader.numHosts); hostId++) {
    const at = hostBlockSector(hostId) * sizes.sectorSize;
    if (at + sizes.sectorSize > area.length) return;
    if (to.detail > 1) dumpBlock(to, area, { hostId, at });
    const mode = decode(modeBlock, area, at + MODE_BLOCK_OFFSET);
    if ((mode.flags & MODE_FLAGS.SHARED) === 0) continue;
    to.print(`${SHARED_INDENT}${digits(hostId, 4)} ${digits(mode.generation, 4)} SH\n`);
  }
}

function dumpBlock(
  to: Dump,
  area: Uint8Array,
  block: { readonly hostId: number; readonly at: number },
): void {
  const { mbal, bal, inpHostId, inpGeneration, inpTimestampS, lver, checksum } = decode(
    dblock,
    area,
    block.at,
  );
  if (mbal === 0n && bal === 0n && inpHostId === 0n && lver === 0n) return;
  const inp = `inp ${inpHostId} inp2 ${inpGeneration} inp3 ${inpTimestampS}`;
  const sum = checksum.toString(16);
  const name = `dblock[${digits(block.hostId - 1, 4)}]`;
  to.print(`${name} mbal ${mbal} bal ${bal} ${inp} lver ${lver} sum ${sum}\n`);
}

function dumpIndex(to: Dump, area: Uint8Array, areaOffset: number, sizes: Sizes): void {
  const header = decode(indexHeader, area);
  const { spaceName, flags, sectorSize, maxResources, rxOffset } = header;
  const space = spaceName.padStart(36);
  const numbers = `0x${flags.toString(16)} ${sectorSize} ${maxResources} ${rxOffset}`;
  to.print(`${digits(areaOffset, 8)} ${space} rindex_header ${numbers}\n`);
  if (to.detail === 0) return;
  for (let at = sizes.sectorSize; at + indexEntry.size <= area.length; at += indexEntry.size) {
    const entry = decode(indexEntry, area, at);
    if (entry.resourceOffset === 0n && entry.resourceName === '') continue;
    const named = `rentry ${entry.resourceName} ${entry.resourceOffset}`;
    to.print(`${digits(areaOffset + at, 8)} ${space} ${named}\n`);
  }
}

/** The first area without a lease, as a byte offset on its own line. */
export function nextFree(line: CommandLine, place: string, print: Print): number {
  const stretch = parseStretch(place);
  const disk = openStretch(stretch, print);
  if (disk === null) return 1;
  const sizes = explicitGeometry(line) ?? findSizes(disk, stretch);
  const areaBytes = sizes?.areaBytes ?? MIB;
  for (let at = stretch.offset; ; at += areaBytes) {
    const bytes = readOrNull(disk, at, PROBE_BYTES);
    if (bytes === null) return 1;
    if (sizesOf(bytes) !== null) continue;
    print(`${at}\n`);
    return 0;
  }
}
