/**
 * Where a lockspace stands between its add and its end:
 *
 *   waiting → joining → arming → live → stopping → leaving → ending → forgotten
 *      │          └────────┴───────────────────────────↗        ↑
 *      └────────────────────────────────────────────────────────┘  never joined
 *
 * `stepLockspace` makes every change; the questions below are asked everywhere.
 */
export type LockspacePhase =
  /** wdmd is asked for first: nothing is on the disk yet. */
  | { readonly kind: 'waiting' }
  /** Its lease process acquires the host id. */
  | { readonly kind: 'joining' }
  /** The host id is ours on the disk; wdmd learns the expiry before a client may use it. */
  | { readonly kind: 'arming' }
  | LivePhase
  | StoppingPhase
  | LeavingPhase
  /** Its lease process was killed: until that has exited, the host id is not joined again. */
  | ({ readonly kind: 'ending' } & Reasons);

/** Users may hold leases in it. */
export interface LivePhase {
  readonly kind: 'live';
  /** No renewal will ever come again; users are stopped when their time is up. */
  readonly processLost: boolean;
  /** Its removal was asked for: its users are stopped from the next tick on. */
  readonly removal: boolean;
  /** That its renewal is late was logged. */
  readonly warned: boolean;
}

/** No lease is granted any more; its users are stopped. */
export interface StoppingPhase extends Reasons {
  readonly kind: 'stopping';
}

/** Its lease process was asked to leave, and answers `left`. */
export interface LeavingPhase extends Reasons {
  readonly kind: 'leaving';
  /** Users could hold leases in it: a renewal that still comes revives nothing. */
  readonly wasLive: boolean;
  /** When a lease process has been silent for too long. */
  readonly byMs: number;
  /** How far it may put that off, while writes that were refused may land. */
  readonly mostMs: number;
}

/** Why users are, or were, stopped; both may be true. */
interface Reasons {
  /** The claim to the host id is lost, or its lease process is. */
  readonly failed: boolean;
  readonly removal: boolean;
}

export const WAITING: LockspacePhase = { kind: 'waiting' };
/** Also of a lockspace that is handed over by an earlier daemon: it begins there. */
export const LIVE: LivePhase = { kind: 'live', processLost: false, removal: false, warned: false };

/** The list of STATUS and GET_LOCKSPACES that shows it. */
export type LockspaceList = 'adding' | 'live' | 'removing';

const LISTS: Readonly<Record<LockspacePhase['kind'], LockspaceList>> = {
  waiting: 'adding',
  joining: 'adding',
  arming: 'adding',
  live: 'live',
  stopping: 'live',
  leaving: 'removing',
  ending: 'removing',
};

export function listOf({ phase }: { readonly phase: LockspacePhase }): LockspaceList {
  return LISTS[phase.kind];
}

/** Joined, and nothing is known that ends it. That its claim has not expired is asked apart. */
export function mayGrant({ phase }: { readonly phase: LockspacePhase }): boolean {
  return phase.kind === 'live' && !phase.processLost && !phase.removal;
}

/** Of a lockspace that is being lost no lease is written: the end of the host id frees them. */
export function mayRelease({ phase }: { readonly phase: LockspacePhase }): boolean {
  return phase.kind === 'live' && !phase.processLost;
}

/** `space_dead` of STATUS: nothing in it is granted or renewed any more. */
export function isDead({ phase }: { readonly phase: LockspacePhase }): boolean {
  if (phase.kind === 'leaving') return phase.wasLive;
  return phase.kind === 'stopping' || phase.kind === 'ending';
}

/** `renew_fail` of STATUS. */
export function hasFailed({ phase }: { readonly phase: LockspacePhase }): boolean {
  if (phase.kind === 'live') return phase.processLost;
  return 'failed' in phase && phase.failed;
}

export function isRemoved({ phase }: { readonly phase: LockspacePhase }): boolean {
  return 'removal' in phase && phase.removal;
}

/** It will not be live again: its removal was asked for, or its host id is being released. */
export function isGivenUp(of: { readonly phase: LockspacePhase }): boolean {
  return isRemoved(of) || of.phase.kind === 'leaving' || of.phase.kind === 'ending';
}
