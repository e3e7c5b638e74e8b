import { type ByteString, nameToText, textToName } from '../../../base/bytes.ts';
import { fail, ok, type Result } from '../../../base/result.ts';
import { SECOND_MS } from '../../../base/units.ts';
import { decode } from '../../../codec/struct.ts';
import { deltaLeaseOffset, type Geometry } from '../../../format/geometry.ts';
import { type DeltaLeader, leaderGeometry, paxosLeader } from '../../../format/leader.ts';
import type { HostLeaseSeen, HostLeasesSeen } from '../../../inspect/join/free-host-id.ts';
import {
  type DevicePlace,
  devicePlaces,
  type LvSegment,
} from '../../../inspect/leases/pv-extents.ts';
import { verifyDelta } from '../../../lease/verify.ts';
import {
  GL_NAME,
  lockLvOfArgs,
  SLOT_GL,
  sanlockSpaceName,
  UNUSED_NAME,
} from '../../../lvmlockd/managers/sanlock/layout.ts';
import { FreshReads, type ReadPiece } from '../../../platform/fresh-reads.ts';
import { lvmReport, type Row } from './lvm.ts';

/** A shared VG that lvm sees, and where its leases are. */
export interface SharedVg {
  readonly name: string;
  readonly uuid: string;
  readonly lockType: string;
  readonly lockArgs: string;
  /** Reads bytes of the area of its leases from the PVs: its LV need not be active. */
  readonly read: LeaseReader | null;
  /** Why `read` is null: a sentence without its full stop. */
  readonly why: string;
}

export type LeaseReader = (offset: number, length: number) => Promise<Result<Uint8Array, string>>;

/** A device that has not answered by then is told as one that does not. */
const READ_MS = 20 * SECOND_MS;

const VG_FIELDS = ['vg_name', 'vg_uuid', 'vg_lock_type', 'vg_lock_args', 'vg_extent_size'];
const LV_FIELDS = ['vg_name', 'lv_name', 'segtype', 'seg_start_pe', 'seg_size_pe', 'seg_pe_ranges'];

/** Every shared VG that lvm sees here, whether lvmlockd runs or not, started or not. */
export async function sharedVgs(): Promise<Result<readonly SharedVg[], string>> {
  const [vgs, lvs, pvs] = await Promise.all([
    lvmReport('vgs', VG_FIELDS),
    lvmReport('lvs', LV_FIELDS, ['--all', '--segments']),
    lvmReport('pvs', ['pv_name', 'vg_name', 'pe_start']),
  ]);
  for (const report of [vgs, lvs, pvs]) if (!report.ok) return report;
  if (!vgs.ok || !lvs.ok || !pvs.ok) return fail('lvm does not report');
  const firstExtentAt = new Map(
    pvs.value.map((row) => [row['pv_name'] ?? '', Number(row['pe_start'])]),
  );
  const shared = vgs.value.filter((row) => !['', 'none', undefined].includes(row['vg_lock_type']));
  const reads = new FreshReads(READ_MS);
  return ok(shared.map((row) => sharedVg(row, { lvs: lvs.value, firstExtentAt, reads })));
}

function sharedVg(
  row: Row,
  from: {
    readonly lvs: readonly Row[];
    readonly firstExtentAt: ReadonlyMap<string, number>;
    readonly reads: FreshReads;
  },
): SharedVg {
  const lockArgs = row['vg_lock_args'] ?? '';
  const vg = {
    name: row['vg_name'] ?? '',
    uuid: row['vg_uuid'] ?? '',
    lockType: row['vg_lock_type'] ?? '',
    lockArgs,
  };
  if (vg.lockType !== 'sanlock')
    return { ...vg, read: null, why: `its lock type is ${vg.lockType}` };
  const lockLv = lockLvOfArgs(textToName(lockArgs));
  if (lockLv === null) return { ...vg, read: null, why: `its lock args are "${lockArgs}"` };
  const segments = from.lvs
    .filter((one) => one['vg_name'] === vg.name && one['lv_name'] === `[${nameToText(lockLv)}]`)
    .map(segmentOf);
  if (segments.length === 0) return { ...vg, read: null, why: 'it has no LV of leases' };
  const extentBytes = Number(row['vg_extent_size']);
  const layout = { segments, extentBytes, firstExtentAt: from.firstExtentAt };
  return {
    ...vg,
    why: '',
    read: (offset, length) => readPlaces(from.reads, layout, { offset, length }),
  };
}

function segmentOf(row: Row): LvSegment {
  return {
    type: row['segtype'] ?? '',
    startExtent: Number(row['seg_start_pe']),
    extents: Number(row['seg_size_pe']),
    ranges: row['seg_pe_ranges'] ?? '',
  };
}

/** At once, so that a whole area needs no memory of its own. */
const PIECE_BYTES = 64 * 1024;

async function readPlaces(
  reads: FreshReads,
  layout: Parameters<typeof devicePlaces>[0],
  { offset, length }: { readonly offset: number; readonly length: number },
): Promise<Result<Uint8Array, string>> {
  const places = devicePlaces(layout, offset, length);
  if (!places.ok) return fail(`the LV of its leases cannot be read: ${places.error}`);
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const place of places.value) {
    const into = bytes.subarray(at, at + place.length);
    const failure = await reads.look(place.device, (piece) => readPlace(piece, place, into));
    if (failure !== null) return fail(failure);
    at += place.length;
  }
  return ok(bytes);
}

