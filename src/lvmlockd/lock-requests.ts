import { assert, unreachable } from '../base/assert.ts';
import type { ByteString } from '../base/bytes.ts';
import { LD_FLAG, LD_OP, LD_RESULT } from '../wire/lvmlockd/numbers.ts';
import type {
  FindFreeRequest,
  FreeLvRequest,
  LockRequest,
  QueryRequest,
  SetLockArgsRequest,
  UpdateRequest,
  VgRequest,
} from '../wire/lvmlockd/requests.ts';
import { type FromClient, requestGlobal } from './global-requests.ts';
import { freeOfGl, switchGl } from './global-switch.ts';
import { cancelStart } from './join-cancel.ts';
import { beginKillAction, requestKillPlan } from './kill-action.ts';
import { beginStop } from './lockspace-end.ts';
import { isInUse, isJoined, isStarting, ownOrder } from './lockspace-phase.ts';
import type { LockManager } from './managers/manager.ts';
import { changePhase, waitsAgain, waitsForManager } from './reattach.ts';
import { reply, replyNoLockspace, replyQuery } from './replies.ts';
import type { Action, Answered } from './resource.ts';
import { advanceResource } from './resource-effects.ts';
import { type DaemonState, hasLvLocks, type Lockspace, log, resourceIn, run } from './state.ts';
import { ofClient } from './task-owner.ts';
import { holdOf } from './vg-hold.ts';
import type { Waiter } from './waiter.ts';

/** Requests that concern one running lockspace. */

type SpaceRequest =
  | FindFreeRequest
  | FreeLvRequest
  | LockRequest
  | QueryRequest
  | SetLockArgsRequest
  | UpdateRequest
  | VgRequest;

const REFUSED_AFTER_KILL = new Set(['disableGl', 'enableGl', 'findFree', 'renameBefore']);

export function requestLock(
  state: DaemonState,
  to: { readonly clientId: number; readonly request: LockRequest },
): void {
  const { clientId, request } = to;
  const client = state.clients.get(clientId);
  if (client !== undefined) {
    if (request.mode !== 'un') client.hasLocked = true;
    if (request.cmd !== '') client.command = request.cmd;
  }
  if (request.scope !== 'gl' || request.vgName !== '') {
    const lockspace = lockspaceOf(state, request.vgName);
    if (lockspace === null) replyNoLockspace(state, to);
    else lockIn(state, to, lockspace, null);
  } else {
    requestGlobal(state, to, lockIn);
  }
}

function lockIn(
  state: DaemonState,
  to: FromClient,
  lockspace: Lockspace,
  answered: Answered | null,
): void {
  const { request } = to;
  const again = () => lockIn(state, to, lockspace, answered);
  if (waitsForManager(lockspace, to.clientId, again)) return;
  const refuse = (result: number) => {
    if (answered?.({ result, lmResult: 0, flag: '' }) === true) return;
    const isOther = isOtherType(lockspace, request);
    const lockType = isOther ? request.lockType : lockspace.manager.lockType;
    reply(state, to, { result, lockType });
  };
  const refused = refusal(lockspace, request);
  if (refused !== 0) {
    refuse(refused);
    return;
  }
  const name = resourceName(request);
  if (name === '') {
    refuse(LD_RESULT.INVAL);
    return;
  }
  const lock = () => lockResource(state, to, lockspace, { answered, refuse });
  if (isRemoval(request)) ifRemovable(state, lockspace, to, lock);
  else lock();
}

/**
 * lvm removes every LV first, and asks then whether the VG may go: refused, it keeps a VG without
 * LVs (spec 31 §14). So it does not get the lock of a VG that other hosts have started.
 */
function isRemoval({ scope, mode, cmd }: LockRequest): boolean {
  return scope === 'vg' && mode === 'ex' && cmd === 'vgremove';
}

