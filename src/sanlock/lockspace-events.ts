import type { LeaseTimes } from '../lease/lease-times.ts';
import type { FromLeaseProcess } from '../lease-process/messages.ts';
import type { LockspacePhase } from './lockspace-phase.ts';

export type Joined = Extract<FromLeaseProcess, { kind: 'joined' }>;
export type Renewed = Extract<FromLeaseProcess, { kind: 'renewed' }>;

/** What uses a lockspace at this moment. */
export interface Usage {
  /** A registered process holds a lease in it. */
  readonly byProcesses: boolean;
  /** A lease without a process is in it, and orphans count as users. */
  readonly byOrphans: boolean;
  /** A client declared it used, by SET_CONFIG. */
  readonly external: boolean;
}

export type LockspaceEvent =
  /** The journal of holders took no line for it. */
  | { readonly kind: 'notRecorded' }
  /** wdmd has its device open, or there is no watchdog. */
  | { readonly kind: 'mayJoin' }
  | { readonly kind: 'joined'; readonly message: Joined }
  | { readonly kind: 'joinFailed'; readonly result: number }
  /** wdmd knows the expiry, or there is no watchdog. */
  | { readonly kind: 'armed' }
  /** wdmd cannot be reached, or its device would fire too late: the lockspace is not joined. */
  | { readonly kind: 'watchdogFailed' }
  | { readonly kind: 'renewed'; readonly message: Renewed }
  | { readonly kind: 'removeAsked' }
  /**
   * `isOverwritten`: a renewal found another host's record, or damage. `isWatchdogAway`: wdmd was
   * told an expiry, and cannot be told now that it is withdrawn.
   */
  | {
      readonly kind: 'tick';
      readonly ageMs: number;
      readonly isOverwritten: boolean;
      readonly isWatchdogAway: boolean;
      readonly usage: Usage;
    }
  /** Writes that were refused may land until then. */
  | { readonly kind: 'leaveUnsure'; readonly untilMs: number }
  | { readonly kind: 'left' }
  /** The channel of its lease process broke unasked. */
  | { readonly kind: 'processLost' }
  /** Its lease process is gone for good, with every write that it had sent. */
  | { readonly kind: 'processEnded' };

export type LockspaceEffect =
  | { readonly kind: 'sendJoin' }
  | { readonly kind: 'takeJoin'; readonly message: Joined }
  /** Answered by `armed` or `watchdogFailed`, perhaps at once. */
  | { readonly kind: 'armWatchdog' }
  | { readonly kind: 'open' }
  | { readonly kind: 'failJoin'; readonly result: number }
  | { readonly kind: 'takeRenewal'; readonly message: Renewed }
  | { readonly kind: 'logLate' | 'logLost'; readonly ageMs: number }
  /** The lease process writes no lease any more. */
  | { readonly kind: 'refuse' }
  /** One attempt of the kill sequence (spec 20 §7). */
  | { readonly kind: 'stopUsers'; readonly removal: boolean }
  | { readonly kind: 'releaseWatchdog' }
  | { readonly kind: 'leave'; readonly release: boolean }
  | { readonly kind: 'logLeavesLater'; readonly untilMs: number }
  | { readonly kind: 'logProcessLost' }
  /** Answers the commands that its lease process will never answer. */
  | { readonly kind: 'failCommands' }
  | { readonly kind: 'endProcess' }
  | { readonly kind: 'forget' };

/** What holds at the moment of the event. */
export interface Moment {
  readonly nowMs: number;
  readonly times: LeaseTimes;
}

export interface Step {
  readonly phase: LockspacePhase;
  readonly effects: readonly LockspaceEffect[];
}
