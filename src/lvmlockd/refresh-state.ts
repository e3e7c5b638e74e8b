import type { ByteString } from '../base/bytes.ts';

/** What lvmlockd knows, for one VG, about sizes of LVs that hosts share, and mappings left behind. */

export interface RefreshState {
  /** The last notice of each host, by its id: each is heard several times. */
  readonly heard: Map<number, { readonly generation: number; readonly order: number }>;
  /** What other hosts told, and is not refreshed yet; '' is any LV of the VG. */
  readonly wanted: Set<ByteString>;
  readonly telling: Telling;
  /** When the VG is inspected next; null: an inspection is under way, or none is wanted. */
  inspectMs: number | null;
  isInspecting: boolean;
  /** Inspections in a row that did not do all they had to. */
  failures: number;
  /** When the metadata was compared last, and with which suspects (vg-inspection.ts). */
  comparedMs: number | null;
  comparedWith: ByteString;
  /** Bytes by the LV's uuid: of the LVs that this host shares, as it saw them last. */
  sizes: ReadonlyMap<ByteString, number>;
  findings: readonly Finding[];
}

export interface Telling {
  /** Of the last notice; the next one has a higher number. */
  order: number;
  /** What other hosts are shown; null: nothing. */
  shown: { readonly lvMark: ByteString; readonly untilMs: number } | null;
  /** Somebody else is telling them something: ours is told later, as '' for the whole VG. */
  due: { readonly atMs: number; readonly untilMs: number } | null;
}

/** Something about an LV of this host that an administrator has to know. */
export interface Finding {
  readonly kind: FindingKind;
  /** Without dashes. */
  readonly lvUuid: ByteString;
  /** As device-mapper names it. */
  readonly device: ByteString;
}

/**
 * `activeUnlocked`: an LV that has a lease is active here, and this host does not hold its lock.
 * `ghost`: a mapping of an LV that the VG has no more, and that is used, or locked here; what is
 * written to it may land in another LV. `otherSize`: its size here is not that of the metadata.
 */
export type FindingKind = 'activeUnlocked' | 'ghost' | 'otherSize';

export function newRefreshState(): RefreshState {
  return {
    heard: new Map(),
    wanted: new Set(),
    telling: { order: 0, shown: null, due: null },
    inspectMs: null,
    isInspecting: false,
    failures: 0,
    comparedMs: null,
    comparedWith: '',
    sizes: new Map(),
    findings: [],
  };
}
