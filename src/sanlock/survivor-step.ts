import { unreachable } from '../base/assert.ts';
import { SECOND_MS } from '../base/units.ts';
import type { LeaseError, LeaseErrorCode } from '../lease/lease-error.ts';
import type { Joined, Renewed } from './lockspace-events.ts';

/**
 * The membership of an earlier daemon. A lease process of this daemon goes on with it, in the same
 * generation, so to other hosts nothing has happened. When its first renewal has landed, and wdmd
 * has its duty, it is handed over: an ordinary lockspace, with all who hold leases in it (decision
 * 0017). Before that nothing is granted in it.
 *
 *   waiting → starting → resuming → renewing → arming → handedOver
 *      ↖ stopping ↙_________↙_________↙_________↙   its process failed or ended: another one
 *                 any → over → leaving → released    8·t have passed, or the disk has another
 *                                                    record; then an administrator decides
 *
 * Where the journal is damaged there may be leases that are not in it. Such a membership is only
 * kept: renewed, and nothing is granted in it (resuming → keeping), until an administrator decides.
 *
 * `lease` is a process of this daemon that has not ended for good; null: there is none.
 */
export type SurvivorPhase =
  | { readonly kind: 'waiting'; readonly notBeforeMs: number }
  /** Answered in the same instant. */
  | { readonly kind: 'starting'; readonly notBeforeMs: number }
  /** Its process compares the record on the disk with what the journal says. */
  | { readonly kind: 'resuming'; readonly lease: number; readonly notBeforeMs: number }
  /** The record is its own. Its first renewal is awaited. */
  | { readonly kind: 'renewing'; readonly lease: number; readonly notBeforeMs: number }
  | ArmingPhase
  /** It is renewed, and never handed over. */
  | { readonly kind: 'keeping'; readonly lease: number; readonly notBeforeMs: number }
  /** Its process is killed and has not ended yet. */
  | { readonly kind: 'stopping'; readonly lease: number; readonly notBeforeMs: number }
  /** It is a lockspace of this daemon like any other. */
  | { readonly kind: 'handedOver' }
  /** Nothing renews it any more. Only an administrator can do something about it. */
  | { readonly kind: 'over'; readonly lease: number | null }
  /** An administrator released its leases: done when no process can write any more. */
  | { readonly kind: 'leaving'; readonly lease: number | null }
  | { readonly kind: 'released' };

/** It is renewed. wdmd is asked for its duty, again and again until it has it. */
interface ArmingPhase {
  readonly kind: 'arming';
  readonly lease: number;
  readonly notBeforeMs: number;
  /** When wdmd is asked next; null: it is being asked. */
  readonly askAtMs: number | null;
}

export type SurvivorEvent =
  /** Once a second, and when a process of the earlier daemon has ended. */
  | { readonly kind: 'tick' }
  /** A process was started; a resumption that cannot be recorded in the journal is not begun. */
  | { readonly kind: 'started'; readonly lease: number; readonly isRecorded: boolean }
  | { readonly kind: 'joined'; readonly message: Joined }
  | { readonly kind: 'joinFailed'; readonly error: LeaseError }
  | { readonly kind: 'renewed'; readonly message: Renewed }
  | { readonly kind: 'renewalFailed'; readonly error: LeaseError; readonly overwritten: boolean }
  /** wdmd knows the expiry, or there is no watchdog. */
  | { readonly kind: 'armed' }
  /** wdmd cannot be reached, or does not do what it was asked for. */
  | { readonly kind: 'watchdogFailed' }
  /** Its process has left the lockspace. */
  | { readonly kind: 'left' }
  /** Its process is gone for good, with all it sent to the disk. */
  | { readonly kind: 'processEnded' }
  /** By an administrator, or by the process that held the leases. */
  | { readonly kind: 'releaseAsked' };

