import { SECOND_MS } from '../base/units.ts';
import { leaseTimes, WATCHDOG_FIRE_MS } from '../lease/lease-times.ts';
import type { LockspaceSeen, MemberSeen, Snapshot, VgSeen } from './snapshot/snapshot.ts';

/**
 * What would happen, to whom and when, if a host or a disk died now. Times are seconds from now, by
 * the last renewals: a host that renews once more before it dies moves all of them.
 */
export interface Rehearsal {
  readonly spaces: readonly SpaceRehearsal[];
  /** Sentences: what could not be told. */
  readonly notes: readonly string[];
}

/** In one lockspace, to one host. */
export interface SpaceRehearsal {
  readonly lockspace: string;
  /** null: it is of no VG. */
  readonly vg: string | null;
  readonly hostId: number;
  readonly hostName: string;
  readonly isThisHost: boolean;
  /** Since its last renewal, as it is known here; null: not known. */
  readonly ageS: number | null;
  readonly holds: readonly LeaseOf[];
  /** Hosts that are alive there beside it: they notice, and may take what it held. */
  readonly witnesses: readonly string[];
  readonly moments: readonly Moment[];
}

export interface LeaseOf {
  /** `vg/lv`, or the name of the lease. */
  readonly name: string;
  readonly mode: 'ex' | 'sh';
  /** Processes of this host; empty: none is known. */
  readonly users: readonly string[];
}

export type MomentKind =
  | 'dies'
  | 'ioFails'
  | 'warned'
  | 'expires'
  | 'killed'
  | 'reset'
  | 'seenSilent'
  | 'takeable';

/** Between the two: at the first moment not before `fromS`. */
export interface Moment {
  readonly kind: MomentKind;
  readonly fromS: number;
  /** null: it may come later. */
  readonly toS: number | null;
}

/** By the name of a lease, `vg/lv`: the processes of this host that use it. */
export type UsersOf = ReadonlyMap<string, readonly string[]>;

/** Of the original, and of ours where sanlock.conf says nothing else (kill_grace_seconds). */
const KILL_GRACE_S = 40;

/**
 * @param wanted a host id, or the name of a host, whole or up to its first dot
 * @returns no spaces: no lockspace here has such a host
 */
export function rehearseHost(snapshot: Snapshot, wanted: string, users: UsersOf): Rehearsal {
  const spaces = snapshot.lockspaces.flatMap((space) =>
    space.members
      .filter((member) => isMeant(member, wanted) && member.state !== 'free')
      .map((member) => hostIn(snapshot, space, { member, users, how: 'dies' })),
  );
  const ofOthers = spaces.filter((space) => space.vg === null && !space.isThisHost);
  const notes = ofOthers.map(
    ({ lockspace }) => `what that host holds in ${lockspace} cannot be listed from here`,
  );
  return { spaces, notes };
}

/** The disk, or the way of this host to it. */
export interface LunFacts {
  readonly path: string;
  /** Of VGs whose leases are on it. */
  readonly lockspaces: readonly string[];
  /** `vg/lv`, with a piece on it. */
  readonly lvs: readonly string[];
}

/** To this host; what happens to the others goes by their own renewals. */
export function rehearseLun(snapshot: Snapshot, lun: LunFacts, users: UsersOf): Rehearsal {
  const hit = snapshot.lockspaces.filter(
    ({ name, path }) => lun.lockspaces.includes(name) || path === lun.path,
  );
  const spaces = hit.flatMap((space) =>
    space.members
      .filter(({ isThisHost, state }) => isThisHost || state === 'live')
      .map((member) => hostIn(snapshot, space, { member, users, how: 'loses' })),
  );
  const vgs = new Set(spaces.map(({ vg }) => vg));
  const without = lun.lvs.filter((lv) => !vgs.has(lv.split('/')[0] ?? ''));
  const notes = without.map((lv) => {
    const by = users.get(lv) ?? [];
    const who = by.length === 0 ? '' : ` (${by.join(', ')})`;
    return `users of ${lv}${who} get I/O errors, and its lease stays: the leases are on another disk`;
  });
  if (spaces.some(({ isThisHost }) => isThisHost) && snapshot.watchdog.state !== 'on') {
    notes.push(
      'no watchdog is known to reset this host: a process that does not end writes on, beside the ' +
        'next holder of its lease',
    );
  }
  return { spaces, notes };
}

function isMeant({ hostId, name }: MemberSeen, wanted: string): boolean {
  return `${hostId}` === wanted || name === wanted || name?.split('.')[0] === wanted;
}

interface Whose {
  readonly member: MemberSeen;
  readonly users: UsersOf;
  readonly how: 'dies' | 'loses';
}

