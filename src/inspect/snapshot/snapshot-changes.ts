import type { DaemonName } from '../restart/host-facts.ts';
import type {
  LeaseHolder,
  LockspaceSeen,
  LvSeen,
  MemberSeen,
  Snapshot,
  VgSeen,
  VgTrouble,
} from './snapshot.ts';

/** More than these of one look are counted, not listed: 2,000 hosts may start at once. */
export const MAX_CHANGES = 200;

/** A host of a lockspace, in one of its incarnations. */
export interface HostNamed {
  readonly hostId: number;
  readonly generation: number;
  /** null: not known. */
  readonly hostName: string | null;
}

/** What happened between two looks at a host. Names are as found, see `Snapshot`. */
export type Change =
  | { readonly kind: 'daemonStarted' | 'daemonReplaced'; readonly daemon: DaemonName }
  | { readonly kind: 'daemonEnded' | 'daemonSilent'; readonly daemon: DaemonName }
  | { readonly kind: 'watchdogOn' | 'watchdogOff' }
  | { readonly kind: LockspaceChange; readonly lockspace: string }
  | { readonly kind: MemberChange; readonly lockspace: string; readonly host: HostNamed }
  | { readonly kind: 'vgStarted' | 'vgStopped' | 'vgWell'; readonly vg: string }
  | { readonly kind: 'vgTrouble'; readonly vg: string; readonly trouble: VgTrouble }
  | {
      readonly kind: 'lvTaken' | 'lvReleased';
      readonly vg: string;
      readonly lv: string;
      readonly mode: 'ex' | 'sh';
      readonly host: HostNamed;
    }
  | {
      /** A host that was no longer alive had it. */
      readonly kind: 'lvTakenOver';
      readonly vg: string;
      readonly lv: string;
      readonly mode: 'ex' | 'sh';
      readonly host: HostNamed;
      readonly from: HostNamed;
    }
  | { readonly kind: 'more'; readonly count: number };

type LockspaceChange =
  | 'lockspaceJoined'
  | 'lockspaceLeft'
  | 'lockspaceFailing'
  | 'lockspaceWell'
  | 'lockspaceJoinedAgain';
type MemberChange =
  | 'hostJoined'
  | 'hostLeft'
  | 'hostFailing'
  | 'hostDead'
  | 'hostReturned'
  | 'hostSeen';

/**
 * What a look did not show is taken from the look before it, so that a daemon that is silent for
 * a moment is not reported as all of its lockspaces left and joined again.
 */
export function remembered(before: Snapshot, now: Snapshot): Snapshot {
  const sanlock = now.daemons.find(({ name }) => name === 'sanlock');
  const isShown = sanlock?.state === 'running' && !isUnread(now, 'sanlock');
  const lockspaces = isShown ? now.lockspaces : before.lockspaces;
  const vgs = isUnread(now, 'lvm') || isUnread(now, 'lvmlockd') ? before.vgs : now.vgs;
  return { ...now, lockspaces, vgs: vgs.map((vg) => rememberedVg(before, vg)) };
}

function isUnread({ unread }: Snapshot, what: Snapshot['unread'][number]['what']): boolean {
  return unread.some((one) => one.what === what);
}

function rememberedVg(before: Snapshot, vg: VgSeen): VgSeen {
  if (vg.lvs.every(({ holders }) => holders !== null)) return vg;
  const old = before.vgs.find(({ uuid }) => uuid === vg.uuid);
  if (old === undefined) return vg;
  const known = new Map(old.lvs.map((lv) => [lv.uuid, lv.holders]));
  const lvs = vg.lvs.map((lv) => ({ ...lv, holders: lv.holders ?? known.get(lv.uuid) ?? null }));
  return { ...vg, lvs };
}

/** What happened in between, the host's own daemons first. @param now by `remembered` */
export function changesOf(before: Snapshot, now: Snapshot): readonly Change[] {
  const all = [
    ...daemonChanges(before, now),
    ...watchdogChanges(before, now),
    ...lockspaceChanges(before, now),
    ...vgChanges(before, now),
  ];
  if (all.length <= MAX_CHANGES) return all;
  return [...all.slice(0, MAX_CHANGES), { kind: 'more', count: all.length - MAX_CHANGES }];
}

