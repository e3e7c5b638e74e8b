import type { ByteString } from '../base/bytes.ts';
import type { LogFields, LogLevel } from '../base/log-fields.ts';
import type { Adopt, LockRequest, ManagedLockType } from '../wire/lvmlockd/requests.ts';
import { LIMITS, type Limits } from './limits.ts';
import type { SpacePhase } from './lockspace-phase.ts';
import type {
  AdoptedLock,
  FoundSpace,
  LockManager,
  ManagerSpace,
  PrepareOutcome,
  VgPlace,
} from './managers/manager.ts';
import type { Managers } from './managers/registry.ts';
import type { ManagerSteps } from './managers/steps.ts';
import type { RefreshState } from './refresh-state.ts';
import { isIdle, newResource, type Resource } from './resource.ts';
import type { VgHold } from './vg-hold.ts';
import type { Waiter } from './waiter.ts';

/** The state of the daemon: plain data, owned and changed by `stepDaemon` alone. */

export interface Settings {
  /** From -g; null: the first request that names one decides. */
  readonly globalLockType: ManagedLockType | null;
  /** From --host-id or the host id file; 0: none. */
  readonly hostId: number;
  readonly adopt: boolean;
  readonly killAction: KillAction;
}

/**
 * What happens to the LVs of a VG that lost the storage of its locks: nothing; error tables; or the
 * processes that use them are stopped before.
 */
export type KillAction = 'none' | 'error' | 'stop';

/** The LVs of a killed VG are cut off from their disks (kill-action.ts). */
export interface CuttingOff {
  readonly lockspace: Lockspace;
  /** Those who ordered it, and have no answer yet. */
  readonly waiters: Waiter[];
  /** The waiters are told then that it failed; it goes on. */
  readonly untilMs: number;
  /** When it is tried again; null: an attempt is under way. */
  nextMs: number | null;
  /** The devices that were left, as they were logged last. */
  told: string;
}

export interface Client {
  readonly id: number;
  readonly fd: number;
  readonly pid: number;
  /** The command's name, from its first request that carries one. */
  name: ByteString;
  /** As its last lock request names it: a shell of lvm sends several. */
  command: ByteString;
  /** Its lvm sends free_lv only after it has committed; false: not known. */
  freesAfterCommit: boolean;
  /** Has asked for a lock: at its end its locks are searched and released. */
  hasLocked: boolean;
  /** Why a lockspace that it started could not be joined: the next start_wait answers it. */
  startFailure: number;
  /** One of its starts has waited for what is seen of a host with the same host id. */
  wasHeldUp: boolean;
  /** The lease that its last init_lv was given in a VG that is not started: the next is behind it. */
  lastMade: { readonly vgName: ByteString; readonly lvLockArgs: ByteString } | null;
  /** The LV lock granted by the last reply: undone when that reply is lost. */
  lastGrant: { readonly lockspaceId: number; readonly resource: ByteString } | null;
}

/** Work that waits until the lock manager is back (lockspace-phase.ts, `reattaching`). */
export interface OnHold {
  /** A request of this client; null: work on locks, which is done whether a client lives or not. */
  readonly clientId: number | null;
  readonly again: () => void;
  /** The lock manager is given up. */
  readonly fail: () => void;
}

export interface CancelOrder {
  /** Answered when the lockspace is gone; null: nobody waits. */
  readonly to: Waiter | null;
  /** The join was faster: the order is for the running lockspace. */
  readonly again: () => void;
}

