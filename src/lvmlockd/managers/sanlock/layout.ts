import type { ByteString } from '../../../base/bytes.ts';
import { MIB } from '../../../base/units.ts';
import { MAX_NAME_BYTES, RES_FLAGS } from '../../../wire/sanlock/socket.ts';
import type { Lockspace, Resource } from '../../../wire/sanlock/types.ts';
import type { ResourceRef } from '../manager.ts';

/** Names, strings and places of lvm's leases (spec 31 §1, §2). */
export const SLOT_GL = 65;
export const SLOT_VG = 66;
export const SLOT_FIRST_LV = 67;
export const GL_NAME = 'GLLK';
export const GL_DISABLED_NAME = '_GLLK_disabled';
export const VG_NAME = 'VGLK';
export const UNUSED_NAME = '#unused';
/** Names of leases that are of no LV. */
export const NO_LV_NAMES: ReadonlySet<ByteString> = new Set([
  GL_NAME,
  GL_DISABLED_NAME,
  VG_NAME,
  UNUSED_NAME,
]);
export const REMOVED_NAME = 'invalid_removed';
export const MAX_HOST_ID = 2000;
const ARGS_VERSION = '1.0.0';
const MAX_ARGS_MAJOR = 1;

/** Sector and area size of a VG's leases. */
export interface LeaseSizes {
  readonly alignBytes: number;
  /** RES_FLAGS bits that say the same. */
  readonly flags: number;
}

const ALIGN_FLAGS: Readonly<Record<number, number>> = {
  1: RES_FLAGS.ALIGN1M,
  2: RES_FLAGS.ALIGN2M,
  4: RES_FLAGS.ALIGN4M,
  8: RES_FLAGS.ALIGN8M,
};

/**
 * Areas of `alignMb` MiB, or of the usual size for 0. Sectors of 512 bytes have areas of 1 MiB,
 * whatever is asked for; null: sanlock has no areas of that size.
 */
export function sizesForSector(sectorBytes: 512 | 4096, alignMb = 0): LeaseSizes | null {
  if (sectorBytes === 512) return SIZES_512;
  const mebibytes = alignMb === 0 ? 8 : alignMb;
  const flag = ALIGN_FLAGS[mebibytes];
  if (flag === undefined) return null;
  return { alignBytes: mebibytes * MIB, flags: RES_FLAGS.SECTOR4K | flag };
}

export const SIZES_512: LeaseSizes = {
  alignBytes: MIB,
  flags: RES_FLAGS.SECTOR512 | RES_FLAGS.ALIGN1M,
};

/** An area has a sector for each host, behind two others, in steps of 250 (spec 10 §1). */
export function maxHostIdOf({ alignBytes, flags }: LeaseSizes): number {
  if ((flags & RES_FLAGS.SECTOR4K) === 0) return MAX_HOST_ID;
  return (alignBytes / MIB) * HOSTS_PER_MIB_4K;
}

const HOSTS_PER_MIB_4K = 250;

/** null when the flags name no size. */
export function sizesOfFlags(flags: number): LeaseSizes | null {
  const aligns = [
    [RES_FLAGS.ALIGN1M, MIB],
    [RES_FLAGS.ALIGN2M, 2 * MIB],
    [RES_FLAGS.ALIGN4M, 4 * MIB],
    [RES_FLAGS.ALIGN8M, 8 * MIB],
  ] as const;
  const sector = flags & (RES_FLAGS.SECTOR512 | RES_FLAGS.SECTOR4K);
  for (const [bit, alignBytes] of aligns) {
    if ((flags & bit) !== 0 && sector !== 0) return { alignBytes, flags: bit | sector };
  }
  return null;
}

/** Which sector size a device's two sysfs numbers mean; null when they cannot be used. */
export function sectorSizeOf(
  physicalBytes: number | null,
  logicalBytes: number | null,
): 512 | 4096 | null {
  const usable = (bytes: number | null) => (bytes === 512 || bytes === 4096 ? bytes : null);
  const physical = usable(physicalBytes);
  const logical = usable(logicalBytes);
  if (physical === null) return logical;
  if (logical === null || logical === physical) return physical;
  return 4096;
}

