import type { ByteString } from '../base/bytes.ts';
import { LD_RESULT } from '../wire/lvmlockd/numbers.ts';
import type {
  DaemonRequest,
  InitLvRequest,
  InitVgRequest,
  RefreshRequest,
  VgRequest,
} from '../wire/lvmlockd/requests.ts';
import { lockspaceOf } from './lock-requests.ts';
import { stopFree } from './lockspace-end.ts';
import { isManaged, numberOf } from './managers/registry.ts';
import type { ManagerSteps } from './managers/steps.ts';
import { TRAITS } from './managers/traits.ts';
import { waitsAgain, waitsForManager } from './reattach.ts';
import { tellRequest } from './refresh-tell.ts';
import { reply, replyInit } from './replies.ts';
import { findRunning } from './running-managers.ts';
import { type Client, type DaemonState, log, run } from './state.ts';
import { isPresent, OF_DAEMON, ofClient } from './task-owner.ts';
import { holdOf, noteMade } from './vg-hold.ts';
import { hasClash, isTooLong } from './vg-names.ts';

/** Requests that need no running lockspace. Those of one VG run one after another. */

export function initVg(state: DaemonState, clientId: number, request: InitVgRequest): void {
  const to = { clientId, request };
  const { vgName, vgLockArgs, lockType } = request;
  const refuse = (result: number) =>
    replyInit(state, to, { result, lmResult: 0, vgLockArgs, lvLockArgs: '' });
  if (!isManaged(lockType) || vgName === '') {
    refuse(LD_RESULT.INVAL);
    return;
  }
  const manager = state.managers.get(lockType);
  if (manager === undefined) {
    refuse(LD_RESULT.PROTONOSUPPORT);
    return;
  }
  if (isTooLong(state, vgName)) {
    refuse(LD_RESULT.EARGS);
    return;
  }
  if (hasClash(state, vgName, manager)) {
    refuse(LD_RESULT.EXIST);
    return;
  }
  const enableGl = request.enable || (!request.disable && wantsGl(state));
  const vg = { vgName, vgUuid: '', vgLockArgs };
  const steps = manager.initVg(vg, enableGl, request.alignMb);
  inTurn(state, { vgName, clientId }, steps, (done) => {
    if (done.result === 0 && enableGl) state.gl.madeIn = vgName;
    replyInit(state, to, { ...done, lvLockArgs: '' });
  });
}

/** Where the global lock lives in a VG, the first VG of a cluster carries it. */
function wantsGl({ gl, lockspaces }: DaemonState): boolean {
  const isInVg = gl.lockType !== null && TRAITS[gl.lockType].globalLock === 'inVg';
  return isInVg && gl.madeIn === '' && lockspaces.length === 0;
}

/** `isAgain`: the end of the lock manager cut the call before. */
export function initLv(
  state: DaemonState,
  clientId: number,
  request: InitLvRequest,
  isAgain = false,
): void {
  const to = { clientId, request };
  const { vgName, vgLockArgs, lvUuid, lockType } = request;
  const lockspace = lockspaceOf(state, vgName);
  const refuse = (result: number) =>
    replyInit(state, to, { result, lmResult: 0, vgLockArgs, lvLockArgs: '' });
  const isOtherType = lockspace !== null && lockType !== lockspace.manager.lockType;
  if (!isManaged(lockType) || isOtherType || lvUuid === '') {
    refuse(LD_RESULT.INVAL);
    return;
  }
  const manager = state.managers.get(lockType);
  if (manager === undefined) {
    refuse(LD_RESULT.PROTONOSUPPORT);
    return;
  }
  if (!manager.traits.lvLeases) {
    replyInit(state, to, { result: 0, lmResult: 0, vgLockArgs, lvLockArgs: '' });
    return;
  }
  const later = (again: boolean) => () => initLv(state, clientId, request, again);
  if (lockspace !== null && waitsForManager(lockspace, clientId, later(isAgain))) return;
  const vg = { vgName, vgUuid: '', vgLockArgs };
  const space = lockspace?.space ?? manager.open(vg, NO_SESSION);
  // The command has just asked to free the lease of this very LV: it keeps it.
  const freed = lockspace === null ? undefined : holdOf(lockspace, clientId)?.frees.get(lvUuid);
  if (lockspace !== null && freed !== undefined) {
    holdOf(lockspace, clientId)?.frees.delete(lvUuid);
    const { lvLockArgs } = freed;
    replyInit(state, to, { result: 0, lmResult: 0, vgLockArgs, lvLockArgs });
    return;
  }
  const client = lockspace === null ? state.clients.get(clientId) : undefined;
  const steps = space.initLv(lvUuid, isAgain, request.prevLvArgs || behindLast(client, vgName));
  inTurn(state, { vgName, clientId }, steps, (done) => {
    const isCut = done.interrupted === true && lockspace !== null;
    if (isCut && waitsAgain(state, lockspace, clientId, later(true))) return;
    const hold = lockspace === null ? null : holdOf(lockspace, clientId);
    if (hold !== null && done.result === 0) noteMade(hold, lvUuid);
    if (client !== undefined && done.result === 0) {
      client.lastMade = { vgName, lvLockArgs: done.lvLockArgs };
    }
    replyInit(state, to, { ...done, vgLockArgs });
  });
}

