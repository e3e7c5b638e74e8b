import type { ByteString } from '../base/bytes.ts';
import type { HeldMode, SpaceNotices } from './managers/manager.ts';
import { type ActiveLvReply, type ManagerSteps, runProgram } from './managers/steps.ts';
import type { Finding } from './refresh-state.ts';
import { type MetadataLvs, readMetadata, type VgMetadata } from './vg-metadata.ts';

/**
 * Compares the LVs that are active on this host with the VG's metadata and with the locks held
 * here: refreshes those that have another size, removes mappings of LVs that are no more, and says
 * what only an administrator can mend.
 */

export interface InspectionOrder {
  readonly vgName: ByteString;
  readonly notices: SpaceNotices;
  /** Of LVs, by uuid without dashes, as they are now. */
  readonly locks: () => ReadonlyMap<ByteString, HeldMode>;
  /** What other hosts told: the beginnings of uuids; '' is each LV that is shared here. */
  readonly wanted: readonly ByteString[];
  /** Suspects of the last comparison: with the same ones, the metadata is not read again. */
  readonly comparedWith: ByteString | null;
}

export interface Refreshed {
  readonly name: ByteString;
  readonly lvUuid: ByteString;
  /** Of the device, before and after; null: not known. */
  readonly fromBytes: number | null;
  readonly toBytes: number | null;
  /** By the metadata. */
  readonly wantedBytes: number;
  /** Of lvchange; null: it did not end. */
  readonly status: number | null;
  readonly trouble: ByteString;
}

export type Inspection =
  /** Device-mapper does not tell: nothing was done. */
  | { readonly kind: 'unknown' }
  /** The metadata could not be read. */
  | { readonly kind: 'unread'; readonly reason: ByteString }
  | {
      readonly kind: 'inspected';
      /** null: the metadata was not compared. */
      readonly comparedWith: ByteString | null;
      readonly refreshed: readonly Refreshed[];
      readonly removed: readonly Finding[];
      readonly findings: readonly Finding[];
      /** Bytes of the LVs that are shared here, by uuid. */
      readonly sizes: ReadonlyMap<ByteString, number>;
    };

const REFRESH_DEADLINE_MS = 120_000;
const REMOVE_DEADLINE_MS = 30_000;
/** LVs of one lvchange. */
const MAX_NAMES = 50;

export function* inspectVg(order: InspectionOrder): ManagerSteps<Inspection> {
  const { notices, locks, vgName } = order;
  const devices = yield* notices.devices();
  if (devices === null) return { kind: 'unknown' };
  const isSame = order.wanted.length === 0 && order.comparedWith === suspectsOf(devices, locks());
  if (devices.length === 0 || isSame) {
    const sizes = sharedSizes(devices, locks());
    const done = { comparedWith: null, refreshed: [], removed: [], findings: [], sizes };
    return { kind: 'inspected', ...done };
  }
  const metadata = yield* readMetadata(vgName, 'unlocked');
  if (metadata.kind === 'unread') return metadata;
  const wanted = toRefresh(order, devices, metadata.lvs);
  const refreshed = wanted.length === 0 ? [] : yield* refresh(order, wanted);
  const { removed, ghosts } = yield* ghostsOf(order, devices, metadata);
  const after = (yield* notices.devices()) ?? devices;
  const findings = [
    ...ghosts,
    ...otherSizes(after, locks(), refreshed),
    ...unlockedLvs(after, locks(), metadata.lvs),
  ];
  const sizes = sharedSizes(after, locks());
  const comparedWith = suspectsOf(after, locks());
  return { kind: 'inspected', comparedWith, refreshed, removed, findings, sizes };
}

/** The device on top: hidden layers of the LV have suffixes. */
function isTop({ deviceUuid, vgUuid, lvUuid }: ActiveLvReply): boolean {
  return deviceUuid === `LVM-${vgUuid}${lvUuid}`;
}

/** Devices that neither a lock nor another device accounts for: thin LVs, or what is to be found. */
function suspectsOf(
  devices: readonly ActiveLvReply[],
  locks: ReadonlyMap<ByteString, HeldMode>,
): ByteString {
  const suspects = devices.filter(({ isHeld, lvUuid }) => !isHeld && !locks.has(lvUuid));
  return suspects
    .map(({ deviceUuid }) => deviceUuid)
    .sort()
    .join(' ');
}

/** Only these can have been resized by another host. */
function sharedSizes(
  devices: readonly ActiveLvReply[],
  locks: ReadonlyMap<ByteString, HeldMode>,
): ReadonlyMap<ByteString, number> {
  const sizes = new Map<ByteString, number>();
  for (const device of devices) {
    const { lvUuid, sizeBytes } = device;
    if (locks.get(lvUuid) !== 'sh' || !isTop(device) || sizeBytes === null) continue;
    sizes.set(lvUuid, sizeBytes);
  }
  return sizes;
}

interface Wanted {
  readonly lvUuid: ByteString;
  readonly name: ByteString;
  readonly fromBytes: number | null;
}

function toRefresh(
  { locks, wanted }: InspectionOrder,
  devices: readonly ActiveLvReply[],
  lvs: MetadataLvs,
): readonly Wanted[] {
  const held = locks();
  return devices.filter(isTop).flatMap(({ lvUuid, sizeBytes: fromBytes }): readonly Wanted[] => {
    const lv = lvs.get(lvUuid);
    if (lv === undefined || lv.isHidden) return [];
    const isShared = held.get(lvUuid) === 'sh';
    const isTold = wanted.some((mark) => (mark === '' ? isShared : lvUuid.startsWith(mark)));
    const isOther = isShared && fromBytes !== null && fromBytes !== lv.sizeBytes;
    return isTold || isOther ? [{ lvUuid, name: lv.name, fromBytes }] : [];
  });
}

