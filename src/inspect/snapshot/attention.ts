import { unreachable } from '../../base/assert.ts';
import type { DaemonSeen, LockspaceSeen, LvSeen, Snapshot, VgSeen } from './snapshot.ts';

/** Something in a snapshot that somebody should see to now. Names are as found. */
export type Attention =
  | { readonly kind: 'daemonSilent'; readonly daemon: DaemonSeen['name']; readonly pid: number }
  | { readonly kind: 'daemonAbsent'; readonly daemon: DaemonSeen['name']; readonly needs: string }
  | { readonly kind: 'noWatchdog'; readonly why: string; readonly lockspaces: number }
  | { readonly kind: 'lockspaceFailing'; readonly lockspace: string; readonly leftS: number }
  | { readonly kind: 'lockspaceLate'; readonly lockspace: string; readonly leftS: number }
  | { readonly kind: 'vgLost'; readonly vg: string; readonly trouble: 'killed' | 'detached' }
  | { readonly kind: 'vgWithoutLocks'; readonly vg: string; readonly lvs: readonly string[] }
  | {
      readonly kind: 'lvTrouble';
      readonly vg: string;
      readonly lv: string;
      readonly trouble: 'activeUnlocked' | 'ghost' | 'otherSize';
    }
  | { readonly kind: 'noGlobalLock'; readonly vgs: readonly string[] }
  | { readonly kind: 'twoGlobalLocks'; readonly vgs: readonly string[] };

/** Half of the time until users are stopped: a healthy host renews in a quarter of it. */
export const LATE_SHARE = 0.5;

/** What of a snapshot needs somebody; none: all is well. */
export function attentionIn(snapshot: Snapshot): readonly Attention[] {
  return [
    ...snapshot.daemons.flatMap((daemon) => ofDaemon(daemon, snapshot)),
    ...ofWatchdog(snapshot),
    ...snapshot.lockspaces.flatMap(ofLockspace),
    ...snapshot.vgs.flatMap(ofVg),
    ...unlockedIn(snapshot).map((lvs) => ({ kind: 'vgWithoutLocks', ...lvs }) as const),
    ...ofGlobalLock(snapshot.vgs),
  ];
}

function ofDaemon({ name, state, pid }: DaemonSeen, snapshot: Snapshot): readonly Attention[] {
  switch (state) {
    case 'running':
      return [];
    case 'silent':
      return [{ kind: 'daemonSilent', daemon: name, pid }];
    case 'absent': {
      const needs = whatNeeds(name, snapshot);
      return needs === null ? [] : [{ kind: 'daemonAbsent', daemon: name, needs }];
    }
    default:
      return unreachable(state);
  }
}

/** A host without any of them uses no shared storage. null: nothing needs that daemon. */
function whatNeeds(name: DaemonSeen['name'], { daemons, vgs }: Snapshot): string | null {
  const runs = (other: DaemonSeen['name']) =>
    daemons.some((one) => one.name === other && one.state !== 'absent');
  const sanlockVg = vgs.find(({ lockType }) => lockType === 'sanlock');
  switch (name) {
    case 'wdmd':
      return null; // the watchdog has a line of its own
    case 'sanlock':
      return runs('lvmlockd') && sanlockVg !== undefined ? `VG ${sanlockVg.name}` : null;
    case 'lvmlockd':
      return runs('sanlock') && sanlockVg !== undefined ? `VG ${sanlockVg.name}` : null;
    default:
      return unreachable(name);
  }
}

function ofWatchdog({ watchdog, lockspaces }: Snapshot): readonly Attention[] {
  if (watchdog.state === 'on' || lockspaces.length === 0) return [];
  return [{ kind: 'noWatchdog', why: watchdog.why, lockspaces: lockspaces.length }];
}

/** Seconds until the users of a lockspace are stopped, 0 and more; null: it has no such time. */
export function marginS({ ageS, failS }: Pick<LockspaceSeen, 'ageS' | 'failS'>): number | null {
  return failS === 0 ? null : Math.max(0, failS - ageS);
}

function ofLockspace(space: LockspaceSeen): readonly Attention[] {
  const leftS = marginS(space) ?? 0;
  const lockspace = space.name;
  switch (space.phase) {
    case 'failing':
      return [{ kind: 'lockspaceFailing', lockspace, leftS }];
    case 'joined':
      return leftS < space.failS * LATE_SHARE ? [{ kind: 'lockspaceLate', lockspace, leftS }] : [];
    case 'joining':
    case 'leaving':
      return [];
    default:
      return unreachable(space.phase);
  }
}

function ofVg(vg: VgSeen): readonly Attention[] {
  const found: Attention[] = [];
  if (vg.trouble === 'killed' || vg.trouble === 'detached') {
    found.push({ kind: 'vgLost', vg: vg.name, trouble: vg.trouble });
  }
  for (const { name, uuid, trouble } of vg.lvs) {
    const lv = name === '' ? uuid : name;
    if (trouble !== null) found.push({ kind: 'lvTrouble', vg: vg.name, lv, trouble });
  }
  return found;
}

/** LVs that are active here, and that lvmlockd, which answers, has no lock of. */
export function unlockedIn({ daemons, vgs }: Snapshot): readonly UnlockedLvs[] {
  const answers = daemons.some(({ name, state }) => name === 'lvmlockd' && state === 'running');
  if (!answers) return [];
  return vgs
    .map(({ name, lvs }) => ({ vg: name, lvs: lvs.filter(isUnlocked).map((lv) => lv.name) }))
    .filter(({ lvs }) => lvs.length > 0);
}

interface UnlockedLvs {
  readonly vg: string;
  readonly lvs: readonly string[];
}

function isUnlocked(lv: LvSeen): boolean {
  const { isActiveHere, lockHere, trouble } = lv;
  return hasOwnLock(lv) && isActiveHere === true && lockHere === null && trouble === null;
}

/** The volume of a cache keeps the lock args that it had before, and is locked with its origin (spec 31 §9). */
export function hasOwnLock({ name, lockArgs }: LvSeen): boolean {
  return lockArgs !== '' && !name.endsWith('_cvol');
}

function ofGlobalLock(vgs: readonly VgSeen[]): readonly Attention[] {
  const known = vgs.filter(({ hasGlobalLock }) => hasGlobalLock !== null);
  const having = known.filter(({ hasGlobalLock }) => hasGlobalLock === true);
  const names = (list: readonly VgSeen[]) => list.map(({ name }) => name);
  if (having.length > 1) return [{ kind: 'twoGlobalLocks', vgs: names(having) }];
  // A VG that is not started here may have it.
  const isWhole = vgs.every(
    ({ lockType, hasGlobalLock }) => lockType !== 'sanlock' || hasGlobalLock !== null,
  );
  if (known.length > 0 && having.length === 0 && isWhole) {
    return [{ kind: 'noGlobalLock', vgs: names(known) }];
  }
  return [];
}