export type SurvivorEffect =
  /** Answered by `started`. */
  | { readonly kind: 'startProcess' }
  | { readonly kind: 'join'; readonly lease: number }
  | { readonly kind: 'leave'; readonly lease: number }
  /** Answered by `processEnded`. */
  | { readonly kind: 'endProcess'; readonly lease: number }
  /** Kills the lease process of the earlier daemon, which did not end by itself. */
  | { readonly kind: 'endPredecessor' }
  /** From now on the claim counts from there. */
  | { readonly kind: 'takeJoin'; readonly message: Joined }
  | { readonly kind: 'takeRenewal'; readonly message: Renewed }
  /** Answered by `armed` or `watchdogFailed`, perhaps at once. */
  | { readonly kind: 'armWatchdog' }
  /** The connection to wdmd is closed; what it was told stays. */
  | { readonly kind: 'closeWatchdog' }
  | { readonly kind: 'handOver' }
  | { readonly kind: 'recordEnd' }
  /** No process of either daemon can write: the leases are released. */
  | { readonly kind: 'released' }
  | { readonly kind: 'logResumed'; readonly generation: bigint }
  | { readonly kind: 'logNotResumed'; readonly error: LeaseError }
  | { readonly kind: 'logRenewalFailed'; readonly error: LeaseError }
  /** `isTooLate`: only its time is over, so when its users have ended it may be joined again. */
  | { readonly kind: 'over'; readonly isTooLate: boolean; readonly reason: string };

/** What holds at the moment of the event. */
export interface Moment {
  readonly nowMs: number;
  /** 8·t have passed since the last renewal: others may take the leases soon. */
  readonly isExpired: boolean;
  /** Little is left of the 8·t, or nothing. */
  readonly isLate: boolean;
  /** The lease process of the earlier daemon has not ended: it may still write. */
  readonly hasPredecessor: boolean;
  /** The journal names all its leases. */
  readonly isWhole: boolean;
}

export interface Step {
  readonly phase: SurvivorPhase;
  readonly effects: readonly SurvivorEffect[];
}

/** From the start of one process to that of the next, and from one question to wdmd to the next. */
const RETRY_MS = SECOND_MS;

/** The disk may answer otherwise the next time; every other answer is final. */
const TRANSIENT: ReadonlySet<LeaseErrorCode> = new Set(['AIO_TIMEOUT', 'ERRNO']);

export function stepSurvivor(phase: SurvivorPhase, event: SurvivorEvent, at: Moment): Step {
  switch (event.kind) {
    case 'tick':
      return tick(phase, at);
    case 'started':
      return started(phase, event);
    case 'joined': {
      // Being killed or given up: its answer counts for nothing.
      if (phase.kind !== 'resuming') return stay(phase);
      const { lease, notBeforeMs } = phase;
      const { message } = event;
      const kind = at.isWhole ? 'renewing' : 'keeping';
      const resumed = { kind: 'logResumed', generation: message.generation } as const;
      const effects = [{ kind: 'takeJoin', message } as const, resumed];
      return { phase: { kind, lease, notBeforeMs }, effects };
    }
    case 'joinFailed':
      return phase.kind === 'resuming' ? joinFailed(phase, event.error) : stop(phase);
    case 'renewed':
      return renewed(phase, event.message);
    case 'renewalFailed': {
      const failed = { kind: 'logRenewalFailed', error: event.error } as const;
      if (!event.overwritten || !isRenewed(phase)) return stay(phase, failed);
      return over(phase, otherRecord('overwritten'), failed);
    }
    case 'armed':
      if (phase.kind !== 'arming' || phase.askAtMs !== null) return stay(phase); // given up
      if (at.isExpired) return over(phase, TOO_LATE);
      return { phase: { kind: 'handedOver' }, effects: [{ kind: 'handOver' }] };
    case 'watchdogFailed':
      if (phase.kind !== 'arming') return stay(phase); // as above
      return stay({ ...phase, askAtMs: at.nowMs + RETRY_MS }, { kind: 'closeWatchdog' });
    case 'left':
      return stop(phase);
    case 'processEnded': {
      const { phase: without, effects } = withoutProcess(phase);
      const step = tick(without, at);
      return { phase: step.phase, effects: [...effects, { kind: 'recordEnd' }, ...step.effects] };
    }
    case 'releaseAsked':
      return release(phase, at);
    default:
      return unreachable(event);
  }
}