/** @returns a sentence: why it cannot be read */
async function readPlace(
  piece: ReadPiece,
  { offset, length }: DevicePlace,
  into: Uint8Array,
): Promise<string | null> {
  for (let at = 0; at < length; at += PIECE_BYTES) {
    const bytes = await piece({ offset: offset + at, length: Math.min(PIECE_BYTES, length - at) });
    if (typeof bytes === 'string') return bytes;
    into.set(bytes, at);
  }
  return null;
}

/** First bytes that are read of an area: a record of either sector size. */
const PROBE_BYTES = 4096;

/** The host leases of a VG's lockspace. @returns a sentence without its full stop: why not */
export async function readHostLeases(vg: SharedVg): Promise<Result<HostLeasesSeen, string>> {
  if (vg.read === null) return fail(vg.why);
  const geometry = await geometryOf(vg, vg.read);
  if (!geometry.ok) return geometry;
  const { areaBytes, maxHosts } = geometry.value;
  const bytes = await vg.read(0, areaBytes);
  if (!bytes.ok) return bytes;
  const used: HostLeaseSeen[] = [];
  const damaged: number[] = [];
  let unusedIoTimeoutS = 0;
  for (let hostId = 1; hostId <= maxHosts; hostId++) {
    const offset = deltaLeaseOffset(geometry.value, hostId);
    const lease = leaseIn(vg, bytes.value, { hostId, offset });
    if (lease === 'damaged') damaged.push(hostId);
    else if (lease.isUsed) used.push(lease);
    else unusedIoTimeoutS = lease.ioTimeoutS;
  }
  return ok({ vg: vg.name, maxHosts, used, unusedIoTimeoutS, damaged });
}

/** One host lease, as it is now; null: it was never used. */
export async function readHostLease(
  vg: SharedVg,
  hostId: number,
): Promise<Result<HostLeaseSeen | null, string>> {
  if (vg.read === null) return fail(vg.why);
  const geometry = await geometryOf(vg, vg.read);
  if (!geometry.ok) return geometry;
  const { sectorSize } = geometry.value;
  const bytes = await vg.read(deltaLeaseOffset(geometry.value, hostId), sectorSize);
  if (!bytes.ok) return bytes;
  const lease = leaseIn(vg, bytes.value, { hostId, offset: 0 });
  if (lease === 'damaged') return fail(`the host lease of host id ${hostId} is damaged`);
  return ok(lease.isUsed ? lease : null);
}

/**
 * Whether lvmlockd has given up the lockspace of a VG that has its lock type still: what is between
 * the two was interrupted.
 */
export async function isLockspaceFreed({ read }: SharedVg): Promise<boolean> {
  const bytes = await read?.(0, PROBE_BYTES);
  if (bytes?.ok !== true) return false;
  return verifyDelta(bytes.value, 0, { lockspaceName: UNUSED_NAME, hostId: null }).ok;
}

/** Whether the VG carries the global lock, enabled; null: that cannot be read. */
export async function carriesGlobalLock(vg: SharedVg): Promise<boolean | null> {
  const { read } = vg;
  if (read === null) return null;
  const geometry = await geometryOf(vg, read);
  if (!geometry.ok) return null;
  const { areaBytes, sectorSize } = geometry.value;
  const bytes = await read(SLOT_GL * areaBytes, sectorSize);
  return bytes.ok ? decode(paxosLeader, bytes.value).resourceName === GL_NAME : null;
}

/** By the first record of which it can be read; those of hosts 1, 9 and 17 with small sectors. */
async function geometryOf(vg: SharedVg, read: LeaseReader): Promise<Result<Geometry, string>> {
  for (const at of [0, PROBE_BYTES, 2 * PROBE_BYTES]) {
    const bytes = await read(at, PROBE_BYTES);
    if (!bytes.ok) return bytes;
    const names = { lockspaceName: spaceName(vg), hostId: null };
    const leader = verifyDelta(bytes.value, 0, names);
    const geometry = leader.ok ? leaderGeometry(leader.value) : null;
    if (geometry !== null) return ok(geometry);
  }
  return fail(`there is no lockspace lvm_${vg.name} in the LV of its leases`);
}

function leaseIn(
  vg: SharedVg,
  bytes: Uint8Array,
  { hostId, offset }: { readonly hostId: number; readonly offset: number },
): (HostLeaseSeen & { readonly isUsed: boolean }) | 'damaged' {
  const lockspaceName = spaceName(vg);
  const leader = verifyDelta(bytes, offset, { lockspaceName, hostId });
  if (!leader.ok) return 'damaged';
  return { ...seen(leader.value, hostId), isUsed: !isUnused(leader.value) };
}

function spaceName({ name }: SharedVg): ByteString {
  return sanlockSpaceName(textToName(name));
}

function isUnused({ ownerId, timestampS }: DeltaLeader): boolean {
  return ownerId === 0n && timestampS === 0n;
}

function seen(leader: DeltaLeader, hostId: number): HostLeaseSeen {
  return {
    hostId,
    hostName: nameToText(leader.hostName),
    generation: Number(leader.ownerGeneration),
    timestampS: Number(leader.timestampS),
    ioTimeoutS: leader.ioTimeoutS & 0xff,
  };
}