/**
 * By the ordinary command, with lvm's own locks: they keep a deactivation on this host, and changes
 * of the VG, away from it. lvmlockd serves them beside this procedure.
 */
function* refresh(
  { vgName, notices }: InspectionOrder,
  wanted: readonly Wanted[],
): ManagerSteps<readonly Refreshed[]> {
  const ends = new Map<ByteString, { status: number | null; trouble: ByteString }>();
  for (let at = 0; at < wanted.length; at += MAX_NAMES) {
    const some = wanted.slice(at, at + MAX_NAMES);
    const names = some.map(({ name }) => `${vgName}/${name}`);
    const words = ['lvm', 'lvchange', '--refresh', '--partial', ...names];
    const { status, trouble } = yield* runProgram({ words, deadlineMs: REFRESH_DEADLINE_MS });
    for (const { lvUuid } of some) ends.set(lvUuid, { status, trouble });
  }
  const metadata = yield* readMetadata(vgName, 'unlocked');
  const devices = (yield* notices.devices()) ?? [];
  const lvs: MetadataLvs = metadata.kind === 'read' ? metadata.lvs : new Map();
  return wanted.flatMap(({ lvUuid, name, fromBytes }): readonly Refreshed[] => {
    const device = devices.find((one) => one.lvUuid === lvUuid && isTop(one));
    const lv = lvs.get(lvUuid);
    const end = ends.get(lvUuid) ?? { status: null, trouble: '' };
    if (metadata.kind === 'read' && (device === undefined || lv === undefined)) return [];
    const trouble = metadata.kind === 'read' ? end.trouble : metadata.reason;
    const toBytes = device?.sizeBytes ?? null;
    const wantedBytes = lv?.sizeBytes ?? 0;
    return [{ name, lvUuid, fromBytes, toBytes, wantedBytes, ...end, trouble }];
  });
}

export function isDone({ status, toBytes, wantedBytes }: Refreshed): boolean {
  return status === 0 && toBytes === wantedBytes;
}

function otherSizes(
  devices: readonly ActiveLvReply[],
  locks: ReadonlyMap<ByteString, HeldMode>,
  refreshed: readonly Refreshed[],
): readonly Finding[] {
  return refreshed.flatMap((one): readonly Finding[] => {
    const device = devices.find(({ lvUuid }) => lvUuid === one.lvUuid);
    if (isDone(one) || device === undefined || !locks.has(one.lvUuid)) return [];
    return [{ kind: 'otherSize', lvUuid: one.lvUuid, device: device.deviceName }];
  });
}

/** LVs without a lease of their own (hidden ones, thin LVs) are locked by another LV's. */
function unlockedLvs(
  devices: readonly ActiveLvReply[],
  locks: ReadonlyMap<ByteString, HeldMode>,
  lvs: MetadataLvs,
): readonly Finding[] {
  return devices.flatMap((device): readonly Finding[] => {
    const { lvUuid, deviceName, isHeld } = device;
    const hasOwnLease = lvs.get(lvUuid)?.hasLease === true;
    if (!hasOwnLease || isHeld || !isTop(device) || locks.has(lvUuid)) return [];
    return [{ kind: 'activeUnlocked', lvUuid, device: deviceName }];
  });
}

/**
 * Mappings of LVs that the metadata does not have. An LV that a command is just making or removing
 * looks like one: so the metadata is read again under the VG's lock, when no command is at work,
 * and the mapping must be there before and after. A uuid is never used again.
 */
function* ghostsOf(
  { vgName, notices, locks }: InspectionOrder,
  devices: readonly ActiveLvReply[],
  seen: Extract<VgMetadata, { kind: 'read' }>,
): ManagerSteps<{ readonly removed: readonly Finding[]; readonly ghosts: readonly Finding[] }> {
  const none = { removed: [], ghosts: [] };
  if (devices.every(({ lvUuid }) => seen.lvs.has(lvUuid))) return none;
  const metadata = yield* readMetadata(vgName, 'locked');
  if (metadata.kind === 'unread') return none;
  const still = yield* notices.devices();
  const known = new Set(devices.map(({ deviceUuid }) => deviceUuid));
  const removed: Finding[] = [];
  const ghosts: Finding[] = [];
  for (const { deviceUuid, deviceName, lvUuid, vgUuid, isHeld } of still ?? []) {
    if (!known.has(deviceUuid) || metadata.lvs.has(lvUuid) || metadata.vgUuid !== vgUuid) continue;
    if (isHeld) continue; // the mapping above it is looked at first
    const finding: Finding = { kind: 'ghost', lvUuid, device: deviceName };
    const isRemoved = !locks().has(lvUuid) && (yield* remove(deviceUuid));
    (isRemoved ? removed : ghosts).push(finding);
  }
  return { removed, ghosts };
}

/** The kernel refuses it for a device that is open or mounted. By uuid: a name may be another's. */
function* remove(deviceUuid: ByteString): ManagerSteps<boolean> {
  const words = ['dmsetup', 'remove', '--uuid', deviceUuid];
  return (yield* runProgram({ words, deadlineMs: REMOVE_DEADLINE_MS })).status === 0;
}
