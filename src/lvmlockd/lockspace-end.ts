import { LD_RESULT } from '../wire/lvmlockd/numbers.ts';
import { writeAdoptFile } from './adopt-writes.ts';
import { isGlKnown } from './gl-carriers.ts';
import { noteGl, noteGone } from './global-lock.ts';
import { cancelStart } from './join-cancel.ts';
import {
  isInUse,
  isJoined,
  isStarting,
  ownOrder,
  type StartAnew,
  type StopOrder,
} from './lockspace-phase.ts';
import { changePhase } from './reattach.ts';
import { reply } from './replies.ts';
import { heldLock, newResource } from './resource.ts';
import { MANAGER_RETURN_MS, STORAGE_RETURN_MS, willReturn } from './returning.ts';
import { type DaemonState, hasLocks, type Lockspace, log, run } from './state.ts';
import { isPresent, ofClient, ofSpace } from './task-owner.ts';
import type { Waiter } from './waiter.ts';

/** Stops a lockspace: no new requests, queued ones cancelled, then everything is released. */
export function beginStop(
  state: DaemonState,
  lockspace: Lockspace,
  how: {
    readonly removeVg?: boolean;
    readonly dropAll?: boolean;
    readonly waiter?: Waiter;
    readonly start?: StartAnew;
  },
): void {
  const waiters = how.waiter === undefined ? [] : [how.waiter];
  const order: StopOrder = {
    removeVg: how.removeVg ?? false,
    dropAll: how.dropAll ?? false,
    waiters,
    starts: how.start === undefined ? [] : [how.start],
    isOwn: how.dropAll === true && how.waiter === undefined,
    isFinal: false,
  };
  log(state, 'info', 'lockspace.stopping', { vg: lockspace.vg.vgName });
  changePhase(state, lockspace, { kind: 'stop', order });
  const { lockType } = lockspace.manager;
  for (const resource of lockspace.resources) {
    for (const action of resource.actions.splice(0)) {
      if (action.kind === 'lock' && action.isUndo) continue;
      const { clientId, request } = action;
      const result = action.kind === 'lock' ? LD_RESULT.CANCELED : LD_RESULT.ENOLS;
      if (!state.clients.has(clientId)) continue;
      const answered = 'answered' in action ? action.answered : undefined;
      if (answered?.({ result, lmResult: 0, flag: '' }) === true) continue;
      reply(state, { clientId, request }, { result, lockType });
    }
  }
  continueStop(state, lockspace);
}

/** Leaves once the lock manager has nothing under way for any resource. */
export function continueStop(state: DaemonState, lockspace: Lockspace): void {
  const { phase, resources, space } = lockspace;
  if (phase.kind !== 'stopping' || phase.isLeaving || lockspace.attempt === 'underWay') return;
  if (resources.some((r) => r.running !== null)) return;
  changePhase(state, lockspace, { kind: 'leaving' });
  const held = resources.flatMap((r) => heldLock(r) ?? []);
  const stop = phase.order;
  const { dropAll, removeVg } = stop;
  const carriedGl = lockspace.glEnabled;
  run(
    state,
    ofSpace(lockspace),
    space.leave({ held: dropAll ? [] : held, removeVg, dropAll }),
    (outcome) => {
      if (outcome.result !== 0) {
        notStopped(state, lockspace, stop, outcome.result);
        return;
      }
      if (outcome.confirmed) state.lostSpaces.delete(lockspace.vg.vgName);
      gone(state, lockspace);
      if (dropAll && phase.before !== 'running' && !stop.isFinal) {
        const isKilled = phase.before === 'killed';
        willReturn(state, lockspace, isKilled ? STORAGE_RETURN_MS : MANAGER_RETURN_MS);
      }
      const othersRun = state.lockspaces.length > 0;
      if (removeVg && carriedGl && othersRun && !isGlKnown(state)) state.gl.removed = true;
      for (const one of stop.waiters) {
        // stop_vg is answered with the client's lock type, the others with the lockspace's [run].
        const isStop = one.request.kind === 'stopVg';
        reply(
          state,
          one,
          isStop ? { result: 0 } : { result: 0, lockType: lockspace.manager.lockType },
        );
      }
      startAnew(state, stop);
      settleWaiters(state);
    },
  );
}

/** The VG is gone: those who wait for that start it, unless somebody has stopped it meanwhile. */
function startAnew(state: DaemonState, { starts, isFinal }: StopOrder): void {
  for (const { to, start } of starts) {
    if (!isPresent(state, ofClient(to))) continue;
    if (isFinal || state.quitting) reply(state, to, { result: LD_RESULT.CANCELED });
    else start();
  }
}

/** The lock manager refused to leave it: without locks, but still joined. */
function notStopped(
  state: DaemonState,
  lockspace: Lockspace,
  stop: StopOrder,
  result: number,
): void {
  changePhase(state, lockspace, { kind: 'stays' });
  for (const [index, resource] of lockspace.resources.entries()) {
    lockspace.resources[index] = { ...newResource(resource.ref), version: resource.version };
  }
  lockspace.glMovedBy = 0;
  noteGl(state, lockspace, lockspace.glEnabled);
  log(state, 'warn', 'lockspace.notStopped', { vg: lockspace.vg.vgName, result });
  for (const one of stop.waiters) reply(state, one, { result });
  for (const { to } of stop.starts) reply(state, to, { result });
  settleWaiters(state);
}

/** The lockspace is forgotten. */
export function gone(state: DaemonState, lockspace: Lockspace): void {
  const at = state.lockspaces.indexOf(lockspace);
  if (at >= 0) state.lockspaces.splice(at, 1);
  noteGone(state, lockspace);
  log(state, 'info', 'lockspace.gone', { vg: lockspace.vg.vgName });
  writeAdoptFile(state);
}

/** Answers the clients that wait for starts and stops, and ends the daemon when it is to end. */
export function settleWaiters(state: DaemonState): void {
  if (state.lockspaces.every(({ phase }) => isJoined(phase))) {
    for (const one of state.startWaiters.splice(0)) {
      const client = state.clients.get(one.clientId);
      reply(state, one, { result: client?.startFailure ?? 0 });
      if (client !== undefined) client.startFailure = 0;
    }
  }
  for (const one of [...state.stopAllWaiters]) {
    const force = 'force' in one.request && one.request.force;
    stopFree(state, force);
    if (state.lockspaces.length > 0) continue;
    state.stopAllWaiters.splice(state.stopAllWaiters.indexOf(one), 1);
    reply(state, one, { result: 0 });
  }
  if (!state.quitting) return;
  stopFree(state, false);
  if (state.lockspaces.length > 0) return;
  const leavesLocks = state.remembered.size > 0; // what could not be adopted stays for another one
  if (leavesLocks) writeAdoptFile(state);
  // A lock manager may still count lvmlockd as a holder: the service manager is to start another.
  state.effects.push({ kind: 'exit', status: state.lostSpaces.size > 0 ? 1 : 0, leavesLocks });
}

/** Stops every lockspace without locks, or with `force` every one; a start is cancelled. */
export function stopFree(state: DaemonState, force: boolean): void {
  for (const lockspace of [...state.lockspaces]) {
    const stop = () => {
      if (isInUse(lockspace.phase) && (force || !hasLocks(lockspace))) {
        beginStop(state, lockspace, {});
      }
    };
    const own = ownOrder(lockspace.phase);
    if (own !== null) own.isFinal = true;
    if (isStarting(lockspace.phase)) cancelStart(state, lockspace, { to: null, again: stop });
    else stop();
  }
}
