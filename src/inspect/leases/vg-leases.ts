/**
 * The leases of a VG compared with its metadata: which slot of lvmlock belongs to which LV, by
 * both. Facts only; who asks decides what is written, and says it in words.
 */

/** An LV as lvm reports it. */
export interface LvOfMetadata {
  readonly name: string;
  readonly uuid: string;
  /** '' for an LV without a lock of its own. */
  readonly lockArgs: string;
}

/** A slot for LVs, or that of the VG or global lock, as it is on the device. */
export interface SlotOnDevice {
  readonly offset: number;
  readonly holds:
    | { readonly kind: 'free' | 'unwritten' }
    | { readonly kind: 'lease'; readonly lockspace: string; readonly name: string }
    /** `code`: sanlock's number for the damage. */
    | { readonly kind: 'damaged'; readonly code: number };
}

export interface LeasesOfVg {
  readonly lockspace: string;
  /** Bytes from slot to slot. */
  readonly areaBytes: number;
  readonly lvs: readonly LvOfMetadata[];
  /** All up to the end of the device. */
  readonly slots: readonly SlotOnDevice[];
}

/** What can be done about it, under the VG lock; null: only an administrator can. */
export type Mending =
  /** The slot becomes free, if nobody holds its lease. */
  | { readonly kind: 'free'; readonly lvUuid: string; readonly offset: number }
  /** The LV gets the free slot that its lock args name. */
  | { readonly kind: 'take'; readonly lvUuid: string; readonly offset: number }
  /** The lease is written anew, if nobody can hold it; `thenFree`: it is of no LV. */
  | {
      readonly kind: 'rewrite';
      readonly scope: 'gl' | 'vg' | 'lv';
      readonly lvUuid: string;
      readonly offset: number;
      readonly thenFree: boolean;
    };

export interface LeaseFinding {
  readonly kind: /** A slot with the uuid of an LV that the VG does not have. */
    | 'slotWithoutLv'
    /** An LV whose slot is free, or was never written. */
    | 'lvWithoutSlot'
    /** An LV whose slot is past the end of the device, or between two slots, or not named. */
    | 'lvOutside'
    /** An LV whose slot has the name of something else. */
    | 'otherName'
    /** Several LVs with one slot. */
    | 'sharedSlot'
    /** One LV in a slot that its lock args do not name. */
    | 'secondSlot'
    /** A lease that names another VG: a rename that was not finished. */
    | 'otherLockspace'
    | 'damaged';
  /** null: the LV's lock args name none. */
  readonly offset: number | null;
  /** The names of LVs, `VG lock`, `global lock`, or a uuid. */
  readonly of: readonly string[];
  /** What is there instead, or how it is damaged. */
  readonly found: string;
  readonly mending: Mending | null;
}

const SLOT_GL = 65;
const SLOT_VG = 66;
const SLOT_FIRST_LV = 67;
const VG_NAME = 'VGLK';
const GL_NAMES: ReadonlySet<string> = new Set(['GLLK', '_GLLK_disabled']);

/** In the order of the slots; LVs whose slot cannot be named come last. */
export function compareLeases(vg: LeasesOfVg): readonly LeaseFinding[] {
  const owners = new Map<number, LvOfMetadata[]>();
  const outside: LeaseFinding[] = [];
  for (const lv of vg.lvs.filter(({ lockArgs }) => lockArgs !== '')) {
    const offset = leaseOffsetOf(lv.lockArgs);
    const isSlot = offset !== null && offset % vg.areaBytes === 0;
    if (isSlot && vg.slots.some((slot) => slot.offset === offset) && offset >= first(vg)) {
      owners.set(offset, [...(owners.get(offset) ?? []), lv]);
    } else {
      const found = lv.lockArgs;
      outside.push({ kind: 'lvOutside', offset, of: [lv.name], found, mending: null });
    }
  }
  const found = vg.slots.flatMap((slot) => {
    const number = slot.offset / vg.areaBytes;
    if (number === SLOT_GL || number === SLOT_VG) return inOwnSlot(vg, slot, number === SLOT_VG);
    return inLvSlot(vg, slot, owners.get(slot.offset) ?? []);
  });
  return [...found, ...outside];
}

