import type { ByteString } from '../base/bytes.ts';
import { LD_FLAG, LD_RESULT } from '../wire/lvmlockd-numbers.ts';
import type {
  FreeLvRequest,
  LockRequest,
  UpdateRequest,
  VgRequest,
} from '../wire/lvmlockd-requests.ts';
import type { HeldLock, HeldMode, LockOutcome, Outcome, ResourceRef } from './managers/manager.ts';

/** A lock of a client, or of nobody in particular: persistent, until somebody unlocks it. */
export interface Lock {
  mode: HeldMode;
  /** 0: persistent. */
  clientId: number;
  /** Told by vg_update; becomes the resource's version when the lock is released. */
  version: number;
}

/** One request waiting on a resource. */
export type Action =
  | {
      readonly kind: 'lock';
      readonly clientId: number;
      readonly request: LockRequest;
      tries: number;
      /** Not tried before then: another host had it. */
      dueMs: number;
      /** An unlock of our own making: skipped when another client has used the resource since. */
      readonly isUndo: boolean;
    }
  | { readonly kind: 'update'; readonly clientId: number; readonly request: UpdateRequest }
  | { readonly kind: 'freeLv'; readonly clientId: number; readonly request: FreeLvRequest }
  | {
      readonly kind: 'switchGl';
      readonly clientId: number;
      readonly request: VgRequest;
      readonly enable: boolean;
    };

export type LockAction = Extract<Action, { kind: 'lock' }>;

/** What the lock manager is doing for this resource; everything else waits. */
export type Running =
  | { readonly op: 'lock'; readonly mode: HeldMode; readonly serves: readonly LockAction[] }
  | { readonly op: 'convert'; readonly mode: HeldMode; lock: Lock; readonly action: LockAction }
  | { readonly op: 'unlock'; readonly action: LockAction | null }
  | { readonly op: 'freeLv' | 'switchGl'; readonly action: Action };

export interface Resource {
  readonly ref: { scope: ResourceRef['scope']; name: ByteString; lvLockArgs: ByteString };
  mode: 'un' | HeldMode;
  shCount: number;
  version: number;
  locks: Lock[];
  actions: Action[];
  /** Clients that are gone and whose locks are still to be released. */
  gone: number[];
  /** Who last locked or unlocked it. */
  lastClientId: number;
  running: Running | null;
}

export type ResourceEffect =
  | {
      readonly kind: 'answer';
      readonly action: Action;
      readonly result: number;
      readonly lmResult: number;
      readonly flag: '' | typeof LD_FLAG.SH_EXISTS;
      /** A lock that was not there before. */
      readonly isNewLock: boolean;
    }
  /** Ask the lock manager; the outcome comes back as the event `managed`. */
  | { readonly kind: 'lock'; readonly mode: HeldMode }
  | { readonly kind: 'convert'; readonly held: HeldLock; readonly mode: HeldMode }
  | { readonly kind: 'unlock'; readonly held: HeldLock }
  | { readonly kind: 'freeLv' }
  | { readonly kind: 'switchGl'; readonly enable: boolean };

export type ResourceEvent =
  | { readonly kind: 'action'; readonly action: Action }
  | { readonly kind: 'managed'; readonly outcome: Outcome | LockOutcome }
  | { readonly kind: 'clientGone'; readonly clientId: number }
  | { readonly kind: 'tick' };

export const RETRY_MS = 1000;

export function newResource(ref: ResourceRef): Resource {
  return {
    ref: { ...ref },
    mode: 'un',
    shCount: 0,
    version: 0,
    locks: [],
    actions: [],
    gone: [],
    lastClientId: 0,
    running: null,
  };
}

/** One event in, what to do out. The passes run until none of them changes anything. */
export function stepResource(r: Resource, event: ResourceEvent, nowMs: number): ResourceEffect[] {
  const out: ResourceEffect[] = [];
  if (event.kind === 'action') r.actions.push(event.action);
  else if (event.kind === 'clientGone') r.gone.push(event.clientId);
  else if (event.kind === 'managed') finish(r, event.outcome, nowMs, out);
  while (r.running === null && PASSES.some((pass) => pass(r, nowMs, out)));
  return out;
}

/** When to look again, if nothing happens before; null: no request waits for a retry. */
export function nextDueMs(r: Resource): number | null {
  let next: number | null = null;
  for (const action of r.actions) {
    if (action.kind !== 'lock' || action.dueMs === 0) continue;
    if (next === null || action.dueMs < next) next = action.dueMs;
  }
  return next;
}

export function isHeld(r: Resource): boolean {
  return r.locks.length > 0 || r.mode !== 'un' || r.running?.op === 'lock';
}

/** What the lock manager holds for this resource. */
export function heldLock(r: Resource): HeldLock | null {
  if (r.mode === 'un') return null;
  const holder = r.locks.find((lock) => lock.mode === 'ex');
  return { resource: { ...r.ref }, mode: r.mode, newVersion: versionAfter(r, holder) };
}