function isRenewed({ kind }: SurvivorPhase): boolean {
  return kind === 'renewing' || kind === 'arming' || kind === 'keeping';
}

/** The process of this daemon that works for it; null: there is none. */
export function processOf(phase: SurvivorPhase): number | null {
  return 'lease' in phase ? phase.lease : null;
}

/** It may still be handed over. */
export function isUndecided({ kind }: SurvivorPhase): boolean {
  switch (kind) {
    case 'waiting':
    case 'starting':
    case 'resuming':
    case 'renewing':
    case 'arming':
    case 'stopping':
      return true;
    case 'keeping':
    case 'handedOver':
    case 'over':
    case 'leaving':
    case 'released':
      return false;
    default:
      return unreachable(kind);
  }
}

function tick(phase: SurvivorPhase, at: Moment): Step {
  switch (phase.kind) {
    case 'waiting':
      if (at.isExpired) return over(phase, TOO_LATE);
      // A process of the earlier daemon may write, so nothing begins beside it.
      if (at.hasPredecessor) return stay(phase, ...endingPredecessor(at));
      if (at.nowMs < phase.notBeforeMs) return stay(phase);
      return {
        phase: { kind: 'starting', notBeforeMs: at.nowMs + RETRY_MS },
        effects: [{ kind: 'startProcess' }],
      };
    case 'starting':
    case 'resuming':
    case 'renewing':
    case 'keeping':
    case 'stopping':
      return at.isExpired ? over(phase, TOO_LATE) : stay(phase);
    case 'arming':
      if (at.isExpired) return over(phase, TOO_LATE);
      if (phase.askAtMs === null || at.nowMs < phase.askAtMs) return stay(phase);
      return stay({ ...phase, askAtMs: null }, { kind: 'armWatchdog' });
    case 'leaving':
      if (phase.lease !== null) return stay(phase);
      if (at.hasPredecessor) return stay(phase, ...endingPredecessor(at));
      return { phase: { kind: 'released' }, effects: [{ kind: 'released' }] };
    case 'over': // an administrator releases the leases, or the machine is rebooted
      return phase.lease === null ? stay(phase, ...endingPredecessor(at)) : stay(phase);
    case 'handedOver':
    case 'released':
      return stay(phase);
    default:
      return unreachable(phase);
  }
}

/**
 * One that is stopped, or whose loop hangs, never learns that its daemon is gone, and would keep
 * its lockspace closed for ever. It is killed as late as leaves time to resume: one that ends by
 * itself says which writes were refused. The kernel ends it when what it sent is done.
 */
function endingPredecessor({ hasPredecessor, isLate }: Moment): SurvivorEffect[] {
  return hasPredecessor && isLate ? [{ kind: 'endPredecessor' }] : [];
}

const TOO_LATE: Cause = { isTooLate: true, reason: 'its time has run out' };

function renewed(phase: SurvivorPhase, message: Renewed): Step {
  const taken = { kind: 'takeRenewal', message } as const;
  switch (phase.kind) {
    case 'renewing': {
      const { lease, notBeforeMs } = phase;
      const effects = [taken, { kind: 'armWatchdog' } as const];
      return { phase: { kind: 'arming', lease, notBeforeMs, askAtMs: null }, effects };
    }
    case 'arming':
    case 'keeping':
      return stay(phase, taken);
    case 'waiting': // given up, or killed: an earlier renewal claims nothing any more
    case 'starting':
    case 'resuming':
    case 'stopping':
    case 'handedOver':
    case 'over':
    case 'leaving':
    case 'released':
      return stay(phase);
    default:
      return unreachable(phase);
  }
}

function started(
  phase: SurvivorPhase,
  { lease, isRecorded }: Extract<SurvivorEvent, { kind: 'started' }>,
): Step {
  switch (phase.kind) {
    case 'starting': {
      const { notBeforeMs } = phase;
      if (isRecorded) {
        const effects = [{ kind: 'join', lease } as const];
        return { phase: { kind: 'resuming', lease, notBeforeMs }, effects };
      }
      const effects = [{ kind: 'endProcess', lease } as const];
      return { phase: { kind: 'stopping', lease, notBeforeMs }, effects };
    }
    case 'leaving': // meanwhile: its process has nothing to do, and is awaited
    case 'over':
      return { phase: { kind: phase.kind, lease }, effects: [{ kind: 'endProcess', lease }] };
    case 'waiting':
    case 'resuming':
    case 'renewing':
    case 'arming':
    case 'keeping':
    case 'stopping':
    case 'handedOver':
    case 'released': // none was wanted
      return stay(phase, { kind: 'endProcess', lease });
    default:
      return unreachable(phase);
  }
}