function first({ areaBytes }: LeasesOfVg): number {
  return SLOT_FIRST_LV * areaBytes;
}

/** Where the lease of an LV begins, by its lock args `1.0.0:70254592`; null: it has none of its own. */
export function leaseOffsetOf(lockArgs: string): number | null {
  const digits = /^\d+\.\d+\.\d+:(\d{1,15})$/.exec(lockArgs)?.[1];
  return digits === undefined ? null : Number(digits);
}

/** The VG's own slots. */
function inOwnSlot(vg: LeasesOfVg, slot: SlotOnDevice, isVg: boolean): LeaseFinding[] {
  const { offset, holds } = slot;
  const of = [isVg ? 'VG lock' : 'global lock'];
  const scope = isVg ? 'vg' : 'gl';
  const rewrite = { kind: 'rewrite', scope, lvUuid: '', offset, thenFree: false } as const;
  const damage = damageOf(vg, holds);
  if (damage !== null) return [{ ...damage, offset, of, mending: rewrite }];
  const name = nameOf(holds);
  if (isVg ? name === VG_NAME : GL_NAMES.has(name)) return [];
  return [{ kind: 'otherName', offset, of, found: name, mending: null }];
}

function inLvSlot(
  vg: LeasesOfVg,
  { offset, holds }: SlotOnDevice,
  owners: readonly LvOfMetadata[],
): LeaseFinding[] {
  const of = owners.map(({ name }) => name);
  const [owner] = owners;
  if (owners.length > 1) {
    return [{ kind: 'sharedSlot', offset, of, found: nameOf(holds), mending: null }];
  }
  const damage = damageOf(vg, holds);
  if (damage !== null) {
    const lvUuid = owner?.uuid ?? `unused-${offset}`;
    const thenFree = owner === undefined;
    const mending = { kind: 'rewrite', scope: 'lv', lvUuid, offset, thenFree } as const;
    return [{ ...damage, offset, of, mending }];
  }
  if (holds.kind !== 'lease') {
    if (owner === undefined) return [];
    const { uuid: lvUuid } = owner;
    const mending = isElsewhere(vg, lvUuid) ? null : ({ kind: 'take', lvUuid, offset } as const);
    return [{ kind: 'lvWithoutSlot', offset, of, found: holds.kind, mending }];
  }
  const { name } = holds;
  if (owner !== undefined) {
    if (name === owner.uuid) return [];
    return [{ kind: 'otherName', offset, of, found: name, mending: null }];
  }
  const lv = vg.lvs.find(({ uuid }) => uuid === name);
  // Where its own slot is sound, a second one is of no use.
  const isSpare = lv === undefined || hasOwnSlot(vg, lv);
  const mending = isSpare ? ({ kind: 'free', lvUuid: name, offset } as const) : null;
  const kind = lv === undefined ? 'slotWithoutLv' : 'secondSlot';
  return [{ kind, offset, of: [lv?.name ?? name], found: name, mending }];
}

function hasOwnSlot(vg: LeasesOfVg, { uuid, lockArgs }: LvOfMetadata): boolean {
  const offset = leaseOffsetOf(lockArgs);
  const own = vg.slots.find((slot) => slot.offset === offset);
  return own !== undefined && own.holds.kind === 'lease' && own.holds.name === uuid;
}

function isElsewhere(vg: LeasesOfVg, lvUuid: string): boolean {
  return vg.slots.some(({ holds }) => holds.kind === 'lease' && holds.name === lvUuid);
}

function nameOf(holds: SlotOnDevice['holds']): string {
  return holds.kind === 'lease' ? holds.name : holds.kind;
}

function damageOf(
  { lockspace }: LeasesOfVg,
  holds: SlotOnDevice['holds'],
): Pick<LeaseFinding, 'found' | 'kind'> | null {
  if (holds.kind === 'damaged') return { kind: 'damaged', found: `${holds.code}` };
  if (holds.kind !== 'lease' || holds.lockspace === lockspace) return null;
  return { kind: 'otherLockspace', found: holds.lockspace };
}