function ifRemovable(state: DaemonState, lockspace: Lockspace, to: Waiter, then: () => void): void {
  run(state, ofClient(to), lockspace.space.otherHosts(), (hosts) => {
    if (hosts.result === 0 && isInUse(lockspace.phase)) {
      then();
      return;
    }
    // To lvm this is "held by other host", which it asks again for and then stops with.
    const { lockType } = lockspace.manager;
    const words = hosts.unknown ? [LD_FLAG.HOSTS_UNKNOWN] : [];
    const { vgName } = lockspace.vg;
    log(state, 'warn', 'vg.notRemoved', { vg: vgName, advice: STOP_ELSEWHERE });
    reply(state, to, { result: LD_RESULT.AGAIN, lmResult: hosts.lmResult, lockType, words });
  });
}

const STOP_ELSEWHERE =
  'other hosts have started it, or it is not known whether they have: stop it there ' +
  '(vgchange --lockstop), then repeat vgremove';

function lockResource(
  state: DaemonState,
  to: FromClient,
  lockspace: Lockspace,
  how: { readonly answered: Answered | null; readonly refuse: (result: number) => void },
): void {
  const { request } = to;
  const { answered, refuse } = how;
  const name = resourceName(request);
  const resource = resourceIn(state, lockspace, { scope: request.scope, name });
  if (resource === null) {
    refuse(LD_RESULT.NOMEM);
    return;
  }
  const action: Action = {
    kind: 'lock',
    clientId: to.clientId,
    request,
    tries: 0,
    dueMs: 0,
    isUndo: false,
    ...(answered === null ? {} : { answered }),
  };
  advanceResource(state, lockspace, resource, { kind: 'action', action });
}

export function lockspaceOf(state: DaemonState, vgName: string): Lockspace | null {
  if (vgName === '') return null;
  return state.lockspaces.find((one) => one.vg.vgName === vgName) ?? null;
}

function resourceName({ scope, lvUuid }: LockRequest | QueryRequest): ByteString {
  return { gl: 'GLLK', vg: 'VGLK', lv: lvUuid }[scope];
}

function isOtherType(lockspace: Lockspace, request: SpaceRequest): boolean {
  return request.lockType !== 'none' && request.lockType !== lockspace.manager.lockType;
}

/** 0, or why this lockspace cannot serve the request now (spec 30 §4.1). */
function refusal(lockspace: Lockspace, request: SpaceRequest): number {
  if (isOtherType(lockspace, request)) return LD_RESULT.INVAL;
  const { phase } = lockspace;
  if (phase.kind === 'stopping' || phase.kind === 'cancelling') return LD_RESULT.STALE;
  if (!isJoined(phase)) return LD_RESULT.ESTARTING;
  const { kind } = request;
  const isLocking = kind === 'lock' && request.mode !== 'un';
  const needsStorage = isLocking || kind === 'query' || kind === 'vgUpdate';
  if (phase.kind === 'killed' && (needsStorage || REFUSED_AFTER_KILL.has(kind))) {
    return LD_RESULT.EVGKILLED;
  }
  // Without the lock manager nothing protects the locks granted before.
  if (phase.kind === 'detached' && isLocking) return LD_RESULT.ELMERR;
  return 0;
}

/** These are answered while the lock manager is away: they end something, or ask only us. */
const WITHOUT_MANAGER: ReadonlySet<SpaceRequest['kind']> = new Set([
  'query',
  'killVg',
  'dropVg',
  'stopVg',
]);

/** Finds the lockspace, or answers why not, or has the request served `again` later. */
export function usable(
  state: DaemonState,
  to: Waiter,
  request: SpaceRequest & { vgName: string },
  again: () => void,
): Lockspace | null {
  const lockspace = lockspaceOf(state, request.vgName);
  if (lockspace === null) {
    replyNoLockspace(state, to);
    return null;
  }
  const waits = !WITHOUT_MANAGER.has(request.kind);
  if (waits && waitsForManager(lockspace, to.clientId, again)) return null;
  const refused = refusal(lockspace, request);
  if (refused === 0) return lockspace;
  const lockType = isOtherType(lockspace, request) ? request.lockType : lockspace.manager.lockType;
  if (request.kind === 'query') replyQuery(state, to, { result: refused, lockType, mode: 'iv' });
  else reply(state, to, { result: refused, lockType });
  return null;
}

