import { assert } from '../base/assert.ts';
import type { ByteString } from '../base/bytes.ts';
import type { LD_FLAG } from '../wire/lvmlockd/numbers.ts';
import type {
  FreeLvRequest,
  LockRequest,
  UpdateRequest,
  VgRequest,
} from '../wire/lvmlockd/requests.ts';
import type {
  HeldLock,
  HeldMode,
  HostSeen,
  LockOutcome,
  Outcome,
  ResourceRef,
} from './managers/manager.ts';

/** A lock of a client, or a persistent one, which stays until any client unlocks it. */
export interface Lock {
  mode: HeldMode;
  /** 0: persistent. */
  clientId: number;
  /** Set by vg_update; becomes the resource's version when the lock is released. */
  version: number;
}

/**
 * Takes an answer that is one part of what the client asked for; false: it is the client's answer.
 */
export type Answered = (outcome: {
  readonly result: number;
  readonly lmResult: number;
  readonly flag: '' | typeof LD_FLAG.SH_EXISTS;
  /** Refused, because another host has it. */
  readonly heldElsewhere?: true;
}) => boolean;

/** One request waiting on a resource. */
export type Action =
  | {
      readonly kind: 'lock';
      readonly clientId: number;
      readonly request: LockRequest;
      /** Refusals so far; where the quick repeats of the first second are skipped, they count too. */
      tries: number;
      /** Not tried before then: another host had it. */
      dueMs: number;
      /** An unlock of our own making: skipped when another client has used the resource since. */
      readonly isUndo: boolean;
      readonly answered?: Answered;
    }
  | { readonly kind: 'update'; readonly clientId: number; readonly request: UpdateRequest }
  | { readonly kind: 'freeLv'; readonly clientId: number; readonly request: FreeLvRequest }
  | {
      readonly kind: 'switchGl';
      readonly clientId: number;
      readonly request: VgRequest;
      readonly enable: boolean;
      readonly answered?: Answered;
    };

export type LockAction = Extract<Action, { kind: 'lock' }>;

/** The lock manager's procedure under way for this resource; everything else waits. */
export type Running =
  | {
      readonly op: 'lock';
      readonly mode: HeldMode;
      readonly serves: readonly LockAction[];
      /** Those whose time had come: a refusal counts as one try of these alone. */
      readonly due: ReadonlySet<LockAction>;
    }
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
  /** The client that last locked or unlocked it. */
  lastClientId: number;
  running: Running | null;
  /** Which host was found to have it, when this one was refused; null: none was looked for. */
  holder: { readonly seen: HostSeen | null; readonly atMs: number } | null;
  /** Those who wait for that to be found out; null: it is not being found out. */
  holderWanted: ((seen: HostSeen | null) => void)[] | null;
}

export type ResourceEffect =
  | {
      readonly kind: 'answer';
      readonly action: Action;
      readonly result: number;
      readonly lmResult: number;
      readonly flag: '' | typeof LD_FLAG.SH_EXISTS;
      /** A lock that was not there before, or not for longer than its client. */
      readonly isNewLock: boolean;
      /** Refused, because another host has it. */
      readonly heldElsewhere?: true;
    }
  /** Ask the lock manager; the outcome comes back as the event `managed`. */
  | { readonly kind: 'lock'; readonly mode: HeldMode }
  | { readonly kind: 'convert'; readonly held: HeldLock; readonly mode: HeldMode }
  | { readonly kind: 'unlock'; readonly held: HeldLock }
  /** `lvLockArgs`: where the lease is, by the request or by the last lock. */
  | { readonly kind: 'freeLv'; readonly lvLockArgs: ByteString }
  | { readonly kind: 'switchGl'; readonly enable: boolean };

export type ResourceEvent =
  | { readonly kind: 'action'; readonly action: Action }
  | { readonly kind: 'managed'; readonly outcome: Outcome | LockOutcome }
  | { readonly kind: 'clientGone'; readonly clientId: number }
  /** The lock manager does not hold it for us any more. */
  | { readonly kind: 'lost' }
  | { readonly kind: 'tick' };

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
    holder: null,
    holderWanted: null,
  };
}

/** No client holds it or waits for it. */
export function isIdle({ mode, locks, actions, gone, running }: Resource): boolean {
  const isUsed = locks.length > 0 || actions.length > 0 || gone.length > 0;
  return mode === 'un' && !isUsed && running === null;
}

/** The invariants between two steps. */
export function checkResource({ locks, mode, shCount, running }: Resource): void {
  const owners = new Set(locks.map(({ clientId }) => clientId)); // 0 owns the persistent one
  assert(owners.size === locks.length, 'one lock an owner, so that one unlock ends what it holds');
  const exclusive = locks.filter((lock) => lock.mode === 'ex');
  assert(exclusive.length === 0 || locks.length === 1, 'an exclusive lock is alone');
  if (running !== null) return; // the lock manager's answer decides what is held
  const held = exclusive.length > 0 ? 'ex' : locks.length > 0 ? 'sh' : 'un';
  assert(mode === held, 'the lock manager holds what the clients do');
  assert(mode !== 'sh' || shCount === locks.length, 'each shared lock is counted');
}

/** The next lock to ask of the lock manager, and the requests that it serves. */
export interface Attempt {
  readonly mode: HeldMode;
  readonly serves: readonly LockAction[];
}

/**
 * One attempt serves every shared request up to the first exclusive one, so none passes a waiting
 * exclusive request; a request that waits for its retry keeps its place. null: no request waits.
 */
export function nextAttempt(r: Resource): Attempt | null {
  // Asked of every resource after every event: most of them have nothing to wait for.
  if (r.actions.length === 0 || r.mode !== 'un' || r.running !== null) return null;
  const queue = lockActions(r);
  const firstEx = queue.findIndex(({ request }) => request.mode === 'ex');
  const shared = firstEx < 0 ? queue : queue.slice(0, firstEx);
  const together = shared.length > 0 ? shared : queue.slice(0, 1);
  // Nothing but an orphan serves it: others take the lock in any case.
  const isAlone = together[0]?.request.adopt === 'only';
  const firstOnly = together.findIndex(({ request }) => request.adopt === 'only');
  const atMost = isAlone ? 1 : firstOnly < 0 ? together.length : firstOnly;
  const serves = together.slice(0, atMost);
  return serves.length === 0 ? null : { mode: shared.length > 0 ? 'sh' : 'ex', serves };
}

/**
 * When the next attempt is due, if no event comes before; null: no request waits for a time. A
 * request that waits for an answer, or for a lock held here, needs no tick.
 */
export function nextDueMs(r: Resource): number | null {
  const attempt = nextAttempt(r);
  return attempt === null ? null : Math.min(...attempt.serves.map(({ dueMs }) => dueMs));
}

/** The lock that the lock manager holds for this resource. */
export function heldLock(r: Resource): HeldLock | null {
  if (r.mode === 'un') return null;
  const holder = r.locks.find((lock) => lock.mode === 'ex');
  return { resource: { ...r.ref }, mode: r.mode, newVersion: versionAfter(r, holder) };
}

/** The version to leave behind when an exclusive lock ends; 0: nothing new. */
export function versionAfter(r: Resource, lock: Lock | undefined): number {
  if (lock === undefined || lock.mode !== 'ex') return 0;
  if (r.ref.scope === 'gl') return r.version + 1;
  return r.ref.scope === 'vg' && lock.version > r.version ? lock.version : 0;
}

export function lockActions(r: Resource): LockAction[] {
  return r.actions.filter((one) => one.kind === 'lock');
}
