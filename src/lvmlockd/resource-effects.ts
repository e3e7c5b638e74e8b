import { assert, unreachable } from '../base/assert.ts';
import type { ByteString } from '../base/bytes.ts';
import { LD_OP, LD_RESULT } from '../wire/lvmlockd/numbers.ts';
import type { Adopt, LockRequest } from '../wire/lvmlockd/requests.ts';
import { hasDuplicateGl } from './gl-carriers.ts';
import { noteGl } from './global-lock.ts';
import { findHolder, isHeldElsewhere, logHeldElsewhere, noteHolder } from './holders.ts';
import { continueStop } from './lockspace-end.ts';
import { both, type HeldLock, type LockOutcome, type Outcome } from './managers/manager.ts';
import type { ManagerSteps } from './managers/steps.ts';
import { putOnHold, sessionLost } from './reattach.ts';
import { duplicateWords, reply } from './replies.ts';
import {
  type Action,
  isIdle,
  type LockAction,
  type Resource,
  type ResourceEffect,
  type ResourceEvent,
} from './resource.ts';
import { stepResource } from './resource-step.ts';
import { type DaemonState, type Lockspace, log, run } from './state.ts';
import { ofSpace } from './task-owner.ts';
import { endHold, type FreedOutcome, freeable, freeThenUnlock } from './vg-hold.ts';

/** Steps one resource of a lockspace and applies its effects. */
export function advanceResource(
  state: DaemonState,
  lockspace: Lockspace,
  resource: Resource,
  event: ResourceEvent,
): void {
  if (event.kind === 'action') {
    const { action } = event;
    const isUndo = action.kind === 'lock' && action.isUndo;
    assert(isUndo || state.clients.has(action.clientId), 'a request belongs to a living client');
  }
  for (const effect of stepResource(resource, event, state.nowMs)) {
    if (effect.kind === 'answer') answerAction(state, lockspace, resource, effect);
    else manage(state, lockspace, resource, effect);
  }
  forgetIdleLv(state, lockspace, resource);
  const kept = resource.ref.scope === 'vg' ? endHold(lockspace, resource) : 0;
  if (kept > 0) log(state, 'info', 'lease.kept', { vg: lockspace.vg.vgName, leases: kept });
  if (resource.running === null) continueStop(state, lockspace);
}

/**
 * An LV that nobody locks or waits for is forgotten: a VG may have thousands. Where its lease is
 * stays known to the client that unlocked it, which may free it next (spec 31 §8).
 */
function forgetIdleLv(state: DaemonState, lockspace: Lockspace, resource: Resource): void {
  const { ref, lastClientId } = resource;
  if (ref.scope !== 'lv' || !isIdle(resource)) return;
  forgetIfIdle(lockspace, resource);
  const { unlocked } = lockspace;
  if (ref.lvLockArgs === '' || !state.clients.has(lastClientId)) return;
  unlocked.delete(ref.name);
  unlocked.set(ref.name, { clientId: lastClientId, lvLockArgs: ref.lvLockArgs });
  const [oldest] = unlocked.keys();
  if (unlocked.size > state.limits.resources && oldest !== undefined) unlocked.delete(oldest);
}

type Managed = Exclude<ResourceEffect, { kind: 'answer' }>;

/** Asks the lock manager; while it is gone, or when it goes, that waits (lockspace-phase.ts). */
function manage(
  state: DaemonState,
  lockspace: Lockspace,
  resource: Resource,
  effect: Managed,
): void {
  const finish = (outcome: Outcome | LockOutcome) => {
    advanceResource(state, lockspace, resource, { kind: 'managed', outcome });
  };
  const { running } = resource;
  const wait = (failure: Outcome | LockOutcome) => {
    // A conversion of a lock that was lost meanwhile has been answered.
    const ifWanted = (then: () => void) => () => {
      if (resource.running === running) then();
    };
    putOnHold(lockspace, {
      clientId: null,
      again: ifWanted(() => manage(state, lockspace, resource, effect)),
      fail: ifWanted(() => finish(failure)),
    });
  };
  if (lockspace.phase.kind === 'reattaching') {
    wait(GONE);
    return;
  }
  const done = (outcome: Outcome | LockOutcome) => {
    const { kind } = lockspace.phase;
    if (outcome.interrupted !== true || (kind !== 'running' && kind !== 'reattaching')) {
      finish(outcome);
      return;
    }
    wait(outcome);
    if (kind === 'running') sessionLost(state, lockspace);
  };
  ask(state, lockspace, resource, { effect, done });
}

