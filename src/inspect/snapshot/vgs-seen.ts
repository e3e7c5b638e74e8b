import type { ReportedLv } from './lvm-report.ts';
import type { StartedVg } from './lvmlockd-seen.ts';
import type {
  LeaseHolder,
  LockspaceSeen,
  LvSeen,
  MemberSeen,
  MemberState,
  VgSeen,
} from './snapshot.ts';

/** What a lease on the disk shows: hosts by their numbers alone. */
export interface DiskHolder {
  readonly hostId: number;
  readonly generation: number;
  readonly mode: 'ex' | 'sh';
}

/** What the shared VGs of a host are put together from. */
export interface VgSources {
  /** null: lvm was not asked, or did not answer. */
  readonly reported: readonly ReportedLv[] | null;
  /** null: lvmlockd does not run, or did not answer. */
  readonly started: readonly StartedVg[] | null;
  readonly lockspaces: readonly LockspaceSeen[];
  /** By `leaseKey`; absent: that lease was not read. */
  readonly leases: ReadonlyMap<string, readonly DiskHolder[]>;
  /** The name of the lockspace that lvmlockd gives a VG. */
  readonly spaceNameOf: (vgName: string) => string;
}

/** Of the VG lock with an empty UUID. */
export function leaseKey(vgName: string, lvUuid: string): string {
  return `${vgName}/${lvUuid}`;
}

/** Every VG that lvm or lvmlockd knows, by name. */
export function vgsSeen(sources: VgSources): readonly VgSeen[] {
  const { reported, started } = sources;
  const names = new Set([
    ...(reported ?? []).map(({ vgName }) => vgName),
    ...(started ?? []).map(({ name }) => name),
  ]);
  return [...names].sort().map((name) => vgSeen(name, sources));
}

function vgSeen(name: string, sources: VgSources): VgSeen {
  const lvs = (sources.reported ?? []).filter(({ vgName }) => vgName === name);
  const vg = sources.started?.find((one) => one.name === name) ?? null;
  const [first] = lvs;
  const lockType = first?.vgLockType ?? vg?.lockType ?? '';
  const lockspace = lockType === 'sanlock' ? sources.spaceNameOf(name) : null;
  const members = sources.lockspaces.find((space) => space.name === lockspace)?.members ?? [];
  const holdersOf = (uuid: string) => {
    const found = sources.leases.get(leaseKey(name, uuid));
    return found === undefined ? null : found.map((holder) => leaseHolder(holder, members));
  };
  return {
    name,
    uuid: first?.vgUuid ?? vg?.uuid ?? '',
    lockType,
    lockArgs: first?.vgLockArgs ?? vg?.lockArgs ?? '',
    lockspace,
    isStarted: vg?.isJoined ?? false,
    trouble: vg?.trouble ?? null,
    hasGlobalLock: lockType === 'sanlock' && vg?.isJoined ? vg.hasGlobalLock : null,
    holders: holdersOf(''),
    lvs: lvsOf(lvs, vg, holdersOf),
  };
}

function lvsOf(
  reported: readonly ReportedLv[],
  vg: StartedVg | null,
  holdersOf: (uuid: string) => readonly LeaseHolder[] | null,
): readonly LvSeen[] {
  const named = reported
    .filter(({ isHidden, lockArgs }) => !isHidden || lockArgs !== '')
    .map(({ name, uuid, lockArgs, isActive }) => ({ name, uuid, lockArgs, isActive }));
  // What lvmlockd has of LVs that lvm did not report is shown by UUID, as lvmlockctl does.
  const known = new Set(named.map(({ uuid }) => uuid));
  const others = [...(vg?.lvLocks.keys() ?? []), ...(vg?.lvTroubles.keys() ?? [])];
  const unnamed = [...new Set(others)]
    .filter((uuid) => !known.has(uuid))
    .map((uuid) => ({ name: '', uuid, lockArgs: '', isActive: null }));
  return [...named, ...unnamed].map(({ name, uuid, lockArgs, isActive }) => {
    const lockHere = vg?.lvLocks.get(uuid) ?? null;
    const trouble = vg?.lvTroubles.get(uuid) ?? null;
    // lvmlockd looks once a minute, and says until then what it saw.
    const isOver = trouble === 'activeUnlocked' && (lockHere !== null || isActive === false);
    return {
      ...{ name, uuid, lockArgs, isActiveHere: isActive, lockHere },
      trouble: isOver ? null : trouble,
      holders: holdersOf(uuid),
    };
  });
}

/** A holder on the disk is one now only as a member of the lockspace in that generation. */
export function leaseHolder(holder: DiskHolder, members: readonly MemberSeen[]): LeaseHolder {
  const member = members.find(({ hostId }) => hostId === holder.hostId);
  return { ...holder, hostName: nameOf(holder, member), state: stateOf(holder, member) };
}

function stateOf(holder: DiskHolder, member: MemberSeen | undefined): MemberState | 'left' {
  if (member === undefined) return 'unknown';
  if (member.generation > holder.generation || member.state === 'free') return 'left';
  return member.state;
}

/** The name is that of the generation that was seen. */
function nameOf(holder: DiskHolder, member: MemberSeen | undefined): string | null {
  return member?.generation === holder.generation ? member.name : null;
}
