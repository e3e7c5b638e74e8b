import { type ByteString, textToName } from '../base/bytes.ts';
import { MIB } from '../base/units.ts';
import { RES_FLAGS } from '../wire/sanlock/socket.ts';
import type { Lockspace, Resource } from '../wire/sanlock/types.ts';

export const FENCE_LOCKSPACE = 'fence';
export const MAX_FENCE_HOSTS = 128;
/** The agent counts in it, so the device must have 512-byte sectors (spec 25 §7). */
export const AREA_BYTES = MIB;

/** `hostId` 0 where the call does not need it. */
export function fenceLockspace(path: ByteString, hostId: number): Lockspace {
  return { name: FENCE_LOCKSPACE, hostId: BigInt(hostId), path, offset: 0n };
}

/** The lease a host has while it may use what fencing protects. */
export function hostLease(path: ByteString, hostId: number): Resource {
  return {
    lockspaceName: FENCE_LOCKSPACE,
    name: textToName(`h${hostId}`),
    disks: [{ path, offset: BigInt(hostId * AREA_BYTES) }],
    lver: 0n,
    flags: 0,
  };
}

/** It outlives its process: a dead fence_sanlockd must not pass for a host that is off. */
export function ownLease(path: ByteString, hostId: number): Resource {
  return { ...hostLease(path, hostId), flags: RES_FLAGS.PERSISTENT };
}

/** One sentence when areas of 1 MiB cannot be used there; null when they can. */
export function wrongArea(areaBytes: number): string | null {
  if (areaBytes === AREA_BYTES) return null;
  const mib = areaBytes / AREA_BYTES;
  return `the storage takes areas of ${mib} MiB (4096-byte sectors?), fencing wants 1 MiB`;
}

export function hostIdOf(word: string): number | null {
  if (!/^[0-9]{1,3}$/.test(word)) return null;
  const hostId = Number(word);
  return hostId >= 1 && hostId <= MAX_FENCE_HOSTS ? hostId : null;
}
