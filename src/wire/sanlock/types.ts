import type { ByteString } from '../../base/bytes.ts';
import { encode, type RecordOf, zeroRecord } from '../../codec/struct.ts';
import {
  RES_FLAGS,
  sanlkDisk,
  type sanlkHost,
  sanlkLockspace,
  sanlkRentry,
  sanlkResource,
  sanlkRindex,
} from './socket.ts';
import type { DiskText, ResourceText } from './strings.ts';

/** One area of delta leases. Names and paths are byte strings (base/bytes.ts). */
export interface Lockspace {
  readonly name: ByteString;
  /** 1..maxHosts; 0 where the call does not need it. */
  readonly hostId: bigint;
  readonly path: ByteString;
  /** Bytes from the start of the device; a multiple of the area size. */
  readonly offset: bigint;
  /** Flags of LSF_FLAGS, and the ALIGN and SECTOR bits of RES_FLAGS. */
  readonly flags?: number;
}

/** One paxos lease: a ResourceText, and the number of hosts where it is to be set. */
export interface Resource extends ResourceText {
  /** Set by RES_FLAGS.NUM_HOSTS: the new num_hosts. */
  readonly data32?: number;
}

/** Where an index of resource names is. */
export interface Rindex {
  readonly lockspaceName: ByteString;
  readonly path: ByteString;
  readonly offset: bigint;
  /** The ALIGN and SECTOR bits of RES_FLAGS. */
  readonly flags?: number;
  readonly maxResources?: number;
}

/** One name of an index, and the offset of its lease in bytes. */
export interface Rentry {
  readonly name: ByteString;
  readonly offset: bigint;
}

/** A host of a lockspace as the daemon sees it; the low four bits of `flags` are its state. */
export type Host = RecordOf<typeof sanlkHost>;

/** One record of STATUS, HOST_STATUS or RENEWAL. */
export interface StateRecord {
  /** One of STATE_TYPES. */
  readonly type: number;
  readonly flags: number;
  readonly data32: number;
  readonly data64: bigint;
  readonly name: ByteString;
  /** Blank-separated `key=value` fields. */
  readonly text: ByteString;
  /** Present for lockspaces. */
  readonly lockspace: Lockspace | null;
  /** Present for resources. */
  readonly resource: Resource | null;
}

/** A message another host sent us through its delta lease. */
export interface HostEvent {
  readonly hostId: bigint;
  readonly generation: bigint;
  readonly event: bigint;
  readonly data: bigint;
}

/** A lockspace as the socket takes it. */
export function lockspaceBytes(lockspace: Lockspace): Uint8Array {
  return encode(sanlkLockspace, {
    ...zeroRecord(sanlkLockspace),
    name: lockspace.name,
    hostId: lockspace.hostId,
    flags: lockspace.flags ?? 0,
    path: lockspace.path,
    offset: lockspace.offset,
  });
}

/** With a name only, for the calls that look a lockspace up by name. */
export function lockspaceNamed(name: ByteString, hostId = 0n): Uint8Array {
  return lockspaceBytes({ name, hostId, path: '', offset: 0n });
}

/** A resource as the socket takes it, without its disks. */
export function resourceBytes(resource: Resource): Uint8Array {
  return encode(sanlkResource, {
    ...zeroRecord(sanlkResource),
    lockspaceName: resource.lockspaceName,
    name: resource.name,
    lver: resource.lver,
    data32: resource.data32 ?? 0,
    flags: resource.flags,
    numDisks: resource.disks.length,
  });
}

/** One disk as the socket takes it. */
export function diskBytes(disk: DiskText): Uint8Array {
  return encode(sanlkDisk, { ...zeroRecord(sanlkDisk), path: disk.path, offset: disk.offset });
}

/** A resource as the socket takes it, with each of its disks. */
export function resourceWithDisks(resource: Resource): Uint8Array[] {
  return [resourceBytes(resource), ...resource.disks.map(diskBytes)];
}

/** An index as the socket takes it. */
export function rindexBytes(rindex: Rindex): Uint8Array {
  return encode(sanlkRindex, {
    ...zeroRecord(sanlkRindex),
    flags: rindex.flags ?? 0,
    maxResources: rindex.maxResources ?? 0,
    lockspaceName: rindex.lockspaceName,
    path: rindex.path,
    offset: rindex.offset,
  });
}

/** An entry of an index as the socket takes it. */
export function rentryBytes(rentry: Rentry): Uint8Array {
  return encode(sanlkRentry, {
    ...zeroRecord(sanlkRentry),
    name: rentry.name,
    offset: rentry.offset,
  });
}

const SIZE_FLAGS = [
  [1, RES_FLAGS.ALIGN1M],
  [2, RES_FLAGS.ALIGN2M],
  [4, RES_FLAGS.ALIGN4M],
  [8, RES_FLAGS.ALIGN8M],
] as const;

/** The flag bits for explicit sizes; 0 stands for "not given". */
export function sizeFlags(sizes: { sectorSize: number; areaMib: number }): number {
  let flags = 0;
  for (const [mib, flag] of SIZE_FLAGS) if (sizes.areaMib === mib) flags |= flag;
  if (sizes.sectorSize === 512) flags |= RES_FLAGS.SECTOR512;
  if (sizes.sectorSize === 4096) flags |= RES_FLAGS.SECTOR4K;
  return flags;
}

/** The sizes a daemon's answer carries in its flags; 0 where a bit is absent. */
export function sizesOfFlags(flags: number): { sectorSize: number; areaMib: number } {
  const areaMib = SIZE_FLAGS.find(([, flag]) => (flags & flag) !== 0)?.[0] ?? 0;
  const sectorSize =
    (flags & RES_FLAGS.SECTOR512) !== 0 ? 512 : (flags & RES_FLAGS.SECTOR4K) !== 0 ? 4096 : 0;
  return { sectorSize, areaMib };
}
