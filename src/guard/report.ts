import type { GuestState } from './guest-state.ts';
import type { DiskLease } from './lease-names.ts';
import type { Holdings } from './lease-steps.ts';
import type { GuardState } from './state.ts';

/** What the guard says of itself, as JSON on its socket: for people, nothing is decided by it. */
export interface GuardReport {
  readonly hostId: number;
  readonly leaseDir: string;
  /** 0: this host is in the lockspace; else why not, as sanlock answers; null: not asked yet. */
  readonly lockspaceCode: number | null;
  readonly guests: readonly GuestReport[];
}

export interface GuestReport {
  readonly uuid: string;
  readonly name: string;
  readonly keeperPid: number | null;
  readonly qemuPid: number | null;
  /** null: libvirt has not said it yet. */
  readonly isRunning: boolean | null;
  readonly migration: 'out' | 'in' | null;
  /** The hook that waits: 'start', 'incoming', 'reconnect'. */
  readonly waitsFor: string | null;
  readonly leases: readonly LeaseReport[];
}

export interface LeaseReport extends DiskLease {
  /** 'orphan': its keeper was killed; nobody else gets it. null: it does not have it. */
  readonly held: HoldingsValue | 'orphan' | null;
}

type HoldingsValue = Holdings extends ReadonlyMap<string, infer V> ? V : never;

/** Of all guests that the guard knows of. */
export function guestReports(
  { guests }: GuardState,
  keeperPid: (uuid: string) => number | null,
): readonly GuestReport[] {
  return [...guests.values()].map(({ uuid, name, qemuPid, guest }) => ({
    ...{ uuid, name, qemuPid, keeperPid: keeperPid(uuid) },
    isRunning: guest.status?.isRunning ?? null,
    migration: guest.status?.migration ?? null,
    waitsFor: guest.demand?.kind ?? null,
    leases: guest.leases.map((lease) => ({ ...lease, held: heldOf(guest, lease.name) })),
  }));
}

/** The name of the guest whose keeper had a lease, and has ended; null: of none. */
export function orphanedBy({ guests }: GuardState, leaseName: string): string | null {
  const found = [...guests.values()].find(({ guest }) => guest.orphans.has(leaseName));
  return found?.name ?? null;
}

function heldOf({ holdings, orphans }: GuestState, name: string): LeaseReport['held'] {
  return holdings.get(name) ?? (orphans.has(name) ? 'orphan' : null);
}
