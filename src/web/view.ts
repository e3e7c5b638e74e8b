import { shown } from '../base/plain-text.ts';
import { SECOND_MS } from '../base/units.ts';
import type {
  HeldLease,
  LeaseHolder,
  LockspaceSeen,
  LvSeen,
  MemberSeen,
  Snapshot,
  VgSeen,
  WatchdogSeen,
} from '../inspect/snapshot/snapshot.ts';
import { isLoss } from '../inspect/snapshot/snapshot-changes.ts';
import { leaseTimes } from '../lease/lease-times.ts';
import type {
  DaemonRow,
  HolderRow,
  HostState,
  LeaseRow,
  LockspaceRow,
  MemberRow,
  VgRow,
} from './model.ts';

/** Rows beyond these are counted and not shown: 2,000 hosts in ten lockspaces, twice lvm's LVs. */
export const MAX_MEMBERS = 20_000;
export const MAX_LEASES = 20_000;
const MAX_LOCKSPACES = 100;
const MAX_VGS = 1000;
/** Longer than any name of lvm (127) or sanlock (48). */
const MAX_NAME = 160;
const MAX_USERS = 8;
/** Behind it, as of the names of lvm, only the lease of a VG or the global lock can stand. */
const VG_LEASE = 'VGLK';
const GLOBAL_LEASE = 'GLLK';

/** The tables of a snapshot, as the page shows them. */
export interface View {
  readonly daemons: readonly DaemonRow[];
  readonly watchdog: { readonly state: WatchdogSeen['state']; readonly text: string };
  readonly lockspaces: readonly LockspaceRow[];
  readonly vgs: readonly VgRow[];
  readonly members: readonly MemberRow[];
  readonly leases: readonly LeaseRow[];
  readonly leftOut: { readonly members: number; readonly leases: number };
}

/** What came from a disk or another machine, fit for a page. */
export function fit(text: string, mostCharacters = MAX_NAME): string {
  return shown(text, mostCharacters);
}

export function viewOf(snapshot: Snapshot): View {
  const lockspaces = snapshot.lockspaces.slice(0, MAX_LOCKSPACES);
  const vgs = snapshot.vgs.slice(0, MAX_VGS);
  const members = lockspaces.flatMap((lockspace) => memberRows(lockspace, snapshot));
  const leases = leaseRows(lockspaces, vgs);
  return {
    daemons: snapshot.daemons.map((daemon) => ({
      name: daemon.name,
      state: daemon.state,
      maker: daemon.isOriginal ? 'original' : 'holdfast',
      version: fit(daemon.version ?? ''),
      pid: daemon.pid,
    })),
    watchdog: { state: snapshot.watchdog.state, text: watchdogText(snapshot.watchdog) },
    lockspaces: lockspaces.map((lockspace) => lockspaceRow(lockspace, snapshot)),
    vgs: vgs.map(vgRow),
    members: members.slice(0, MAX_MEMBERS),
    leases: leases.slice(0, MAX_LEASES),
    leftOut: {
      members: Math.max(0, members.length - MAX_MEMBERS),
      leases: Math.max(0, leases.length - MAX_LEASES),
    },
  };
}

const WATCHDOG_TEXTS: Readonly<Record<string, string>> = {
  wdmdAbsent: 'wdmd does not run',
  wdmdSilent: 'wdmd does not answer',
  notUsed: 'sanlock was started without it (-w 0)',
  sanlockAbsent: 'sanlock does not run',
  sanlockSilent: 'sanlock does not answer',
};

function watchdogText(watchdog: WatchdogSeen): string {
  if (watchdog.state !== 'on') return WATCHDOG_TEXTS[watchdog.why] ?? '';
  const { length } = watchdog.clients;
  return length === 1 ? '1 client holds it' : `${length} clients hold it`;
}

function lockspaceRow(lockspace: LockspaceSeen, { taken }: Snapshot): LockspaceRow {
  const states: Record<HostState, number> = { live: 0, fail: 0, dead: 0, free: 0, unknown: 0 };
  for (const { state } of lockspace.members) states[state] += 1;
  return {
    key: lockspace.name,
    name: fit(lockspace.name),
    path: fit(lockspace.path),
    phase: lockspace.phase,
    hostId: lockspace.hostId,
    generation: fit(lockspace.generation),
    ioTimeoutS: lockspace.ioTimeoutS,
    failS: lockspace.failS,
    renewedS: taken.monotonicS - lockspace.ageS,
    states,
    heldHere: lockspace.leases.filter(({ isHeld }) => isHeld).length,
  };
}

function vgRow(vg: VgSeen): VgRow {
  return {
    key: vg.uuid,
    name: fit(vg.name),
    lockType: fit(vg.lockType),
    lockspace: vg.lockspace === null ? null : fit(vg.lockspace),
    isStarted: vg.isStarted,
    trouble: vg.trouble,
    hasGlobalLock: vg.hasGlobalLock,
    lvCount: vg.lvs.length,
  };
}

