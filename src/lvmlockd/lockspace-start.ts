import { assert } from '../base/assert.ts';
import { LD_RESULT } from '../wire/lvmlockd/numbers.ts';
import type { StartRequest } from '../wire/lvmlockd/requests.ts';
import { adoptText, type RememberedVgs } from './adopt.ts';
import { chooseGlType, noteGl } from './global-lock.ts';
import { gone, settleWaiters } from './lockspace-end.ts';
import { isJoined } from './lockspace-phase.ts';
import type { AdoptedLock, FoundSpace, LockManager } from './managers/manager.ts';
import { isManaged } from './managers/registry.ts';
import { changePhase } from './reattach.ts';
import { reply } from './replies.ts';
import { type DaemonState, type Lockspace, log, resourceIn, run } from './state.ts';
import { OF_DAEMON, ofSpace } from './task-owner.ts';
import { hasClash, isTooLong, lockspaceName } from './vg-names.ts';

/** start_vg: quick checks, then the answer, then the join (spec 30 §4.5). */
export function startVg(state: DaemonState, clientId: number, request: StartRequest): void {
  const to = { clientId, request };
  const { vgName, vgUuid, vgLockArgs, lockType } = request;
  const existing = state.lockspaces.find((one) => one.vg.vgName === vgName);
  if (existing !== undefined) {
    if (existing.vg.vgUuid === '') existing.vg.vgUuid = vgUuid;
    reply(state, to, { result: startedResult(existing, clientId) });
    return;
  }
  if (!isManaged(lockType) || isTooLong(state, vgName)) {
    reply(state, to, { result: vgName === '' ? LD_RESULT.EARGS : LD_RESULT.INVAL });
    return;
  }
  const manager = state.managers.get(lockType);
  if (manager === undefined) {
    reply(state, to, { result: LD_RESULT.PROTONOSUPPORT });
    return;
  }
  if (hasClash(state, vgName, manager)) {
    reply(state, to, { result: LD_RESULT.EARGS });
    return;
  }
  if (state.lockspaces.length >= state.limits.lockspaces) {
    reply(state, to, { result: LD_RESULT.NOMEM });
    return;
  }
  const hostId = request.hostId === 0 ? state.settings.hostId : request.hostId;
  const lockspace = addLockspace(state, manager, { vgName, vgUuid, vgLockArgs, hostId });
  lockspace.starters.push(clientId);
  prepare(state, lockspace, (outcome) => {
    reply(state, to, { ...outcome, lockType });
    if (outcome.result === LD_RESULT.EMANAGER) logNotRunning(state, lockspace);
  });
}

function startedResult(existing: Lockspace, clientId: number): number {
  if (existing.phase.kind === 'stopping') return LD_RESULT.AGAIN;
  if (isJoined(existing.phase)) return LD_RESULT.EXIST;
  existing.starters.push(clientId);
  return LD_RESULT.ESTARTING;
}

function logNotRunning(state: DaemonState, { vg, manager }: Lockspace): void {
  const { lockType, advice } = manager;
  const fields = { vg: vg.vgName, lockType, advice: advice.notRunning };
  log(state, 'error', 'manager.notRunning', fields);
}

function addLockspace(state: DaemonState, manager: LockManager, vg: FoundSpace): Lockspace {
  const id = state.nextLockspaceId;
  state.nextLockspaceId += 1;
  const { vgName, vgUuid, vgLockArgs, hostId } = vg;
  const lockspace: Lockspace = {
    id,
    name: lockspaceName(vgName),
    vg: { vgName, vgUuid, vgLockArgs },
    manager,
    hostId,
    space: manager.open({ vgName, vgUuid, vgLockArgs }, id),
    phase: { kind: 'preparing', isSessionLost: false },
    resources: [],
    onHold: [],
    attempt: 'none',
    glEnabled: false,
    glExpected: false,
    starters: [],
  };
  resourceIn(state, lockspace, { scope: 'vg', name: 'VGLK' });
  state.lockspaces.push(lockspace);
  return lockspace;
}