export function requestUpdate(state: DaemonState, clientId: number, request: UpdateRequest): void {
  const lockspace = usable(state, { clientId, request }, request, () =>
    requestUpdate(state, clientId, request),
  );
  if (lockspace === null) return;
  const hold = holdOf(lockspace, clientId);
  if (hold !== null) hold.updates += 1;
  const resource = resourceIn(state, lockspace, { scope: 'vg', name: 'VGLK' });
  assert(resource !== null, 'the VG lock is made with its lockspace');
  const action = { kind: 'update', clientId, request } as const;
  advanceResource(state, lockspace, resource, { kind: 'action', action });
}

export function requestQuery(state: DaemonState, clientId: number, request: QueryRequest): void {
  const to = { clientId, request };
  const again = () => requestQuery(state, clientId, request);
  const lockspace = usable(state, to, request, again);
  if (lockspace === null) return;
  const name = resourceName(request);
  const resource = lockspace.resources.find((one) => one.ref.name === name);
  const { lockType } = lockspace.manager;
  replyQuery(state, to, { result: 0, lockType, mode: resource?.mode ?? 'un' });
}

export function requestOfVg(state: DaemonState, clientId: number, request: VgRequest): void {
  const to = { clientId, request };
  const { returning } = state;
  const dropped =
    request.kind === 'dropVg' ? (returning.get(request.vgName)?.manager ?? null) : null;
  if (request.kind === 'dropVg' || request.kind === 'stopVg') forgetVg(state, request.vgName);
  if (request.kind === 'dropVg' && lockspaceOf(state, request.vgName) === null) {
    dropUnknown(state, to, request.vgName, dropped);
    return;
  }
  if (request.op === LD_OP.KILL_PLAN) {
    requestKillPlan(state, clientId, request);
    return;
  }
  const again = () => requestOfVg(state, clientId, request);
  if (cancelsStart(state, to, again)) return;
  const lockspace = usable(state, to, request, again);
  if (lockspace === null) return;
  const { lockType } = lockspace.manager;
  switch (request.kind) {
    case 'enableGl':
    case 'disableGl':
      switchGl(state, lockspace, to, request);
      break;
    case 'killVg':
      killVg(state, lockspace, { clientId, request });
      break;
    case 'dropVg':
      beginStop(state, lockspace, { dropAll: true, waiter: to });
      break;
    case 'busyVg':
      withoutOthers(state, lockspace, to, () => reply(state, to, { result: 0, lockType }));
      break;
    case 'freeVg':
      withoutOthers(state, lockspace, to, () => freeVg(state, lockspace, to, request));
      break;
    case 'renameBefore':
      withoutOthers(state, lockspace, to, () => {
        if (hasLvLocks(lockspace)) reply(state, to, { result: LD_RESULT.BUSY, lockType });
        else beginStop(state, lockspace, { waiter: to });
      });
      break;
    case 'stopVg':
      if (hasLvLocks(lockspace) && !request.force) reply(state, to, { result: LD_RESULT.BUSY });
      else beginStop(state, lockspace, { waiter: to });
      break;
    case 'renameFinal':
      break; // works without a lockspace: vg-work
    default:
      unreachable(request.kind);
  }
}

/** stop_vg or drop_vg of a VG that is being started, or left to be started again. */
function cancelsStart(
  state: DaemonState,
  to: { readonly clientId: number; readonly request: VgRequest },
  again: () => void,
): boolean {
  const { request } = to;
  if (request.kind !== 'stopVg' && request.kind !== 'dropVg') return false;
  const lockspace = lockspaceOf(state, request.vgName);
  if (lockspace === null || isOtherType(lockspace, request)) return false;
  const own = ownOrder(lockspace.phase);
  if (own !== null) {
    own.isFinal = true;
    own.waiters.push(to);
    return true;
  }
  if (!isStarting(lockspace.phase) && lockspace.phase.kind !== 'cancelling') return false;
  cancelStart(state, lockspace, { to, again });
  return true;
}

