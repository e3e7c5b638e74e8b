import { LD_FLAG, LD_RESULT } from '../wire/lvmlockd/numbers.ts';
import type { HeldMode, Outcome } from './managers/manager.ts';
import {
  type Action,
  type Lock,
  type LockAction,
  lockActions,
  nextAttempt,
  type Resource,
  type ResourceEffect,
  versionAfter,
} from './resource.ts';

/** In this order (spec 30 §5); each returns whether it changed anything, and then all run again. */
export const PASSES: readonly ((r: Resource, nowMs: number, out: ResourceEffect[]) => boolean)[] = [
  passUpdate,
  passBadMode,
  passUnlock,
  passGone,
  passFreeAndSwitch,
  passAnswerable,
  passAcquire,
];

function passUpdate(r: Resource, _nowMs: number, out: ResourceEffect[]): boolean {
  const action = r.actions.find((one) => one.kind === 'update');
  if (action === undefined) return false;
  const lock = r.locks.find((one) => one.clientId === action.clientId);
  if (lock === undefined) return settle(r, action, LD_RESULT.NOENT, out);
  if (lock.mode !== 'ex') return settle(r, action, LD_RESULT.INVAL, out);
  lock.version = action.request.nextVersion ? r.version + 1 : action.request.version;
  return settle(r, action, LD_RESULT.OK, out);
}

function passBadMode(r: Resource, _nowMs: number, out: ResourceEffect[]): boolean {
  const action = lockActions(r).find(({ request: { mode } }) => mode === 'iv' || mode === 'nl');
  return action !== undefined && settle(r, action, LD_RESULT.INVAL, out);
}

function passUnlock(r: Resource, _nowMs: number, out: ResourceEffect[]): boolean {
  const action = lockActions(r).find(({ request }) => request.mode === 'un');
  if (action === undefined) return false;
  const owner = action.request.persistent ? 0 : action.clientId;
  if (action.isUndo && r.lastClientId !== action.clientId) {
    return settle(r, action, LD_RESULT.NOENT, out);
  }
  r.lastClientId = action.clientId;
  const lock = r.locks.find((one) => one.clientId === owner);
  if (lock !== undefined) {
    take(r, action);
    release(r, lock, action, out);
    return true;
  }
  const waiting = action.request.unlockCancel ? queuedFor(r, action) : undefined;
  if (waiting === undefined) return settle(r, action, LD_RESULT.NOENT, out);
  settle(r, waiting, LD_RESULT.CANCELED, out);
  return settle(r, action, LD_RESULT.CANCELED, out);
}

/** The queued request that `unlock_cancel` means: any persistent one, or the client's own. */
function queuedFor(r: Resource, action: LockAction): LockAction | undefined {
  const { persistent } = action.request;
  return lockActions(r).find(
    (one) =>
      one.request.mode !== 'un' &&
      (persistent ? one.request.persistent : one.clientId === action.clientId),
  );
}

function passGone(r: Resource, _nowMs: number, out: ResourceEffect[]): boolean {
  const clientId = r.gone.shift();
  if (clientId === undefined) return false;
  r.actions = r.actions.filter((one) => one.clientId !== clientId || isUndo(one));
  const lock = r.locks.find((one) => one.clientId === clientId);
  if (lock !== undefined) release(r, lock, null, out);
  return true;
}

function passFreeAndSwitch(r: Resource, _nowMs: number, out: ResourceEffect[]): boolean {
  const action = r.actions.find((one) => one.kind === 'freeLv' || one.kind === 'switchGl');
  if (action === undefined) return false;
  if (r.mode !== 'un' || r.locks.length > 0) {
    const held = action.kind === 'freeLv' ? LD_RESULT.BUSY : LD_RESULT.INVAL;
    return settle(r, action, held, out);
  }
  take(r, action);
  if (action.kind === 'freeLv') {
    r.running = { op: 'freeLv', action };
    out.push({ kind: 'freeLv', lvLockArgs: action.request.lvLockArgs || r.ref.lvLockArgs });
  } else if (action.kind === 'switchGl') {
    r.running = { op: 'switchGl', action };
    out.push({ kind: 'switchGl', enable: action.enable });
  }
  return true;
}