function prepare(
  state: DaemonState,
  lockspace: Lockspace,
  answered: (outcome: { readonly result: number; readonly lmResult: number }) => void,
): void {
  const { space, hostId, vg } = lockspace;
  const adopt = state.settings.adopt && lockspace.manager.traits.adoptsLocks;
  run(state, ofSpace(lockspace), space.prepare(hostId), (prepared) => {
    const { result, lmResult } = prepared;
    answered({ result, lmResult });
    if (result !== 0) {
      log(state, 'warn', 'lockspace.notStarted', { vg: vg.vgName, result });
      abandon(state, lockspace);
      return;
    }
    changePhase(state, lockspace, { kind: 'prepared' });
    lockspace.glExpected = prepared.glEnabled;
    run(state, ofSpace(lockspace), space.join(adopt), (joined) => {
      if (joined.result !== 0) {
        failedJoin(state, lockspace, joined.result);
        return;
      }
      changePhase(state, lockspace, { kind: 'joined' });
      state.lostSpaces.delete(vg.vgName);
      lockspace.glExpected = false;
      if (prepared.glEnabled) noteGl(state, lockspace, true);
      if (state.gl.madeIn === vg.vgName) state.gl.madeIn = '';
      holdAdopted(state, lockspace, joined.adopted);
      log(state, 'info', 'lockspace.joined', { vg: vg.vgName, hostId });
      state.effects.push({ kind: 'adoptFile', text: adoptText(state) });
      settleWaiters(state);
    });
  });
}

/** The clients that started it learn the reason from start_wait: no other reply would carry it. */
function failedJoin(state: DaemonState, lockspace: Lockspace, result: number): void {
  const vg = lockspace.vg.vgName;
  const { keptLocks } = lockspace.manager.advice;
  const advice = result === LD_RESULT.BUSY ? { advice: keptLocks } : {};
  log(state, 'error', 'lockspace.notJoined', { vg, hostId: lockspace.hostId, result, ...advice });
  for (const clientId of lockspace.starters) {
    const client = state.clients.get(clientId);
    if (client !== undefined) client.startFailure = result;
  }
  abandon(state, lockspace);
}

function abandon(state: DaemonState, lockspace: Lockspace): void {
  run(state, OF_DAEMON, lockspace.space.abandon(), () => {});
  gone(state, lockspace);
  settleWaiters(state);
}

/** LV locks of an earlier lvmlockd; lvm unlocks them when the LVs are deactivated. */
function holdAdopted(
  state: DaemonState,
  lockspace: Lockspace,
  adopted: readonly AdoptedLock[],
): void {
  for (const { resource, mode } of adopted) {
    const held = resourceIn(state, lockspace, resource);
    assert(held !== null, 'no more LVs are adopted than were locked');
    held.ref.lvLockArgs = resource.lvLockArgs;
    held.mode = mode;
    held.shCount = mode === 'sh' ? 1 : 0;
    held.locks.push({ mode, clientId: 0, version: 0 });
    const { vgName } = lockspace.vg;
    log(state, 'info', 'lock.adopted', { vg: vgName, resource: resource.name, mode });
  }
}

/** At start: adopts the lockspaces that a lock manager has joined for an earlier lvmlockd. */
export function adoptSpaces(state: DaemonState, remembered: RememberedVgs): void {
  for (const manager of state.managers.values()) {
    if (!manager.traits.adoptsLocks) continue;
    const { lockType } = manager;
    const vgs = remembered.get(lockType) ?? [];
    run(state, OF_DAEMON, manager.findSpaces(), (spaces) => {
      for (const space of spaces) {
        const isStarted = state.lockspaces.some((one) => one.vg.vgName === space.vgName);
        if (isStarted || lockspaceName(space.vgName) === '') continue;
        const known = vgs.find((one) => one.vgName === space.vgName);
        log(state, 'info', 'lockspace.found', { vg: space.vgName, hostId: space.hostId });
        chooseGlType(state, lockType);
        const lockspace = addLockspace(state, manager, { ...space, ...known });
        prepare(state, lockspace, () => {});
      }
    });
  }
}