function hostIn(snapshot: Snapshot, space: LockspaceSeen, of: Whose): SpaceRehearsal {
  const { member, users } = of;
  const vg = snapshot.vgs.find(({ lockspace }) => lockspace === space.name) ?? null;
  const holds = member.isThisHost
    ? heldHere(space, vg, { users, lvmlockdPid: pidOf(snapshot) })
    : heldThere(vg, member);
  const witnesses = space.members
    .filter(({ hostId, state }) => hostId !== member.hostId && state === 'live')
    .map(nameOf);
  const ageS = member.isThisHost ? space.ageS : member.ageS;
  const hasWatchdog = member.isThisHost ? snapshot.watchdog.state === 'on' : true;
  const facts = { ageS, hasWatchdog, isDead: member.state === 'dead' };
  const ioTimeoutS = member.ioTimeoutS > 0 ? member.ioTimeoutS : space.ioTimeoutS;
  return {
    ...{ lockspace: space.name, vg: vg?.name ?? null, hostId: member.hostId },
    ...{ hostName: nameOf(member), isThisHost: member.isThisHost, ageS, holds, witnesses },
    moments:
      of.how === 'dies' ? momentsOfDeath(ioTimeoutS, facts) : momentsOfLoss(ioTimeoutS, facts),
  };
}

function nameOf({ name, hostId }: MemberSeen): string {
  return name ?? `host id ${hostId}`;
}

/** Of lvmlockd, which holds the leases of LVs for those who use them; 0: not known. */
function pidOf({ daemons }: Snapshot): number {
  return daemons.find(({ name }) => name === 'lvmlockd')?.pid ?? 0;
}

function heldHere(
  space: LockspaceSeen,
  vg: VgSeen | null,
  { users, lvmlockdPid }: { readonly users: UsersOf; readonly lvmlockdPid: number },
): readonly LeaseOf[] {
  return space.leases
    .filter(({ isHeld }) => isHeld)
    .map(({ name: lease, isShared, pid, command }) => {
      const lv = vg?.lvs.find(({ uuid }) => uuid === lease);
      const name = lv === undefined || vg === null ? lease : `${vg.name}/${lv.name}`;
      const holder =
        pid === null || pid === lvmlockdPid || command === 'lvmlockd'
          ? []
          : [`${command ?? 'process'} (${pid})`];
      return { name, mode: isShared ? 'sh' : 'ex', users: users.get(name) ?? holder };
    });
}

function heldThere(vg: VgSeen | null, { hostId, generation }: MemberSeen): readonly LeaseOf[] {
  return (vg?.lvs ?? []).flatMap(({ name, holders }) =>
    (holders ?? [])
      .filter((one) => one.hostId === hostId && one.generation === generation)
      .map(({ mode }) => ({ name: `${vg?.name}/${name}`, mode, users: [] })),
  );
}

interface TimeFacts {
  readonly ageS: number | null;
  readonly hasWatchdog: boolean;
  readonly isDead: boolean;
}

interface Times {
  readonly at: (sinceRenewalMs: number) => number;
  readonly t: ReturnType<typeof leaseTimes>;
}

/**
 * Where the age is not known, the earliest moments: a host that is alive has renewed at most so
 * long ago.
 */
function timesOf(ioTimeoutS: number, ageS: number | null): Times {
  const t = leaseTimes(ioTimeoutS);
  const elapsedS = ageS ?? t.ownNameWatchMs / SECOND_MS;
  return { t, at: (sinceMs) => Math.max(0, Math.round(sinceMs / SECOND_MS - elapsedS)) };
}

/** Its processes are gone with it, so nobody has to be stopped. */
function momentsOfDeath(ioTimeoutS: number, { ageS, isDead }: TimeFacts): readonly Moment[] {
  if (isDead) return [{ kind: 'takeable', fromS: 0, toS: null }];
  const { at, t } = timesOf(ioTimeoutS, ageS);
  return [
    { kind: 'dies', fromS: 0, toS: 0 },
    { kind: 'seenSilent', fromS: at(t.renewalFailMs), toS: null },
    { kind: 'takeable', fromS: at(t.hostDeadMs), toS: null },
  ];
}

/**
 *   T+0 I/O fails … 8·t since the renewal: users are stopped, gently … + grace: SIGKILL …
 *   8·t + 60: the watchdog has reset the host, unless all of them ended; others may take the leases
 */
function momentsOfLoss(ioTimeoutS: number, { ageS, hasWatchdog }: TimeFacts): readonly Moment[] {
  const { at, t } = timesOf(ioTimeoutS, ageS);
  const expiresS = at(t.renewalFailMs);
  const resetS = at(t.renewalFailMs + WATCHDOG_FIRE_MS);
  const reset: readonly Moment[] = hasWatchdog
    ? [{ kind: 'reset', fromS: expiresS, toS: resetS }]
    : [];
  return [
    { kind: 'ioFails', fromS: 0, toS: 0 },
    { kind: 'warned', fromS: at(t.renewalWarnMs), toS: null },
    { kind: 'expires', fromS: expiresS, toS: null },
    ...reset,
    { kind: 'killed', fromS: at(t.renewalFailMs + KILL_GRACE_S * SECOND_MS), toS: null },
    { kind: 'takeable', fromS: at(t.hostDeadMs), toS: null },
  ];
}