/** Requests that the locks held here already decide, and conversions. */
function passAnswerable(r: Resource, _nowMs: number, out: ResourceEffect[]): boolean {
  for (const action of lockActions(r)) {
    const own = r.locks.find((lock) => lock.clientId === action.clientId);
    const persistent = r.locks.find((lock) => lock.clientId === 0);
    const { mode } = action.request;
    if (!action.request.persistent) {
      if (own !== undefined) return convertOrAlready(r, own, action, out);
      if (persistent !== undefined) {
        const covered = persistent.mode === 'ex' || mode === 'sh';
        if (covered) return settle(r, action, LD_RESULT.OK, out);
        return settle(r, action, LD_RESULT.EXIST, out, LD_FLAG.SH_EXISTS);
      }
    } else if (persistent !== undefined) {
      return convertOrAlready(r, persistent, action, out);
    } else if (own !== undefined) {
      if (own.mode !== mode) return settle(r, action, LD_RESULT.EXIST, out);
      own.clientId = 0;
      r.lastClientId = action.clientId;
      take(r, action);
      // It is undone, as any other new lock, when the client never reads the answer.
      out.push({ kind: 'answer', action, result: 0, lmResult: 0, flag: '', isNewLock: true });
      return true;
    }
  }
  return false;
}

function convertOrAlready(
  r: Resource,
  lock: Lock,
  action: LockAction,
  out: ResourceEffect[],
): boolean {
  const mode = action.request.mode === 'ex' ? 'ex' : 'sh';
  if (lock.mode === mode) {
    r.lastClientId = action.clientId; // it uses the lock too: nothing undoes the lock under it
    return settle(r, action, LD_RESULT.ALREADY, out);
  }
  if (mode === 'ex' && r.shCount > 1) return settle(r, action, LD_RESULT.AGAIN, out);
  take(r, action);
  const newVersion = mode === 'sh' ? versionAfter(r, lock) : 0;
  r.running = { op: 'convert', mode, lock, action };
  const held = { resource: { ...r.ref }, mode: lock.mode, newVersion };
  out.push({ kind: 'convert', held, mode });
  if (newVersion !== 0) r.version = newVersion;
  return true;
}

function passAcquire(r: Resource, nowMs: number, out: ResourceEffect[]): boolean {
  if (r.mode === 'sh') {
    const [next] = lockActions(r);
    if (next === undefined || next.request.mode !== 'sh') return false;
    grant(r, next, 'sh', out); // one: the passes run again with its lock
    return true;
  }
  const attempt = nextAttempt(r);
  const due = new Set(attempt?.serves.filter((action) => action.dueMs <= nowMs));
  if (attempt === null || due.size === 0) return false;
  const { mode, serves } = attempt;
  r.ref.lvLockArgs = serves[0]?.request.lvLockArgs ?? '';
  r.running = { op: 'lock', mode, serves, due };
  out.push({ kind: 'lock', mode });
  return true;
}

export function grant(
  r: Resource,
  action: LockAction,
  mode: HeldMode,
  out: ResourceEffect[],
): void {
  r.locks.push({ mode, clientId: action.request.persistent ? 0 : action.clientId, version: 0 });
  if (mode === 'sh') r.shCount += 1;
  r.lastClientId = action.clientId;
  take(r, action);
  out.push({ kind: 'answer', action, result: 0, lmResult: 0, flag: '', isNewLock: true });
}

/** Forgets one lock; the lock manager releases the resource with the last one. */
export function release(
  r: Resource,
  lock: Lock | null,
  action: LockAction | null,
  out: ResourceEffect[],
): void {
  const newVersion = versionAfter(r, lock ?? undefined);
  r.locks = r.locks.filter((one) => one !== lock);
  if (r.mode === 'sh' && r.shCount > 1) {
    r.shCount -= 1;
    if (action !== null) answer(action, { result: 0, lmResult: 0 }, out);
    return;
  }
  const mode = r.mode === 'ex' ? 'ex' : 'sh';
  r.running = { op: 'unlock', action };
  out.push({ kind: 'unlock', held: { resource: { ...r.ref }, mode, newVersion } });
  if (newVersion !== 0) r.version = newVersion;
}

function isUndo(action: Action): boolean {
  return action.kind === 'lock' && action.isUndo;
}

export function take(r: Resource, action: Action): void {
  r.actions = r.actions.filter((one) => one !== action);
}

function settle(
  r: Resource,
  action: Action,
  result: number,
  out: ResourceEffect[],
  flag: '' | typeof LD_FLAG.SH_EXISTS = '',
): true {
  take(r, action);
  out.push({ kind: 'answer', action, result, lmResult: 0, flag, isNewLock: false });
  return true;
}

export function answer(action: Action, outcome: Outcome, out: ResourceEffect[]): void {
  const { result, lmResult } = outcome;
  const why = outcome.heldElsewhere === true ? { heldElsewhere: true as const } : {};
  out.push({ kind: 'answer', action, result, lmResult, flag: '', isNewLock: false, ...why });
}