/** In this order (spec 30 §5); each returns whether it changed anything, and then all run again. */
const PASSES: readonly ((r: Resource, nowMs: number, out: ResourceEffect[]) => boolean)[] = [
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
    out.push({ kind: 'freeLv' });
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
      return settle(r, action, LD_RESULT.OK, out);
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
  if (lock.mode === mode) return settle(r, action, LD_RESULT.ALREADY, out);
  if (mode === 'ex' && r.shCount > 1) return settle(r, action, LD_RESULT.AGAIN, out);
  take(r, action);
  if (action.request.lvLockArgs !== '') r.ref.lvLockArgs = action.request.lvLockArgs;
  const newVersion = mode === 'sh' ? versionAfter(r, lock) : 0;
  r.running = { op: 'convert', mode, lock, action };
  const held = { resource: { ...r.ref }, mode: lock.mode, newVersion };
  out.push({ kind: 'convert', held, mode });
  if (newVersion !== 0) r.version = newVersion;
  return true;
}

/**
 * One attempt serves every shared request up to the first exclusive one, so nobody passes a
 * waiting exclusive request; a request that waits for its retry holds its place.
 */
function passAcquire(r: Resource, nowMs: number, out: ResourceEffect[]): boolean {
  if (r.mode === 'ex') return false;
  const queue = lockActions(r);
  const firstEx = queue.findIndex(({ request }) => request.mode === 'ex');
  const shared = firstEx < 0 ? queue : queue.slice(0, firstEx);
  if (r.mode === 'sh') {
    for (const action of shared) grant(r, action, 'sh', out);
    return shared.length > 0;
  }
  const mode = shared.length > 0 ? 'sh' : 'ex';
  const serves = shared.length > 0 ? shared : queue.slice(0, 1);
  if (!serves.some((action) => action.dueMs <= nowMs)) return false;
  r.ref.lvLockArgs = serves[0]?.request.lvLockArgs ?? '';
  r.running = { op: 'lock', mode, serves };
  out.push({ kind: 'lock', mode });
  return true;
}

/** The lock manager is done with what was asked of it. */
function finish(
  r: Resource,
  outcome: Outcome | LockOutcome,
  nowMs: number,
  out: ResourceEffect[],
): void {
  const running = r.running;
  r.running = null;
  if (running === null) return; // given up meanwhile
  const { result, lmResult } = outcome;
  if (running.op === 'lock') {
    finishLock(r, running, outcome, nowMs, out);
  } else if (running.op === 'unlock') {
    r.mode = 'un';
    r.shCount = 0;
    if (running.action !== null) answer(running.action, { result: 0, lmResult: 0 }, out);
  } else if (running.op === 'convert') {
    // A step down whose outcome is not known counts as done: we may hold more, never claim more.
    if (result === 0 || running.mode === 'sh') {
      running.lock.mode = running.mode;
      r.mode = running.mode;
      r.shCount = running.mode === 'sh' ? 1 : 0;
      r.lastClientId = running.action.clientId;
    }
    answer(running.action, { result, lmResult }, out);
  } else {
    answer(running.action, { result, lmResult }, out);
  }
}

function finishLock(
  r: Resource,
  running: Extract<Running, { op: 'lock' }>,
  outcome: Outcome | LockOutcome,
  nowMs: number,
  out: ResourceEffect[],
): void {
  const waiting = running.serves.filter((action) => r.actions.includes(action));
  if (outcome.result === LD_RESULT.OK) {
    r.mode = running.mode;
    if ('version' in outcome) r.version = outcome.version;
    for (const action of waiting) grant(r, action, running.mode, out);
    // Whoever it was for has been cancelled: nobody would ever release it.
    if (waiting.length === 0) release(r, null, null, out);
    return;
  }
  const worthIt = 'retry' in outcome && (outcome.retry || r.ref.scope !== 'lv');
  for (const action of waiting) {
    if (
      outcome.result === LD_RESULT.AGAIN &&
      worthIt &&
      action.tries <= action.request.maxRetries
    ) {
      action.tries += 1;
      action.dueMs = nowMs + RETRY_MS;
    } else {
      take(r, action);
      answer(action, outcome, out);
    }
  }
}

function grant(r: Resource, action: LockAction, mode: HeldMode, out: ResourceEffect[]): void {
  r.locks.push({ mode, clientId: action.request.persistent ? 0 : action.clientId, version: 0 });
  if (mode === 'sh') r.shCount += 1;
  r.lastClientId = action.clientId;
  take(r, action);
  out.push({ kind: 'answer', action, result: 0, lmResult: 0, flag: '', isNewLock: true });
}

/** Forgets one lock; with the last one the lock manager lets go. */
function release(
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

/** The version to leave behind when an exclusive lock ends; 0: nothing new. */
function versionAfter(r: Resource, lock: Lock | undefined): number {
  if (lock === undefined || lock.mode !== 'ex') return 0;
  if (r.ref.scope === 'gl') return r.version + 1;
  return r.ref.scope === 'vg' && lock.version > r.version ? lock.version : 0;
}

function lockActions(r: Resource): LockAction[] {
  return r.actions.filter((one) => one.kind === 'lock');
}

function isUndo(action: Action): boolean {
  return action.kind === 'lock' && action.isUndo;
}

function take(r: Resource, action: Action): void {
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

function answer(action: Action, outcome: Outcome, out: ResourceEffect[]): void {
  const { result, lmResult } = outcome;
  out.push({ kind: 'answer', action, result, lmResult, flag: '', isNewLock: false });
}