/** sanlock lost the storage of its leases; its killpath says whether lvmlockd is to act itself. */
function killVg(
  state: DaemonState,
  lockspace: Lockspace,
  to: { readonly clientId: number; readonly request: VgRequest },
): void {
  const { vgName, cutsOff } = to.request;
  if (lockspace.phase.kind !== 'killed') {
    changePhase(state, lockspace, { kind: 'killed' });
    log(state, 'error', 'lockspace.killed', { vg: vgName, advice: KILLED_ADVICE });
  }
  const isKilled = lockspace.phase.kind === 'killed';
  if (isKilled && cutsOff && state.settings.killAction !== 'none') {
    beginKillAction(state, lockspace, to);
  } else {
    reply(state, to, { result: 0, lockType: lockspace.manager.lockType });
  }
}

/** An administrator has ended the VG here: lvmlockd does not start it by itself any more. */
function forgetVg(state: DaemonState, vgName: ByteString): void {
  state.remembered.delete(vgName);
  state.adoption?.waiting.delete(vgName);
  state.returning.delete(vgName);
}

/**
 * No lockspace of that name; its locks may still be kept, from before a restart of sanlock.
 * `dropped`: whose VG has been lost and dropped already, and will not return now, which is all that
 * the request asks for.
 */
function dropUnknown(
  state: DaemonState,
  to: Waiter,
  vgName: ByteString,
  dropped: LockManager | null,
): void {
  if (vgName === '') {
    replyNoLockspace(state, to);
    return;
  }
  const managers = [...state.managers.values()];
  let mayKeep = false;
  const askNext = (): void => {
    const manager = managers.shift();
    if (manager === undefined) {
      if (!mayKeep) state.lostSpaces.delete(vgName);
      if (dropped === null) replyNoLockspace(state, to);
      else reply(state, to, { result: 0, lockType: dropped.lockType });
      return;
    }
    run(state, ofClient(to), manager.releaseKept(vgName), (outcome) => {
      const { result, lmResult, keepsNothing } = outcome;
      mayKeep ||= !keepsNothing;
      if (result === LD_RESULT.ENOLS) {
        askNext();
        return;
      }
      if (keepsNothing) state.lostSpaces.delete(vgName);
      log(state, 'info', 'leases.released', { vg: vgName, result });
      reply(state, to, { result, lmResult, lockType: manager.lockType });
    });
  };
  askNext();
}

const KILLED_ADVICE =
  'the storage of its locks was lost: deactivate its LVs at once; lvmlockd starts it again by ' +
  'itself when none is locked and active any more';

export function requestFindFree(
  state: DaemonState,
  clientId: number,
  request: FindFreeRequest,
): void {
  const to = { clientId, request };
  const again = () => requestFindFree(state, clientId, request);
  const lockspace = usable(state, to, request, again);
  if (lockspace !== null) findFree(state, lockspace, to);
}

function findFree(state: DaemonState, lockspace: Lockspace, to: Waiter): void {
  const { manager, space } = lockspace;
  const { lockType } = manager;
  if (!manager.traits.lvLeases) {
    reply(state, to, { result: 0, lockType });
    return;
  }
  run(state, ofClient(to), space.findFree(), (outcome) => {
    const again = () => findFree(state, lockspace, to);
    const isCut = outcome.interrupted === true;
    if (isCut && waitsAgain(state, lockspace, to.clientId, again)) return;
    reply(state, to, { ...outcome, lockType });
  });
}

function withoutOthers(
  state: DaemonState,
  lockspace: Lockspace,
  to: Waiter,
  then: () => void,
): void {
  const { lockType } = lockspace.manager;
  run(state, ofClient(to), lockspace.space.otherHosts(), (hosts) => {
    const words = hosts.unknown ? ['HOSTS_UNKNOWN'] : [];
    if (hosts.result !== 0) reply(state, to, { ...hosts, lockType, words });
    else if (!isInUse(lockspace.phase)) reply(state, to, { result: LD_RESULT.STALE, lockType });
    else then();
  });
}

/** vgremove, or vgchange --lock-type none: the global lock moves first. */
function freeVg(state: DaemonState, lockspace: Lockspace, to: Waiter, request: VgRequest): void {
  freeOfGl(state, lockspace, { ...to, request }, () => {
    if (isInUse(lockspace.phase)) beginStop(state, lockspace, { removeVg: true, waiter: to });
    else reply(state, to, { result: LD_RESULT.STALE, lockType: lockspace.manager.lockType });
  });
}
