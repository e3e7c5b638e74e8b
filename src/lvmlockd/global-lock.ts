import type { ManagedLockType } from '../wire/lvmlockd/requests.ts';
import { glCarriers, glPlaces } from './gl-carriers.ts';
import { findRunning } from './running-managers.ts';
import { type DaemonState, type Lockspace, log, run, type TaskOwner } from './state.ts';
import { ofClient, ofSpace } from './task-owner.ts';
import type { Waiter } from './waiter.ts';

/** Which lockspaces carry the global lock: what their slots say (spec 30 §6, decision 0023). */

/** Another host may enable or disable one: no slot goes unread for longer than this and a read. */
export const GL_READ_MS = 10_000;

/** The first lock type that a request names is the one of the global lock. */
export function chooseGlType(state: DaemonState, lockType: ManagedLockType): void {
  if (state.gl.lockType !== null) return;
  state.gl.lockType = lockType;
  log(state, 'info', 'global.typeChosen', { lockType });
}

/** Notes what was read from the VG's slot of the global lock, or written into it. */
export function noteGl(state: DaemonState, lockspace: Lockspace, enabled: boolean): void {
  lockspace.glEnabled = enabled;
  lockspace.glNotes += 1;
  if (enabled) state.gl.removed = false;
  tellChange(state);
}

/** The lockspace is gone. With the last one the choice of a manager is open again. */
export function noteGone(state: DaemonState, lockspace: Lockspace): void {
  noteGl(state, lockspace, false);
  if (state.lockspaces.length === 0) state.gl.lockType = state.settings.globalLockType;
}

function tellChange(state: DaemonState): void {
  const names = glCarriers(state).map(({ vg }) => vg.vgName);
  const now = names.join(',');
  const before = state.gl.told;
  if (now === before) return;
  state.gl.told = now;
  const [first, second] = names;
  if (second !== undefined) {
    const advice = `keep one of them: lvmlockctl --gl-disable ${second}`;
    log(state, 'warn', 'global.duplicate', { vgs: now, advice });
  } else if (first !== undefined) {
    log(state, 'info', 'global.holderFound', { vg: first });
  } else if (state.lockspaces.length > 0) {
    const advice = 'start the VG that carries it, or lvmlockctl --gl-enable one that runs here';
    log(state, 'info', 'global.unknown', { wasIn: before, advice });
  }
}

/**
 * For a client's lock_gl: chooses the lock type, and looks for the global lock where none is known.
 */
export function withGlobal(state: DaemonState, to: Waiter, then: () => void): void {
  if (state.gl.lockType === null) {
    findRunning(state, to, (running) => {
      const first = running[0];
      if (first === undefined) {
        then();
        return;
      }
      chooseGlType(state, first.lockType);
      withGlobal(state, to, then);
    });
    return;
  }
  if (glPlaces(state).length > 0) then();
  else readSlots(state, to, then);
}

/** Reads the global lock slot of every running lockspace once. */
export function readSlots(state: DaemonState, to: Waiter, then: () => void): void {
  const spaces = state.lockspaces.filter(isReadable);
  let left = spaces.length;
  if (left === 0) then();
  for (const lockspace of spaces) {
    readSlot(state, ofClient(to), lockspace, () => {
      left -= 1;
      if (left === 0) then();
    });
  }
}

/** The lock manager reads for nobody but a lockspace that it has joined. */
function isReadable({ phase, manager }: Lockspace): boolean {
  return phase.kind === 'running' && manager.traits.globalLock === 'inVg';
}

function readSlot(
  state: DaemonState,
  owner: TaskOwner,
  lockspace: Lockspace,
  then: () => void,
): void {
  const { glNotes } = lockspace;
  run(state, owner, lockspace.space.readGl(), (enabled) => {
    // What was noted while the read was under way is newer than the read.
    const isFresh = lockspace.glNotes === glNotes && state.lockspaces.includes(lockspace);
    if (isFresh && enabled !== null && isReadable(lockspace)) noteGl(state, lockspace, enabled);
    then();
  });
}

/** The lockspace was joined: the state of its slot was read before, and may be old by now. */
export function beginReading(state: DaemonState, lockspace: Lockspace): void {
  if (lockspace.manager.traits.globalLock === 'inVg') lockspace.glReadMs = state.nowMs;
}

/** Those that are read from time to time: one alone has no other to differ from. */
function readFromTimeToTime({ lockspaces }: DaemonState): readonly Lockspace[] {
  const readable = lockspaces.filter(isReadable);
  return readable.length > 1 ? readable : [];
}

/** When a slot is to be read next; null: none, or all due ones are being read. */
export function slotsDueMs(state: DaemonState): number | null {
  const due = readFromTimeToTime(state).flatMap(({ glReadMs }) => glReadMs ?? []);
  return due.length === 0 ? null : Math.min(...due);
}

/** Never on the way of a request: lock_gl goes by what is known. */
export function readDueSlots(state: DaemonState): void {
  for (const lockspace of readFromTimeToTime(state)) {
    const { glReadMs } = lockspace;
    if (glReadMs === null || glReadMs > state.nowMs) continue;
    lockspace.glReadMs = null;
    readSlot(state, ofSpace(lockspace), lockspace, () => {
      lockspace.glReadMs = state.nowMs + GL_READ_MS;
    });
  }
}