/** Not asked: the lock manager did not come back. */
const GONE: Outcome = both(LD_RESULT.ELMERR);

function ask(
  state: DaemonState,
  lockspace: Lockspace,
  resource: Resource,
  what: { readonly effect: Managed; readonly done: (outcome: Outcome | LockOutcome) => void },
): void {
  const { effect, done } = what;
  const { space } = lockspace;
  const owner = ofSpace(lockspace);
  const ref = { ...resource.ref };
  switch (effect.kind) {
    case 'lock': {
      const checkGl = ref.scope !== 'lv' && lockspace.glEnabled && hasDuplicateGl(state);
      const repair = resource.running?.op === 'lock' && wantsRepair(resource.running.serves);
      const adopt = resource.running?.op === 'lock' ? adoptOf(resource.running.serves) : 'no';
      run(state, owner, space.lock(ref, effect.mode, checkGl, repair, adopt), (outcome) => {
        logRepair(state, lockspace, ref.name, outcome);
        if (outcome.glEnabled === false) noteGl(state, lockspace, false);
        done(outcome);
        if (outcome.result === LD_RESULT.OK) resource.holder = null;
        else if (outcome.heldElsewhere === true) noteHolder(state, lockspace, resource);
      });
      return;
    }
    case 'convert':
      run(state, owner, space.convert(effect.held, effect.mode), done);
      return;
    case 'unlock':
      run(state, owner, unlockSteps(lockspace, resource, effect.held), (outcome) => {
        if (outcome.interrupted !== true) noteFreed(state, lockspace, outcome);
        if (outcome.lmResult !== 0 && outcome.interrupted !== true) {
          log(state, 'warn', 'lock.notReleased', { vg: lockspace.vg.vgName, resource: ref.name });
        }
        done(outcome);
      });
      return;
    case 'freeLv':
      run(state, owner, space.freeLv({ ...ref, lvLockArgs: effect.lvLockArgs }), (outcome) => {
        done(outcome);
        if (outcome.result === 0) forgetIfIdle(lockspace, resource);
      });
      return;
    case 'switchGl':
      run(state, owner, space.switchGl(effect.enable), (outcome) => {
        if (outcome.result === 0) noteGl(state, lockspace, effect.enable);
        done(outcome);
        if (outcome.result === 0 && !effect.enable) forgetIfIdle(lockspace, resource);
      });
      return;
    default:
      unreachable(effect);
  }
}

/** A request to adopt alone is served alone (`nextAttempt`). */
function adoptOf(serves: readonly LockAction[]): Adopt {
  return serves[0]?.request.adopt ?? 'no';
}

function wantsRepair(serves: readonly LockAction[]): boolean {
  return serves.some(({ request }) => request.repair);
}

function logRepair(
  state: DaemonState,
  lockspace: Lockspace,
  resource: ByteString,
  { repair, result }: LockOutcome,
): void {
  const fields = { vg: lockspace.vg.vgName, resource };
  if (repair === 'done') log(state, 'warn', 'lease.repaired', fields);
  if (repair === 'needed') log(state, 'error', 'lease.damaged', { ...fields, advice: REPAIR });
  const refused = { ...fields, result, advice: STOP_OTHERS };
  if (repair === 'refused') log(state, 'error', 'lease.notRepaired', refused);
}

const REPAIR =
  'no host can lock it: stop the VG on all other hosts (vgchange --lockstop), then repeat with ' +
  '--lockopt repair, or run lvmlockctl --check VG --repair';
const STOP_OTHERS =
  'a host may hold it, or its storage fails: stop the VG on all other hosts (vgchange ' +
  '--lockstop, lvmlockctl --drop), then repeat';

/** A VG lock that a command gives back takes the leases with it that the command has freed. */
function unlockSteps(
  lockspace: Lockspace,
  resource: Resource,
  held: HeldLock,
): ManagerSteps<FreedOutcome> {
  const { space } = lockspace;
  const { running } = resource;
  const clientId = running?.op === 'unlock' ? (running.action?.clientId ?? 0) : 0;
  const { vgHold: hold } = lockspace;
  const isGivenBack = resource.ref.scope === 'vg' && hold?.clientId === clientId;
  const frees = isGivenBack ? freeable(hold) : [];
  const free = frees.filter(({ name }) =>
    lockspace.resources.every((one) => one.ref.name !== name),
  );
  return freeThenUnlock(space, free, () => space.unlock(held));
}