function memberRows(lockspace: LockspaceSeen, { taken }: Snapshot): readonly MemberRow[] {
  const row = (member: MemberSeen): MemberRow => ({
    key: `${lockspace.name}\0${member.hostId}`,
    lockspace: lockspace.name,
    hostId: member.hostId,
    generation: member.generation,
    name: member.name === null ? null : fit(member.name),
    state: member.state,
    isThisHost: member.isThisHost,
    // A whole second: a look that began a moment later does not change all rows.
    renewedS: member.ageS === null ? null : Math.round(taken.monotonicS - member.ageS),
    deadS: leaseTimes(member.ioTimeoutS).hostDeadMs / SECOND_MS,
  });
  return lockspace.members.map(row);
}

function leaseRows(
  lockspaces: readonly LockspaceSeen[],
  vgs: readonly VgSeen[],
): readonly LeaseRow[] {
  const held = new Map<string, HeldLease[]>();
  const owns = new Map<string, Own>();
  for (const lockspace of lockspaces) {
    owns.set(lockspace.name, ownIn(lockspace));
    for (const lease of lockspace.leases) {
      const key = `${lockspace.name}\0${lease.name}`;
      held.set(key, [...(held.get(key) ?? []), lease]);
    }
  }
  const own = (vg: VgSeen) => (owns.get(vg.lockspace ?? '') ?? NOBODY).hostId;
  const taken = new Set<string>();
  const rows = vgs.flatMap((vg) => [
    vgLeaseRow(vg, own(vg), usersIn(held, taken, `${vg.lockspace}\0${VG_LEASE}`)),
    ...vg.lvs
      .filter(({ lockArgs }) => lockArgs !== '')
      .map((lv) => {
        const users = usersIn(held, taken, `${vg.lockspace}\0${lv.uuid}`);
        return lvLeaseRow({ vg, lv, own: own(vg), users });
      }),
  ]);
  const others = [...held].filter(([key]) => !taken.has(key));
  return [...rows, ...others.map(([key, leases]) => otherRow(key, leases, owns))];
}

/** This host, in a lockspace. */
interface Own {
  readonly hostId: number;
  readonly hostName: string | null;
}

const NOBODY: Own = { hostId: 0, hostName: null };

function ownIn({ hostId, members }: LockspaceSeen): Own {
  const hostName = members.find(({ isThisHost }) => isThisHost)?.name ?? null;
  return { hostId, hostName: hostName === null ? null : fit(hostName) };
}

function usersIn(
  held: ReadonlyMap<string, readonly HeldLease[]>,
  taken: Set<string>,
  key: string,
): LeaseRow['users'] {
  taken.add(key);
  return usersOf(held.get(key) ?? []);
}

function usersOf(leases: readonly HeldLease[]): LeaseRow['users'] {
  return leases
    .slice(0, MAX_USERS)
    .map(({ pid, command }) => ({ pid, command: pid === null ? 'orphan' : fit(command ?? '') }));
}

function vgLeaseRow(vg: VgSeen, own: number, users: LeaseRow['users']): LeaseRow {
  return {
    key: `vg\0${vg.uuid}`,
    name: fit(vg.name),
    kind: 'vg',
    lockspace: vg.lockspace === null ? null : fit(vg.lockspace),
    holders: holderRows(vg.holders, own),
    isActiveHere: null,
    users,
    trouble: vg.trouble !== null && isLoss(vg.trouble) ? vg.trouble : null,
  };
}

function lvLeaseRow(of: {
  readonly vg: VgSeen;
  readonly lv: LvSeen;
  readonly own: number;
  readonly users: LeaseRow['users'];
}): LeaseRow {
  const { vg, lv, own, users } = of;
  return {
    key: `lv\0${vg.uuid}\0${lv.uuid}`,
    name: fit(`${vg.name}/${lv.name}`),
    kind: 'lv',
    lockspace: vg.lockspace === null ? null : fit(vg.lockspace),
    holders: holderRows(lv.holders, own),
    isActiveHere: lv.isActiveHere,
    users,
    trouble: lv.trouble,
  };
}

/** Of a program that is not lvmlockd: a guest, or a client of the library. */
function otherRow(
  key: string,
  leases: readonly HeldLease[],
  owns: ReadonlyMap<string, Own>,
): LeaseRow {
  const [lockspace = '', name = ''] = key.split('\0');
  const { hostId, hostName } = owns.get(lockspace) ?? NOBODY;
  const mode = leases.every(({ isShared }) => isShared) ? 'sh' : 'ex';
  return {
    key: `lease\0${key}`,
    name: name === GLOBAL_LEASE ? `${fit(lockspace)} global lock` : fit(name),
    kind: 'lease',
    lockspace: fit(lockspace),
    holders: leases.some(({ isHeld }) => isHeld)
      ? [{ hostId, hostName, mode, state: 'live', isThisHost: true }]
      : null,
    isActiveHere: null,
    users: usersOf(leases),
    trouble: null,
  };
}

function holderRows(holders: readonly LeaseHolder[] | null, own: number): LeaseRow['holders'] {
  if (holders === null) return null;
  const row = (holder: LeaseHolder): HolderRow => ({
    hostId: holder.hostId,
    hostName: holder.hostName === null ? null : fit(holder.hostName),
    mode: holder.mode,
    state: holder.state,
    isThisHost: holder.hostId === own,
  });
  return holders.map(row);
}
