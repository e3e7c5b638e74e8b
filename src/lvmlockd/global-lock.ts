import type { ManagedLockType } from '../wire/lvmlockd/requests.ts';
import { isInUse } from './lockspace-phase.ts';
import { findRunning } from './running-managers.ts';
import { type DaemonState, type Lockspace, log, run } from './state.ts';
import { ofClient } from './task-owner.ts';
import type { Waiter } from './waiter.ts';

/** Which lockspace carries the global lock (spec 30 §6). */

/** The first lock type that a request names is the one of the global lock. */
export function chooseGlType(state: DaemonState, lockType: ManagedLockType): void {
  if (state.gl.lockType !== null) return;
  state.gl.lockType = lockType;
  log(state, 'info', 'global.typeChosen', { lockType });
}

/** Notes what was read from the VG's slot of the global lock, or written into it. */
export function noteGl(state: DaemonState, lockspace: Lockspace, enabled: boolean): void {
  lockspace.glEnabled = enabled;
  const { gl } = state;
  const { vgName } = lockspace.vg;
  if (enabled) {
    if (gl.vgName === '') {
      gl.vgName = vgName;
      log(state, 'info', 'global.holderFound', { vg: vgName });
    } else if (gl.vgName !== vgName) {
      log(state, 'warn', 'global.duplicate', { vg: vgName, alsoIn: gl.vgName });
    }
    return;
  }
  if (gl.vgName !== vgName) return;
  const other = state.lockspaces.find((one) => one !== lockspace && one.glEnabled);
  gl.vgName = other?.vg.vgName ?? '';
}

/** The lockspace is gone. With the last one the choice of a manager is open again. */
export function noteGone(state: DaemonState, lockspace: Lockspace): void {
  noteGl(state, lockspace, false);
  if (state.lockspaces.length === 0) state.gl.lockType = state.settings.globalLockType;
}

/** Finds the lockspace for a client's lock_gl; null when there is none. */
export function withGlobal(
  state: DaemonState,
  to: Waiter,
  then: (lockspace: Lockspace | null) => void,
): void {
  if (state.gl.lockType === null) {
    findRunning(state, to, (running) => {
      const first = running[0];
      if (first === undefined) then(null);
      else {
        chooseGlType(state, first.lockType);
        withGlobal(state, to, then);
      }
    });
    return;
  }
  const known = knownHolder(state);
  if (known !== null) then(known);
  else searchGl(state, to, () => then(knownHolder(state)));
}

function knownHolder(state: DaemonState): Lockspace | null {
  const { vgName } = state.gl;
  const expected = state.lockspaces.find((one) => one.glExpected) ?? null;
  if (vgName === '') return expected;
  return state.lockspaces.find((one) => one.vg.vgName === vgName) ?? null;
}

/** Reads the global lock slot of every joined lockspace once. */
function searchGl(state: DaemonState, to: Waiter, then: () => void): void {
  const joined = state.lockspaces.filter(
    ({ phase, manager }) => isInUse(phase) && manager.traits.globalLock === 'inVg',
  );
  let left = joined.length;
  if (left === 0) then();
  for (const lockspace of joined) {
    run(state, ofClient(to), lockspace.space.readGl(), (enabled) => {
      if (isInUse(lockspace.phase)) noteGl(state, lockspace, enabled);
      left -= 1;
      if (left === 0) then();
    });
  }
}
