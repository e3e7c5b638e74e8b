/**
 * Which host id a host can use, from the host leases of every lockspace that it is to join. The id
 * of another host is never taken, however long that host has been silent: it may come back, with
 * that id in its configuration. sanlock decides; what is chosen here is only asked for.
 */
export interface HostLeaseSeen {
  readonly hostId: number;
  /** As on the disk; empty where the id was never used. */
  readonly hostName: string;
  readonly generation: number;
  /** Of the last renewal, by the clock of its host; 0: it was never used, or left in order. */
  readonly timestampS: number;
  /** 0: not known. */
  readonly ioTimeoutS: number;
}

/** The host leases of one lockspace. */
export interface HostLeasesSeen {
  /** As a reader knows it: the VG. */
  readonly vg: string;
  readonly maxHosts: number;
  /** Of ids that were ever used. */
  readonly used: readonly HostLeaseSeen[];
  /** In the records of ids that were never used: what their first join goes by; 0: not known. */
  readonly unusedIoTimeoutS: number;
  /** Ids whose record cannot be read: nobody can join with them. */
  readonly damaged: readonly number[];
}

export interface HostIdWish {
  readonly areas: readonly HostLeasesSeen[];
  /** The name by which sanlock of this host joins; null: not known. */
  readonly ownName: string | null;
  /** `uname -n`: sanlock makes its name of it where none is configured. */
  readonly nodeName: string;
  /** In the configuration of this host already; null: none. */
  readonly configured: number | null;
  /** Asked for by the administrator; null: any. */
  readonly wanted: number | null;
  /** Ids that another host took while this one asked for them. */
  readonly lost: readonly number[];
}

export type HostIdReason = 'wanted' | 'configured' | 'ownName' | 'neverUsed' | 'leftInOrder';

export type HostIdChoice =
  | {
      readonly kind: 'chosen';
      readonly hostId: number;
      readonly reason: HostIdReason;
      /** Hosts that had it and left in order. */
      readonly formerly: readonly string[];
    }
  | { readonly kind: 'none'; readonly why: string };

/** Where no lockspace is there yet, ids are limited by lvm alone. */
const MAX_HOST_ID = 2000;

/** What an id is in one lockspace, for this host. */
type Standing = 'neverUsed' | 'ownName' | 'formerSelf' | 'leftInOrder' | 'taken' | 'impossible';

export function chooseHostId(wish: HostIdWish): HostIdChoice {
  const { wanted, configured, lost } = wish;
  if (wanted !== null) return orRefusal(wish, wanted, 'wanted');
  if (configured !== null && isUsable(wish, configured))
    return chosen(wish, configured, 'configured');
  const candidates: readonly (readonly [HostIdReason, number | undefined])[] = [
    ['ownName', ownIds(wish)[0]],
    ['neverUsed', firstOf(wish, (standings) => standings.every((one) => one === 'neverUsed'))],
    ['leftInOrder', firstOf(wish, () => true)],
  ];
  for (const [reason, id] of candidates) if (id !== undefined) return chosen(wish, id, reason);
  const places = wish.areas.map(({ vg, maxHosts }) => `${vg} (1 to ${maxHosts})`).join(', ');
  const tried = lost.length === 0 ? '' : `; ${lost.join(', ')} went to other hosts meanwhile`;
  return { kind: 'none', why: `no host id is free in all of ${places}${tried}` };
}

/** Why this host cannot have an id, in a sentence without its full stop; null: it can. */
function whyNotHostId(wish: HostIdWish, id: number): string | null {
  if (!Number.isInteger(id) || id < 1 || id > MAX_HOST_ID) {
    return `host id ${id} is none: they are 1 to ${MAX_HOST_ID}`;
  }
  if (wish.lost.includes(id)) return `another host took host id ${id} meanwhile`;
  for (const area of wish.areas) {
    if (id > area.maxHosts) return `VG ${area.vg} has host ids 1 to ${area.maxHosts} only`;
    if (area.damaged.includes(id))
      return `the host lease of host id ${id} is damaged in VG ${area.vg}`;
    const lease = leaseOf(area, id);
    if (lease !== undefined && standingOf(wish, area, id) === 'taken') {
      return `host id ${id} is that of host ${lease.hostName} in VG ${area.vg}, which has not left it`;
    }
  }
  return null;
}

function orRefusal(wish: HostIdWish, id: number, reason: HostIdReason): HostIdChoice {
  const why = whyNotHostId(wish, id);
  return why === null ? chosen(wish, id, reason) : { kind: 'none', why };
}

function isUsable(wish: HostIdWish, id: number): boolean {
  return whyNotHostId(wish, id) === null;
}

function chosen(wish: HostIdWish, hostId: number, reason: HostIdReason): HostIdChoice {
  const names = wish.areas
    .filter((area) => standingOf(wish, area, hostId) === 'leftInOrder')
    .map((area) => leaseOf(area, hostId)?.hostName ?? '');
  return { kind: 'chosen', hostId, reason, formerly: [...new Set(names)] };
}

/** Ids with a record of this host that can be used everywhere; those with most such records first. */
function ownIds(wish: HostIdWish): readonly number[] {
  const counts = new Map<number, number>();
  for (const area of wish.areas) {
    for (const { hostId } of area.used) {
      if (standingOf(wish, area, hostId) !== 'ownName') continue;
      counts.set(hostId, (counts.get(hostId) ?? 0) + 1);
    }
  }
  const byCount = [...counts].sort(([a, m], [b, n]) => n - m || a - b).map(([id]) => id);
  return byCount.filter((id) => isUsable(wish, id));
}

function firstOf(
  wish: HostIdWish,
  fits: (standings: readonly Standing[]) => boolean,
): number | undefined {
  const most = Math.min(MAX_HOST_ID, ...wish.areas.map(({ maxHosts }) => maxHosts));
  for (let id = 1; id <= most; id++) {
    const standings = wish.areas.map((area) => standingOf(wish, area, id));
    if (isUsable(wish, id) && fits(standings)) return id;
  }
  return undefined;
}

function leaseOf({ used }: HostLeasesSeen, id: number): HostLeaseSeen | undefined {
  return used.find(({ hostId }) => hostId === id);
}

function standingOf(wish: HostIdWish, area: HostLeasesSeen, id: number): Standing {
  if (id > area.maxHosts || area.damaged.includes(id)) return 'impossible';
  const lease = leaseOf(area, id);
  if (lease === undefined || (lease.hostName === '' && lease.timestampS === 0)) return 'neverUsed';
  if (wish.ownName !== null && lease.hostName === wish.ownName) return 'ownName';
  // With another uuid at each start: of this host if it has this id, and else of its clone.
  if (id === wish.configured && isGeneratedFor(lease.hostName, wish.nodeName)) return 'formerSelf';
  return lease.timestampS === 0 ? 'leftInOrder' : 'taken';
}

/** As sanlock makes a name where none is configured: a uuid, a dot, and the node's name, cut. */
export function isGeneratedFor(hostName: string, nodeName: string): boolean {
  const match = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.(.+)$/.exec(hostName);
  return match?.[1] !== undefined && nodeName.startsWith(match[1]);
}