export function sanlockSpaceName(vgName: ByteString): ByteString {
  return `lvm_${vgName}`.slice(0, MAX_NAME_BYTES);
}

/** The LV name in `1.0.0:lvmlock`; null when the arguments are missing or of a newer kind. */
export function lockLvOfArgs(vgLockArgs: ByteString): ByteString | null {
  const lvName = lastPartOf(vgLockArgs);
  return lvName === '' ? null : lvName;
}

/** What follows the last colon; null without a version that we understand before the first. */
function lastPartOf(args: ByteString): ByteString | null {
  const parts = args.split(':');
  const version = /^([0-9]+)\.[0-9]+\.[0-9]+$/.exec(parts[0] ?? '');
  if (version === null || parts.length < 2 || Number(version[1]) > MAX_ARGS_MAJOR) return null;
  return parts[parts.length - 1] ?? null;
}

export function vgArgsFor(lockLvName: ByteString): ByteString {
  return `${ARGS_VERSION}:${lockLvName}`;
}

export function lvArgsFor(offset: number): ByteString {
  return `${ARGS_VERSION}:${offset}`;
}

/** The byte offset in `1.0.0:70254592`; null when it is not one. */
export function offsetOfArgs(lvLockArgs: ByteString): number | null {
  const digits = lastPartOf(lvLockArgs) ?? '';
  if (!/^[0-9]+$/.test(digits)) return null;
  const offset = Number(digits);
  return Number.isSafeInteger(offset) && offset > 0 ? offset : null;
}

/** Device-mapper doubles dashes and writes bytes it does not like as \xNN. */
export function mangled(name: ByteString): ByteString {
  let text = '';
  for (const c of name) {
    if (c === '-') text += '--';
    else if (/[A-Za-z0-9#+.:=@_]/.test(c)) text += c;
    else text += `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`;
  }
  return text;
}

/** The device-mapper name of the LV of the leases. */
export function lockLvDevice(vgName: ByteString, lockLvName: ByteString): ByteString {
  return `${mangled(vgName)}-${mangled(lockLvName)}`;
}

export function lockLvPath(vgName: ByteString, lockLvName: ByteString): ByteString {
  return `/dev/mapper/${lockLvDevice(vgName, lockLvName)}`;
}

/** The LV part of such a path, for a VG whose name is known; null when it is another device. */
export function lockLvOfPath(vgName: ByteString, path: ByteString): ByteString | null {
  const prefix = `/dev/mapper/${mangled(vgName)}-`;
  return path.startsWith(prefix) && path.length > prefix.length ? path.slice(prefix.length) : null;
}

/** Where one VG's leases are. */
export interface LeaseSite {
  readonly spaceName: ByteString;
  readonly path: ByteString;
  readonly sizes: LeaseSizes;
}

export function areaAt(site: LeaseSite, hostId: number, name = site.spaceName): Lockspace {
  return { name, hostId: BigInt(hostId), path: site.path, offset: 0n, flags: site.sizes.flags };
}

export function resourceAt(site: LeaseSite, name: ByteString, offset: number): Resource {
  return {
    lockspaceName: site.spaceName,
    name,
    disks: [{ path: site.path, offset: BigInt(offset) }],
    lver: 0n,
    flags: site.sizes.flags,
  };
}

/** null: an LV whose arguments do not say where its lease is. */
export function resourceOf(site: LeaseSite, ref: ResourceRef): Resource | null {
  const { alignBytes } = site.sizes;
  if (ref.scope === 'gl') return resourceAt(site, GL_NAME, SLOT_GL * alignBytes);
  if (ref.scope === 'vg') return resourceAt(site, VG_NAME, SLOT_VG * alignBytes);
  const offset = offsetOfArgs(ref.lvLockArgs);
  return offset === null ? null : resourceAt(site, ref.name, offset);
}