function daemonChanges(before: Snapshot, now: Snapshot): readonly Change[] {
  return now.daemons.flatMap(({ name: daemon, state, pid }): readonly Change[] => {
    const old = before.daemons.find(({ name }) => name === daemon);
    if (old === undefined) return [];
    if (state !== old.state) {
      if (state === 'absent') return [{ kind: 'daemonEnded', daemon }];
      if (state === 'silent') return [{ kind: 'daemonSilent', daemon }];
      return [{ kind: 'daemonStarted', daemon }];
    }
    const isOther = state === 'running' && pid !== old.pid && pid !== 0 && old.pid !== 0;
    return isOther ? [{ kind: 'daemonReplaced', daemon }] : [];
  });
}

function watchdogChanges(before: Snapshot, now: Snapshot): readonly Change[] {
  const [was, is] = [before.watchdog.state, now.watchdog.state];
  if (was === is || is === 'unknown' || was === 'unknown') return [];
  return [{ kind: is === 'on' ? 'watchdogOn' : 'watchdogOff' }];
}

function lockspaceChanges(before: Snapshot, now: Snapshot): readonly Change[] {
  const left = before.lockspaces
    .filter(({ name }) => !now.lockspaces.some((one) => one.name === name))
    .map(({ name: lockspace }): Change => ({ kind: 'lockspaceLeft', lockspace }));
  const others = now.lockspaces.flatMap((lockspace) => {
    const old = before.lockspaces.find(({ name }) => name === lockspace.name);
    return [...ownChange(old, lockspace), ...memberChanges(old, lockspace)];
  });
  return [...left, ...others];
}

function ownChange(old: LockspaceSeen | undefined, now: LockspaceSeen): readonly Change[] {
  const { name: lockspace, phase } = now;
  const isNew = old === undefined || old.phase === 'joining' || old.phase === 'leaving';
  if (phase === 'failing' && old?.phase !== 'failing') {
    return [{ kind: 'lockspaceFailing', lockspace }];
  }
  if (phase !== 'joined') return [];
  if (isNew) return [{ kind: 'lockspaceJoined', lockspace }];
  if (old.generation !== now.generation) return [{ kind: 'lockspaceJoinedAgain', lockspace }];
  return old.phase === 'failing' ? [{ kind: 'lockspaceWell', lockspace }] : [];
}

function memberChanges(old: LockspaceSeen | undefined, now: LockspaceSeen): readonly Change[] {
  if (old === undefined) return []; // its hosts were there before it was looked at
  const known = new Map(old.members.map((member) => [member.hostId, member]));
  return now.members.flatMap((member): readonly Change[] => {
    if (member.isThisHost) return [];
    const kind = memberChange(known.get(member.hostId), member);
    return kind === null ? [] : [{ kind, lockspace: now.name, host: named(member) }];
  });
}

function memberChange(old: MemberSeen | undefined, now: MemberSeen): MemberChange | null {
  const isNew = old === undefined || old.generation !== now.generation || old.state === 'free';
  if (now.state === 'unknown') return null;
  if (isNew) return now.state === 'live' ? 'hostJoined' : null;
  if (now.state === old.state) return null;
  if (now.state === 'free') return 'hostLeft';
  if (now.state === 'fail') return 'hostFailing';
  if (now.state === 'dead') return 'hostDead';
  return old.state === 'unknown' ? 'hostSeen' : 'hostReturned';
}

function vgChanges(before: Snapshot, now: Snapshot): readonly Change[] {
  return now.vgs.flatMap((vg) => {
    const old = before.vgs.find(({ uuid }) => uuid === vg.uuid);
    if (old === undefined) return [];
    return [...vgChange(old, vg), ...lvChanges(old, vg, now)];
  });
}

function vgChange(old: VgSeen, now: VgSeen): readonly Change[] {
  const changes: Change[] = [];
  const { name: vg, trouble } = now;
  if (old.isStarted !== now.isStarted) {
    changes.push({ kind: now.isStarted ? 'vgStarted' : 'vgStopped', vg });
  }
  if (trouble !== null && isLoss(trouble) && trouble !== old.trouble) {
    changes.push({ kind: 'vgTrouble', vg, trouble });
  }
  if (trouble === null && old.trouble !== null && IN_A_LOSS.has(old.trouble)) {
    changes.push({ kind: 'vgWell', vg });
  }
  return changes;
}