function joinFailed(phase: SurvivorPhase, error: LeaseError): Step {
  if (!TRANSIENT.has(error.code)) {
    return over(phase, otherRecord(`its host lease is not as it left it (${error.code})`));
  }
  const step = stop(phase);
  return { phase: step.phase, effects: [{ kind: 'logNotResumed', error }, ...step.effects] };
}

/** Its process has nothing to do any more; the next phase begins when it has ended. */
function stop(phase: SurvivorPhase): Step {
  switch (phase.kind) {
    case 'resuming':
    case 'renewing':
    case 'arming':
    case 'keeping': {
      const { lease, notBeforeMs } = phase;
      const effects = [...closing(phase), { kind: 'endProcess', lease } as const];
      return { phase: { kind: 'stopping', lease, notBeforeMs }, effects };
    }
    case 'leaving':
      return phase.lease === null
        ? stay(phase)
        : stay(phase, { kind: 'endProcess', lease: phase.lease });
    case 'stopping': // killed already
    case 'over':
    case 'waiting': // there is none
    case 'starting':
    case 'handedOver': // it is another machine's
    case 'released':
      return stay(phase);
    default:
      return unreachable(phase);
  }
}

interface Cause {
  readonly isTooLate: boolean;
  readonly reason: string;
}

/** The disk has another record than its own. */
function otherRecord(reason: string): Cause {
  return { isTooLate: false, reason };
}

function over(phase: SurvivorPhase, cause: Cause, ...first: readonly SurvivorEffect[]): Step {
  const lease = processOf(phase);
  const isKilled = lease === null || phase.kind === 'stopping';
  const effects = [...first, ...closing(phase)];
  if (!isKilled) effects.push({ kind: 'endProcess', lease });
  const { isTooLate, reason } = cause;
  effects.push({ kind: 'over', isTooLate, reason });
  return { phase: { kind: 'over', lease }, effects };
}

function withoutProcess(phase: SurvivorPhase): Step {
  switch (phase.kind) {
    case 'resuming':
    case 'renewing':
    case 'arming':
    case 'keeping':
    case 'stopping': {
      const { notBeforeMs } = phase;
      return { phase: { kind: 'waiting', notBeforeMs }, effects: closing(phase) };
    }
    case 'leaving':
    case 'over':
      return stay({ kind: phase.kind, lease: null });
    case 'waiting': // it has none
    case 'starting':
    case 'handedOver':
    case 'released':
      return stay(phase);
    default:
      return unreachable(phase);
  }
}

/** Free on the disk at once, where it is renewed; else by time, or by the next join from here. */
function release(phase: SurvivorPhase, at: Moment): Step {
  switch (phase.kind) {
    case 'keeping': {
      const { lease } = phase;
      return { phase: { kind: 'leaving', lease }, effects: [{ kind: 'leave', lease }] };
    }
    case 'over':
      return tick({ kind: 'leaving', lease: phase.lease }, at);
    case 'waiting': // it may still be handed over; then it is removed as any other
    case 'starting':
    case 'resuming':
    case 'renewing':
    case 'arming':
    case 'stopping':
    case 'handedOver':
    case 'leaving': // asked for already
    case 'released':
      return stay(phase);
    default:
      return unreachable(phase);
  }
}

/** wdmd is told anew when another process has renewed. */
function closing({ kind }: SurvivorPhase): SurvivorEffect[] {
  return kind === 'arming' ? [{ kind: 'closeWatchdog' }] : [];
}

function stay(phase: SurvivorPhase, ...effects: readonly SurvivorEffect[]): Step {
  return { phase, effects };
}
