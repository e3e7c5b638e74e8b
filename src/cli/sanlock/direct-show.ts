import { statSync } from 'node:fs';
import type { ByteString } from '../../base/bytes.ts';
import { ERRNO } from '../../base/errno.ts';
import { MIB } from '../../base/units.ts';
import { decode } from '../../codec/struct.ts';
import { deltaLeaseOffset, GEOMETRY_512_1M, type Geometry } from '../../format/geometry.ts';
import { DELTA_DISK_MAGIC, deltaLeader, leaderGeometry, paxosLeader } from '../../format/leader.ts';
import { MAX_HOST_ID } from '../../format/limits.ts';
import { PROBE_BYTES } from '../../lease/read.ts';
import { verifyDelta, verifyPaxos } from '../../lease/verify.ts';
import { DirectDisk, DiskFailure } from '../../platform/disk-direct.ts';
import { splitEscaped } from '../../wire/sanlock/strings.ts';
import { type CommandLine, lockspaceOption, resourceOption, sizesOption } from './command-line.ts';
import { byteOffset, leaseCode, OpenFailure, openDisk } from './direct-disk.ts';

export type Print = (text: ByteString) => void;

/** No geometry has more hosts. */

/** `read_leader done N`, then the fields, zeros when there was nothing to read. */
export function readLeader(line: CommandLine, print: Print): number {
  const isLockspace = line.words.s !== undefined;
  const { bytes, result } = isLockspace ? readHostLeader(line) : readResourceLeader(line);
  print(`read_leader done ${result}\n`);
  const leader = decode(paxosLeader, bytes);
  const names = isLockspace ? ['extra1', 'extra2', 'extra3'] : WRITER_FIELDS;
  const hex = (value: number) => `0x${value.toString(16)}`;
  const fields: readonly (readonly [string, string | number | bigint])[] = [
    ['magic', hex(leader.magic)],
    ['version', hex(leader.version)],
    ['flags', hex(leader.flags)],
    ['sector_size', leader.sectorSize],
    ['num_hosts', leader.numHosts],
    ['max_hosts', leader.maxHosts],
    ['owner_id', leader.ownerId],
    ['owner_generation', leader.ownerGeneration],
    ['lver', leader.lver],
    ['space_name', leader.spaceName],
    ['resource_name', leader.resourceName],
    ['timestamp', leader.timestampS],
    ['checksum', hex(leader.checksum)],
    ['io_timeout', leader.ioTimeoutS],
    [names[0] ?? '', leader.writeId],
    [names[1] ?? '', leader.writeGeneration],
    [names[2] ?? '', leader.writeTimestampS],
  ];
  for (const [name, value] of fields) print(`${name} ${value}\n`);
  return result;
}

const WRITER_FIELDS = ['write_id', 'write_generation', 'write_timestamp'];
const NOTHING = new Uint8Array(paxosLeader.size);

interface ReadLeader {
  readonly bytes: Uint8Array;
  readonly result: number;
}

function readResourceLeader(line: CommandLine): ReadLeader {
  const resource = resourceOption(line);
  const place = resource.disks[0];
  if (place === undefined) return { bytes: NOTHING, result: -1 };
  return attempt(() => {
    const disk = openDisk(place.path, 'resource');
    const bytes = disk.read(byteOffset(place.offset), PROBE_BYTES);
    const { lockspaceName, name: resourceName } = resource;
    const verified = verifyPaxos(bytes, 0, { lockspaceName, resourceName, hostId: 0 });
    return { bytes, result: verified.ok ? 0 : leaseCode(verified.error) };
  });
}

function readHostLeader(line: CommandLine): ReadLeader {
  const { name, hostId, path, offset } = lockspaceOption(line);
  return attempt(() => {
    const disk = openDisk(path, 'lockspace');
    if (hostId < 1n || hostId > BigInt(MAX_HOST_ID))
      return { bytes: NOTHING, result: -ERRNO.EINVAL };
    const start = byteOffset(offset);
    const geometry = geometryAt(disk, start) ?? GEOMETRY_512_1M;
    const at = start + deltaLeaseOffset(geometry, Number(hostId));
    const bytes = disk.read(at, geometry.sectorSize);
    const verified = verifyDelta(bytes, 0, { lockspaceName: name, hostId: Number(hostId) });
    return { bytes, result: verified.ok ? 0 : leaseCode(verified.error) };
  });
}

function attempt(read: () => ReadLeader): ReadLeader {
  try {
    return read();
  } catch (thrown) {
    if (thrown instanceof OpenFailure) return { bytes: NOTHING, result: thrown.code };
    if (thrown instanceof DiskFailure) return { bytes: NOTHING, result: -thrown.errno };
    throw thrown;
  }
}

function geometryAt(disk: DirectDisk, offset: number): Geometry | null {
  const first = decode(deltaLeader, disk.read(offset, PROBE_BYTES));
  return first.magic === DELTA_DISK_MAGIC ? leaderGeometry(first) : null;
}

/** `path[:offset[:size]]`; M stands for mebibytes. */
export interface Stretch {
  readonly path: string;
  readonly offset: number;
  readonly size: number;
}

export function parseStretch(text: string): Stretch {
  const [path = '', offset = '', size = ''] = splitEscaped(text);
  return { path, offset: bytesOf(offset), size: bytesOf(size) };
}

function bytesOf(text: string): number {
  const found = /^(\d+)(M?)/.exec(text);
  return Number(found?.[1] ?? 0) * (found?.[2] === 'M' ? MIB : 1);
}

/** Opens what is to be shown; prints why not. */
export function openStretch(stretch: Stretch, print: Print): DirectDisk | null {
  try {
    statSync(stretch.path);
    return new DirectDisk(stretch.path, 'read');
  } catch {
    print(`Device ${stretch.path} not found.\n`);
    return null;
  }
}

export function explicitGeometry(
  line: CommandLine,
): Pick<Geometry, 'sectorSize' | 'areaBytes'> | null {
  const { sectorSize, areaMib } = sizesOption(line);
  if (areaMib === 0 || (sectorSize !== 512 && sectorSize !== 4096)) return null;
  return { sectorSize, areaBytes: areaMib * MIB };
}