export interface Lockspace {
  /** Unique in this daemon process; names the manager's session. */
  readonly id: number;
  readonly name: ByteString;
  readonly vg: { -readonly [K in keyof VgPlace]: VgPlace[K] };
  readonly manager: LockManager;
  hostId: number;
  /** Of this host in the lockspace, from the lock manager; 0: not known. */
  generation: number;
  readonly space: ManagerSpace;
  phase: SpacePhase;
  /** The VG's, the global lock's, and those of LVs that are locked or waited for. */
  readonly resources: Resource[];
  /** What the holder of the exclusive VG lock did so far; null: nothing that counts. */
  vgHold: VgHold | null;
  /** Where the leases of LVs are that were unlocked, for a free_lv that does not say it. */
  readonly unlocked: Map<ByteString, UnlockedLv>;
  /** One piece of work a resource or a client: their limits bound it. */
  readonly onHold: OnHold[];
  /** To open the session again and attach the locks held here. */
  attempt: 'none' | 'due' | 'underWay';
  /** The start_vg that asked for it and has no answer yet; null: there is none. */
  answerStart: ((outcome: Omit<PrepareOutcome, 'glEnabled'>) => void) | null;
  /** Why its start is given up (LD_RESULT); 0: it is not, or by an order. */
  failure: number;
  /** Orders to stop it that wait for the end of its start (join-cancel.ts). */
  readonly onCancelled: CancelOrder[];
  /** When it is watched anew (presence.ts); null: it is watched, or is not to be. */
  watchMs: number | null;
  /** Of the last attempt to watch it: an earlier one counts no more. */
  watchNumber: number;
  /** When its locks are compared with the LVs that are active here; null: they need not be. */
  checkMs: number | null;
  /** This VG carries an enabled global lock; known from the join on. */
  glEnabled: boolean;
  /** Its global lock was enabled before the join: until then requests are answered ESTARTING. */
  glExpected: boolean;
  /** The client for which the global lock moves out of this VG, which is being freed; 0: none. */
  glMovedBy: number;
  /** How often `glEnabled` was noted: a read that began before is stale. */
  glNotes: number;
  /** When its slot is read next; null: that is under way, or there is no slot. */
  glReadMs: number | null;
  readonly refresh: RefreshState;
  /** Of the start_vg that it was made for. */
  adopt: Adopt;
  /** Clients whose start_wait answers a failed join. */
  readonly starters: number[];
}

/** Kept until the client that unlocked it ends. */
export interface UnlockedLv {
  readonly clientId: number;
  readonly lvLockArgs: ByteString;
}

export interface GlobalLock {
  /** Of the manager that keeps the global lock; null: not chosen yet. */
  lockType: ManagedLockType | null;
  /** The VGs that carried one when the log was last told, joined by commas; '' for none. */
  told: ByteString;
  /** A VG was made with an enabled global lock and is not started yet. */
  madeIn: ByteString;
  /** The VG that carried it was removed while others run. */
  removed: boolean;
}

export interface VgWork {
  readonly clientId: number;
  readonly start: () => void;
}

/**
 * For whom a task runs. When its procedure ends after the owner is gone, the task is not resumed:
 * the end of the owner has been handled, and nothing would undo what the task did for it.
 */
export type TaskOwner =
  | { readonly of: 'daemon' }
  | { readonly of: 'client'; readonly clientId: number }
  /** Its requests were all answered when it was stopped. */
  | { readonly of: 'lockspace'; readonly lockspace: Lockspace };

/** A procedure under way, and the use of its outcome while its owner is present. */
export interface Task {
  readonly owner: TaskOwner;
  readonly resume: (outcome: unknown) => void;
}

/** An order to end for a successor that waits for commands under way. */
export interface HandOver {
  readonly to: Waiter;
  /** Refused when commands are still under way then. */
  readonly untilMs: number;
  /** Lock requests of commands that have not begun: served if the order is refused. */
  readonly heldBack: { readonly clientId: number; readonly request: LockRequest }[];
}

/** A VG that an earlier lvmlockd had started, and the LVs that it had locked (adopt.ts). */
export interface RememberedVg extends VgPlace {
  readonly lockType: ByteString;
  readonly locks: readonly AdoptedLock[];
}

/** A VG that was lost, and that lvmlockd starts again by itself (returning.ts). */
export interface Returning {
  readonly manager: LockManager;
  readonly place: FoundSpace;
  /** null: it is being tried. */
  nextMs: number | null;
  pauseMs: number;
  /** Of the last attempt (LD_RESULT); 0: there was none. */
  result: number;
  /** How many of its LVs were cut off when that was logged last. */
  cutOff: number;
  readonly untilMs: number;
}

/** Lockspaces of an earlier lvmlockd that are to be adopted (adoption.ts). */
export interface Adoption {
  /** By VG name; `result`: why the last join failed. */
  readonly waiting: Map<ByteString, { result: number | null }>;
  /** When they are looked for again; null: they are being looked for. */
  nextMs: number | null;
  pauseMs: number;
  readonly untilMs: number;
}

