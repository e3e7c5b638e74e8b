/**
 * What the server sends to the page, over `/live`: one `Look` for each look at the host, the first
 * with everything (`isWhole`). All texts are made fit for a page (`base/plain-text`) and bounded.
 */

/** Of a host of a lockspace; see `MemberState` of inspect/snapshot/snapshot. */
export type HostState = 'live' | 'fail' | 'dead' | 'free' | 'unknown';

/** A part of a sentence: `name` is foreign, and set apart from the words around it. */
export type Part = string | { readonly name: string };

export interface Look {
  readonly isWhole: boolean;
  readonly head: Head;
  readonly members: Changed<MemberRow>;
  readonly leases: Changed<LeaseRow>;
  /** New ones, oldest first. */
  readonly events: readonly EventRow[];
  /** New renewals of each lockspace, by its key, oldest first. */
  readonly renewals: Readonly<Record<string, readonly RenewalPoint[]>>;
}

/** Rows of a table that are new or other than before, and the keys of those that are gone. */
export interface Changed<Row extends { readonly key: string }> {
  readonly set: readonly Row[];
  readonly drop: readonly string[];
}

/** Everything but the two long tables. */
export interface Head {
  /** Hosts that this server looks at, and which of them this is. */
  readonly views: readonly string[];
  readonly view: number;
  readonly host: { readonly name: string; readonly hostId: number | null };
  readonly version: string;
  readonly wallMs: number;
  /** CLOCK_MONOTONIC of the host, as `renewedS` of the rows. */
  readonly monotonicS: number;
  /** How long the look took. */
  readonly tookMs: number;
  readonly everyS: number;
  /** null: the last look succeeded; else why it did not, and everything is as it was before. */
  readonly failure: string | null;
  readonly daemons: readonly DaemonRow[];
  readonly watchdog: { readonly state: 'on' | 'off' | 'unknown'; readonly text: string };
  readonly lockspaces: readonly LockspaceRow[];
  readonly vgs: readonly VgRow[];
  readonly attention: readonly Attention[];
  readonly counts: { readonly hosts: number; readonly leases: number; readonly held: number };
  /** Rows beyond the limit, which are in no table. */
  readonly leftOut: { readonly members: number; readonly leases: number };
}

export interface Attention {
  readonly level: 'error' | 'warn';
  /** What is so, and what to do: two sentences without their full stops. */
  readonly found: string;
  readonly todo: string;
}

export interface DaemonRow {
  readonly name: string;
  readonly state: 'running' | 'silent' | 'absent';
  readonly maker: 'holdfast' | 'original';
  readonly version: string;
  readonly pid: number;
}

export interface LockspaceRow {
  readonly key: string;
  readonly name: string;
  readonly path: string;
  readonly phase: 'joined' | 'joining' | 'leaving' | 'failing';
  readonly hostId: number;
  readonly generation: string;
  readonly ioTimeoutS: number;
  readonly failS: number;
  /** When the last renewal began. */
  readonly renewedS: number;
  readonly states: Readonly<Record<HostState, number>>;
  readonly heldHere: number;
}

export interface VgRow {
  readonly key: string;
  readonly name: string;
  readonly lockType: string;
  readonly lockspace: string | null;
  readonly isStarted: boolean;
  readonly trouble: string | null;
  readonly hasGlobalLock: boolean | null;
  readonly lvCount: number;
}

export interface MemberRow {
  readonly key: string;
  /** Key of its lockspace. */
  readonly lockspace: string;
  readonly hostId: number;
  readonly generation: number;
  readonly name: string | null;
  readonly state: HostState;
  readonly isThisHost: boolean;
  /** null: not known. */
  readonly renewedS: number | null;
  /** After so long without a renewal its leases may be taken: 8·t + 60 s. */
  readonly deadS: number;
}

export interface LeaseRow {
  readonly key: string;
  /** `vg/lv`, `vg`, or the name of the lease. */
  readonly name: string;
  readonly kind: 'lv' | 'vg' | 'lease';
  /** Name of the lockspace; null: it has none (yet). */
  readonly lockspace: string | null;
  /** null: its lease was not read. */
  readonly holders: readonly HolderRow[] | null;
  readonly isActiveHere: boolean | null;
  /** Processes of this host that hold it. */
  readonly users: readonly { readonly pid: number | null; readonly command: string }[];
  readonly trouble: string | null;
}

export interface HolderRow {
  readonly hostId: number;
  readonly hostName: string | null;
  readonly mode: 'ex' | 'sh';
  readonly state: HostState | 'left';
  readonly isThisHost: boolean;
}

export interface EventRow {
  /** Counts up; the page keeps the newest of them. */
  readonly number: number;
  readonly wallMs: number;
  readonly level: 'error' | 'warn' | 'info';
  readonly kind: string;
  readonly parts: readonly Part[];
}

/** [when it began (monotonic s), the lowest margin before it (s), how long it took (ms)] */
export type RenewalPoint = readonly [number, number | null, number];

/** Newest events and renewals that the server keeps, and so the page. */
export const EVENTS_KEPT = 1000;
export const RENEWALS_KEPT = 4320;