function noteFreed(state: DaemonState, lockspace: Lockspace, outcome: FreedOutcome): void {
  for (const lvUuid of outcome.freed) lockspace.vgHold?.frees.delete(lvUuid);
  for (const { lvUuid, result } of outcome.notFreed.slice(0, MAX_LOGGED)) {
    const fields = { vg: lockspace.vg.vgName, resource: lvUuid, result };
    log(state, 'warn', 'lease.notFreed', fields);
  }
}

const MAX_LOGGED = 20;

/** A resource that a request waits for stays: its lock would never be released otherwise. */
function forgetIfIdle(lockspace: Lockspace, resource: Resource): void {
  if (!isIdle(resource)) return;
  const at = lockspace.resources.indexOf(resource);
  if (at >= 0) lockspace.resources.splice(at, 1);
}

function answerAction(
  state: DaemonState,
  lockspace: Lockspace,
  resource: Resource,
  effect: Extract<ResourceEffect, { kind: 'answer' }>,
): void {
  const { action, result, lmResult } = effect;
  const request = requestOf(action);
  const client = state.clients.get(action.clientId);
  const granted = result === LD_RESULT.OK && action.kind === 'lock' && !action.isUndo;
  const isLock = granted && action.request.mode !== 'un';
  if (isLock && resource.ref.scope === 'lv') state.lvGrants += 1;
  const outlives = action.kind === 'lock' && action.request.persistent;
  if (effect.isNewLock && outlives && resource.ref.scope === 'lv') {
    const grant = { lockspaceId: lockspace.id, resource: resource.ref.name };
    if (client === undefined) undoGrant(state, lockspace, resource, action.clientId);
    else client.lastGrant = grant;
  }
  if (request === null || client === undefined) return;
  const answered = 'answered' in action ? action.answered : undefined;
  if (answered?.(effect) === true) return;
  const carriesGl = resource.ref.scope !== 'lv' && isLock;
  const words = [
    ...(carriesGl ? duplicateWords(state, lockspace) : []),
    ...(effect.flag === '' ? [] : [effect.flag]),
  ];
  const isNowhere = result === LD_RESULT.ENOLS;
  const lockType = isNowhere ? request.lockType : lockspace.manager.lockType;
  const to = { clientId: client.id, request };
  const outcome = { result, lmResult, lockType, words, lockspace };
  if (action.kind !== 'lock' || !isHeldElsewhere(effect)) {
    reply(state, to, outcome);
    return;
  }
  findHolder(state, lockspace, resource, (seen) => {
    logHeldElsewhere(state, lockspace, { resource, action, seen });
    reply(state, to, { ...outcome, owner: seen });
  });
}

function requestOf(action: Action) {
  if (action.kind === 'lock') return action.isUndo ? null : action.request;
  return action.request;
}

/** A persistent lock whose grant no client has read would stay for ever (spec 30 §5, Disconnect). */
export function undoGrant(
  state: DaemonState,
  lockspace: Lockspace,
  resource: Resource,
  clientId: number,
): void {
  log(state, 'warn', 'lock.undone', { vg: lockspace.vg.vgName, resource: resource.ref.name });
  unlockUnasked(state, lockspace, resource, clientId);
}

/** Releases a persistent lock, unless another client than `clientId` has named it since. */
export function unlockUnasked(
  state: DaemonState,
  lockspace: Lockspace,
  resource: Resource,
  clientId: number,
): void {
  const request: LockRequest = {
    kind: 'lock',
    op: LD_OP.LOCK,
    cmd: '',
    pid: 0,
    lockType: lockspace.manager.lockType,
    scope: resource.ref.scope,
    mode: 'un',
    persistent: true,
    unlockCancel: false,
    maxRetries: 0,
    adopt: 'no',
    repair: false,
    vgName: lockspace.vg.vgName,
    lvUuid: resource.ref.name,
    lvLockArgs: '',
  };
  const action = { kind: 'lock', clientId, request, tries: 0, dueMs: 0, isUndo: true } as const;
  advanceResource(state, lockspace, resource, { kind: 'action', action: { ...action } });
}