export interface DaemonState {
  readonly settings: Settings;
  readonly limits: Limits;
  readonly managers: Managers;
  readonly clients: Map<number, Client>;
  readonly lockspaces: Lockspace[];
  readonly gl: GlobalLock;
  readonly startWaiters: Waiter[];
  readonly stopAllWaiters: Waiter[];
  /** Work on a VG's leases outside of a lockspace; one at a time for each VG. */
  readonly vgWork: Map<ByteString, VgWork[]>;
  readonly tasks: Map<number, Task>;
  nextTaskId: number;
  nextLockspaceId: number;
  /** VGs whose locks a lost lock manager, or the next one, may still count as lvmlockd's. */
  readonly lostSpaces: Set<ByteString>;
  /** From the adopt file, by VG name, until the VG is started. */
  readonly remembered: Map<ByteString, RememberedVg>;
  adoption: Adoption | null;
  /** By VG name. */
  readonly cuttingOff: Map<ByteString, CuttingOff>;
  /** By VG name. */
  readonly returning: Map<ByteString, Returning>;
  /** To end: lockspaces without locks are stopped, and the daemon ends with the last one. */
  quitting: boolean;
  /** To end and leave the locks to a successor, once no command is in the middle of its work. */
  handOver: HandOver | null;
  nowMs: number;
  effects: Effect[];
  lvGrants: number;
  /** Locks that are not in the adopt file yet (adopt-writes.ts). */
  readonly adoptWrites: { isDue: boolean; notBeforeMs: number };
}

export type Effect =
  | {
      readonly kind: 'send';
      readonly clientId: number;
      readonly text: ByteString;
      /** For an lvm that does not repeat what −225 answers. */
      readonly textForOld?: ByteString;
    }
  /** To the dump socket, after everything sent so far. */
  | { readonly kind: 'dump'; readonly text: ByteString }
  | { readonly kind: 'dumpLog'; readonly clientId: number }
  | { readonly kind: 'run'; readonly taskId: number; readonly steps: ManagerSteps<unknown> }
  | {
      readonly kind: 'log';
      readonly level: LogLevel;
      readonly event: string;
      readonly fields: LogFields;
    }
  /** The facts for the next lvmlockd; null: none. */
  | { readonly kind: 'adoptFile'; readonly text: ByteString | null }
  /** `leavesLocks`: to a successor, with the adopt file. */
  | { readonly kind: 'exit'; readonly status: number; readonly leavesLocks: boolean };

export function newState(settings: Settings, managers: Managers, limits = LIMITS): DaemonState {
  return {
    settings,
    limits,
    managers,
    clients: new Map(),
    lockspaces: [],
    gl: { lockType: settings.globalLockType, told: '', madeIn: '', removed: false },
    startWaiters: [],
    stopAllWaiters: [],
    vgWork: new Map(),
    tasks: new Map(),
    nextTaskId: 1,
    nextLockspaceId: 1,
    lostSpaces: new Set(),
    remembered: new Map(),
    adoption: null,
    cuttingOff: new Map(),
    returning: new Map(),
    quitting: false,
    handOver: null,
    nowMs: 0,
    effects: [],
    lvGrants: 0,
    adoptWrites: { isDue: false, notBeforeMs: 0 },
  };
}

/**
 * Starts a procedure; `then` is called in the step that brings its outcome, unless the owner is
 * gone by then.
 */
export function run<T>(
  state: DaemonState,
  owner: TaskOwner,
  steps: ManagerSteps<T>,
  then: (outcome: T) => void,
): void {
  const taskId = state.nextTaskId;
  state.nextTaskId += 1;
  // The outcome is that of these very steps.
  state.tasks.set(taskId, { owner, resume: (outcome) => then(outcome as T) });
  state.effects.push({ kind: 'run', taskId, steps });
}

export function log(
  state: DaemonState,
  level: LogLevel,
  event: string,
  fields: LogFields = {},
): void {
  state.effects.push({ kind: 'log', level, event, fields });
}

/** The resource of that name; null: there are too many, and all are in use. */
export function resourceIn(
  state: DaemonState,
  lockspace: Lockspace,
  ref: { readonly scope: Resource['ref']['scope']; readonly name: ByteString },
): Resource | null {
  const { resources } = lockspace;
  const found = resources.find((one) => one.ref.name === ref.name);
  if (found !== undefined) return found;
  if (ref.scope === 'lv' && resources.length >= state.limits.resources) {
    const idle = resources.findIndex((one) => one.ref.scope === 'lv' && isIdle(one));
    if (idle < 0) return null;
    resources.splice(idle, 1);
  }
  const made = newResource({ ...ref, lvLockArgs: '' });
  resources.push(made);
  return made;
}

export function hasLocks(lockspace: Lockspace): boolean {
  return lockspace.resources.some((r) => r.locks.length > 0 || r.actions.length > 0 || r.running);
}

export function hasLvLocks(lockspace: Lockspace): boolean {
  return lockspace.resources.some((r) => r.ref.scope === 'lv' && r.locks.length > 0);
}