/**
 * A VG of many LVs becomes shared: lvm asks for a lease for each in turn, and only newer ones say
 * which was the last. A search from the first slot would read all that are taken, for each LV.
 */
function behindLast(client: Client | undefined, vgName: ByteString): ByteString {
  const last = client?.lastMade ?? null;
  return last?.vgName === vgName ? last.lvLockArgs : '';
}

/** A lockspace that is only formatted in, never joined. */
const NO_SESSION = 0;

export function renameFinal(state: DaemonState, clientId: number, request: VgRequest): void {
  const to = { clientId, request };
  const { vgName, vgLockArgs, lockType } = request;
  if (!isManaged(lockType) || !TRAITS[lockType].renamesVgs) {
    reply(state, to, { result: LD_RESULT.INVAL });
    return;
  }
  const manager = state.managers.get(lockType);
  if (manager === undefined) {
    reply(state, to, { result: LD_RESULT.PROTONOSUPPORT });
    return;
  }
  // Its leases keep the old name, by which the VG can be started once it has that name again.
  if (isTooLong(state, vgName)) {
    reply(state, to, { result: LD_RESULT.EARGS });
    return;
  }
  const vg = { vgName, vgUuid: '', vgLockArgs };
  inTurn(state, { vgName, clientId }, manager.renameVg(vg), (done) => {
    if (done.result !== 0) {
      log(state, 'error', 'lease.notRenamed', { vg: vgName, result: done.result });
    }
    reply(state, to, done);
  });
}

export function runningLm(state: DaemonState, clientId: number, request: DaemonRequest): void {
  const to = { clientId, request };
  findRunning(state, to, ([first, second]) => {
    if (first === undefined) reply(state, to, { result: LD_RESULT.NOLCK });
    else if (second !== undefined) reply(state, to, { result: LD_RESULT.XFULL });
    else reply(state, to, { result: numberOf(first) });
  });
}

/** Where no lock manager reaches the other hosts, lvm expects 0 (spec 30 §4.8). */
export function refreshLv(state: DaemonState, clientId: number, request: RefreshRequest): void {
  const to = { clientId, request };
  if (tellRequest(state, clientId, request)) return;
  for (const { refreshLv: refresh } of state.managers.values()) {
    if (refresh === null) continue;
    run(state, ofClient(to), refresh(request.path), (done) => reply(state, to, done));
    return;
  }
  reply(state, to, { result: 0 });
}

export function stopAll(state: DaemonState, clientId: number, request: DaemonRequest): void {
  stopFree(state, request.force);
  state.returning.clear();
  const to = { clientId, request };
  if (request.wait && state.lockspaces.length > 0) state.stopAllWaiters.push(to);
  else reply(state, to, { result: state.lockspaces.length });
}

function inTurn<T>(
  state: DaemonState,
  of: { readonly vgName: ByteString; readonly clientId: number },
  steps: ManagerSteps<T>,
  then: (outcome: T) => void,
): void {
  const { vgName, clientId } = of;
  // Also when the client is gone: the writes are not undone, and the next work has its turn.
  const start = () =>
    run(state, OF_DAEMON, steps, (outcome) => {
      then(outcome);
      nextTurn(state, vgName);
    });
  const queue = state.vgWork.get(vgName);
  if (queue === undefined) {
    state.vgWork.set(vgName, [{ clientId, start }]);
    start();
  } else {
    queue.push({ clientId, start });
  }
}

/** Work that has not begun is not begun for a client that is gone. */
function nextTurn(state: DaemonState, vgName: ByteString): void {
  const queue = state.vgWork.get(vgName) ?? [];
  queue.shift();
  while (queue[0] !== undefined && !isPresent(state, ofClient(queue[0]))) queue.shift();
  const next = queue[0];
  if (next === undefined) state.vgWork.delete(vgName);
  else next.start();
}