/** What lvmlockd says while a VG's locks are lost, and until it has them again. */
const IN_A_LOSS: ReadonlySet<VgTrouble> = new Set([
  'killed',
  'detached',
  'reattaching',
  'returning',
]);

/** Whether the locks of a VG are lost here; it is also started and stopped in order. */
export function isLoss(trouble: VgTrouble): boolean {
  return trouble === 'killed' || trouble === 'detached';
}

function lvChanges(old: VgSeen, now: VgSeen, snapshot: Snapshot): readonly Change[] {
  const known = new Map(old.lvs.map((lv) => [lv.uuid, lv]));
  const lockspace = snapshot.lockspaces.find(({ name }) => name === now.lockspace);
  const members = new Map((lockspace?.members ?? []).map((member) => [member.hostId, member]));
  return now.lvs.flatMap((lv) => {
    const was = known.get(lv.uuid);
    return was === undefined ? [] : holderChanges(now.name, { was, lv, members });
  });
}

function holderChanges(
  vg: string,
  of: {
    readonly was: LvSeen;
    readonly lv: LvSeen;
    readonly members: ReadonlyMap<number, MemberSeen>;
  },
): readonly Change[] {
  const { was, lv, members } = of;
  if (was.holders === null || lv.holders === null) return [];
  const isIn = (list: readonly LeaseHolder[], one: LeaseHolder): boolean =>
    list.some(({ hostId, generation }) => hostId === one.hostId && generation === one.generation);
  const gone = was.holders.filter((one) => !isIn(lv.holders ?? [], one));
  const come = lv.holders.filter((one) => !isIn(was.holders ?? [], one));
  const dead = come.length === 0 ? undefined : gone.find((one) => isPast(one, members));
  const taken = come.map(({ mode, ...holder }): Change => {
    const lock = { vg, lv: lv.name, mode, host: named(holder) };
    if (dead === undefined) return { kind: 'lvTaken', ...lock };
    return { kind: 'lvTakenOver', ...lock, from: named(dead) };
  });
  const released = gone
    .filter((one) => one !== dead)
    .map(({ mode, ...holder }): Change => {
      return { kind: 'lvReleased', vg, lv: lv.name, mode, host: named(holder) };
    });
  return [...released, ...taken];
}

/** Whether that incarnation of the host could not have released it by itself. */
function isPast(holder: LeaseHolder, members: ReadonlyMap<number, MemberSeen>): boolean {
  if (holder.state === 'dead' || holder.state === 'fail') return true;
  const member = members.get(holder.hostId);
  if (member === undefined) return false;
  return member.generation > holder.generation || member.state === 'dead';
}

function named({ hostId, generation, ...rest }: MemberSeen | Omit<LeaseHolder, 'mode'>): HostNamed {
  const hostName = 'name' in rest ? rest.name : rest.hostName;
  return { hostId, generation, hostName };
}

/** Whether somebody should look at it: `error` needs a person, `warn` may soon. */
export type ChangeLevel = 'error' | 'warn' | 'info';

export const CHANGE_LEVELS: Readonly<Record<Change['kind'], ChangeLevel>> = {
  daemonStarted: 'info',
  daemonReplaced: 'info',
  daemonEnded: 'warn',
  daemonSilent: 'warn',
  watchdogOn: 'info',
  watchdogOff: 'warn',
  lockspaceJoined: 'info',
  lockspaceLeft: 'info',
  lockspaceFailing: 'error',
  lockspaceWell: 'info',
  lockspaceJoinedAgain: 'warn',
  hostJoined: 'info',
  hostLeft: 'info',
  hostFailing: 'warn',
  hostDead: 'warn',
  hostReturned: 'info',
  hostSeen: 'info',
  vgStarted: 'info',
  vgStopped: 'info',
  vgWell: 'info',
  vgTrouble: 'error',
  lvTaken: 'info',
  lvReleased: 'info',
  lvTakenOver: 'warn',
  more: 'info',
};
