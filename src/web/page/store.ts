import {
  type Changed,
  EVENTS_KEPT,
  type EventRow,
  type Head,
  type LeaseRow,
  type Look,
  type MemberRow,
  RENEWALS_KEPT,
  type RenewalPoint,
} from '../model.ts';

/** What the page knows of the host: all that the server sent, put together. */
export class Store {
  head: Head | null = null;
  readonly members = new Map<string, MemberRow>();
  readonly leases = new Map<string, LeaseRow>();
  /** Oldest first. */
  events: readonly EventRow[] = [];
  readonly renewals = new Map<string, readonly RenewalPoint[]>();
  /** One more at each look: what is made of this is made again. */
  version = 0;
  /** By the clock of the browser. */
  #cameMs = 0;

  apply(look: Look): void {
    if (look.isWhole) {
      this.members.clear();
      this.leases.clear();
      this.renewals.clear();
      this.events = [];
    }
    // A look that failed is no newer than the one before.
    const isNewer = this.head === null || look.head.monotonicS !== this.head.monotonicS;
    if (look.isWhole || isNewer) this.#cameMs = performance.now();
    this.head = look.head;
    change(this.members, look.members);
    change(this.leases, look.leases);
    this.events = [...this.events, ...look.events].slice(-EVENTS_KEPT);
    for (const [key, points] of Object.entries(look.renewals)) {
      const all = [...(this.renewals.get(key) ?? []), ...points];
      this.renewals.set(key, all.slice(-RENEWALS_KEPT));
    }
    this.version += 1;
  }

  /** Seconds since the last look. */
  agoS(): number {
    return (performance.now() - this.#cameMs) / 1000;
  }

  /** CLOCK_MONOTONIC of the host now, as far as the page can tell. */
  nowS(): number {
    return (this.head?.monotonicS ?? 0) + this.agoS();
  }

  /** Seconds since 1970 of a moment of the host's monotonic clock. */
  wallS(monotonicS: number): number {
    if (this.head === null) return monotonicS;
    return this.head.wallMs / 1000 - (this.head.monotonicS - monotonicS);
  }
}

function change<Row extends { readonly key: string }>(
  rows: Map<string, Row>,
  { set, drop }: Changed<Row>,
): void {
  for (const key of drop) rows.delete(key);
  for (const row of set) rows.set(row.key, row);
}
