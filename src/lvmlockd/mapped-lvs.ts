import type { ByteString } from '../base/bytes.ts';
import type { ManagerSpace } from './managers/manager.ts';
import {
  type ManagerSteps,
  type MappedReply,
  mappedDevices,
  mappedTables,
  type TableReply,
} from './managers/steps.ts';

/**
 * The LVs of a VG as device-mapper has them here: every device of lvm with the VG's uuid, hidden
 * layers too, without the LV of the leases. An LV is *cut off* when none of its I/O can reach a
 * disk: it has an error table, or all that is below it is cut off.
 */
export interface MappedLv extends MappedReply {
  readonly lvUuid: ByteString;
  /** null: not answered in time. */
  readonly table: TableReply | null;
  /** 0: nothing of the VG is below it. */
  readonly level: number;
  readonly isCutOff: boolean;
}

/** Where a VG's devices are found. */
export interface MappedVg {
  /** With or without dashes; '': not known, and taken from the device of the leases. */
  readonly vgUuid: ByteString;
  /** As device-mapper names the device of the leases; '' where they are on no LV. */
  readonly leaseDevice: ByteString;
}

export interface MappedVgState {
  readonly lvs: readonly MappedLv[];
  /** Devices of others, on top of the LVs: dm-crypt, multipath, another VG. */
  readonly above: readonly MappedReply[];
}

/** null: device-mapper cannot be asked, or not which devices are the VG's. */
export function* mappedLvs(vg: MappedVg): ManagerSteps<MappedVgState | null> {
  const devices = yield* mappedDevices();
  if (devices === null) return null;
  const lease = devices.find(({ name }) => name === vg.leaseDevice);
  const vgUuid = vg.vgUuid.replaceAll('-', '') || (uuidsOf(lease)?.vgUuid ?? '');
  if (vgUuid === '') return null;
  const leaseLv = uuidsOf(lease)?.lvUuid ?? null;
  const own = devices.filter((device) => {
    const uuids = uuidsOf(device);
    return uuids?.vgUuid === vgUuid && uuids.lvUuid !== leaseLv;
  });
  const tables = yield* mappedTables(own.map(({ uuid }) => uuid));
  return { lvs: layered(own, tables), above: devicesAbove(own, devices) };
}

/** Of devices of lvm; null: it is another's. */
function uuidsOf(
  device: MappedReply | undefined,
): { readonly vgUuid: ByteString; readonly lvUuid: ByteString } | null {
  const found = /^LVM-([A-Za-z0-9]{32})([A-Za-z0-9]{32})(-.*)?$/.exec(device?.uuid ?? '');
  return found === null ? null : { vgUuid: found[1] ?? '', lvUuid: found[2] ?? '' };
}

function layered(
  own: readonly MappedReply[],
  tables: ReadonlyMap<ByteString, TableReply>,
): readonly MappedLv[] {
  const byName = new Map(own.map((device) => [device.kernelName, device]));
  const done = new Map<string, MappedLv>();
  const visit = (device: MappedReply): MappedLv => {
    const known = done.get(device.kernelName);
    if (known !== undefined) return known;
    const below = device.slaves.map((name) => byName.get(name) ?? null);
    const inner = below.flatMap((one) => (one === null ? [] : [visit(one)]));
    const table = tables.get(device.uuid) ?? null;
    const isWithin = below.length > 0 && inner.length === below.length;
    const made: MappedLv = {
      ...device,
      lvUuid: uuidsOf(device)?.lvUuid ?? '',
      table,
      level: inner.reduce((level, one) => Math.max(level, one.level + 1), 0),
      isCutOff: hasNoStorage(table) || (isWithin && inner.every((one) => one.isCutOff)),
    };
    done.set(device.kernelName, made);
    return made;
  };
  return own.map(visit);
}

/** Its live table has only lines that do no I/O, or there is none. */
function hasNoStorage(table: TableReply | null): boolean {
  return table?.types.every((type) => type === 'error' || type === 'zero') === true;
}

function devicesAbove(
  own: readonly MappedReply[],
  all: readonly MappedReply[],
): readonly MappedReply[] {
  const inVg = new Set(own.map(({ kernelName }) => kernelName));
  const byName = new Map(all.map((device) => [device.kernelName, device]));
  const found = new Map<string, MappedReply>();
  const queue = [...own];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    for (const name of next.holders) {
      const holder = byName.get(name);
      if (holder === undefined || inVg.has(name) || found.has(name)) continue;
      found.set(name, holder);
      queue.push(holder);
    }
  }
  return [...found.values()];
}

/** LVs that device-mapper has here, by uuid without dashes. */
export interface ActiveLvs {
  /** Those that may still reach a disk; null: it is not known. */
  readonly inTouch: readonly ByteString[] | null;
  /** Mapped, but cut off: nothing needs their locks. */
  readonly cutOff: readonly ByteString[];
}

/** Of a VG whose lockspace is given as its lock manager has it. */
export function* activeInTouch(
  vgUuid: ByteString,
  space: Pick<ManagerSpace, 'activeLvs' | 'leaseDevice'>,
): ManagerSteps<ActiveLvs> {
  const active = yield* space.activeLvs();
  if (active === null || active.length === 0) return { inTouch: active, cutOff: [] };
  const state = yield* mappedLvs({ vgUuid, leaseDevice: space.leaseDevice });
  const isCut = (lvUuid: ByteString) => {
    const devices = state?.lvs.filter((one) => one.lvUuid === lvUuid) ?? [];
    return devices.length > 0 && devices.every((one) => one.isCutOff);
  };
  const cutOff = active.filter(isCut);
  return { inTouch: active.filter((one) => !cutOff.includes(one)), cutOff };
}
