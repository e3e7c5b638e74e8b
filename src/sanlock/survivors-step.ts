import { unreachable } from '../base/assert.ts';
import { SECOND_MS } from '../base/units.ts';
import type { LeaseError, LeaseErrorCode } from '../lease/lease-error.ts';

/**
 * The membership of an earlier daemon that left persistent leases. What uses them (an active LV) is
 * no process, so no end of a process releases them; and a new generation, or silence, would free
 * them on the disk. So a lease process of this daemon renews the host lease of that membership,
 * with its generation, and grants nothing, until an administrator removes the lockspace, which
 * releases the leases (decision 0015).
 *
 *   waiting → starting → resuming → renewing → leaving → released
 *      ↖ stopping ↙_________↙_________↙   its process failed or ended: another one, while it can
 *                 any → over              8·t have passed, or the disk has another record
 *
 * `lease` is a process of this daemon that has not ended for good; null: there is none.
 */
export type Resumption =
  | { readonly phase: 'waiting'; readonly notBeforeMs: number }
  /** Answered in the same instant. */
  | { readonly phase: 'starting'; readonly notBeforeMs: number }
  /** Its process compares the record on the disk with what the journal says. */
  | { readonly phase: 'resuming'; readonly lease: number; readonly notBeforeMs: number }
  | { readonly phase: 'renewing'; readonly lease: number; readonly notBeforeMs: number }
  /** Its process is killed and has not ended yet. */
  | { readonly phase: 'stopping'; readonly lease: number; readonly notBeforeMs: number }
  /** An administrator released the leases: done when no process can write any more. */
  | { readonly phase: 'leaving'; readonly lease: number | null }
  /** Nothing renews it any more. Only an administrator can do something about it. */
  | { readonly phase: 'over'; readonly lease: number | null }
  | { readonly phase: 'released' };

export type ResumptionEvent =
  /** Once a second, and when a process of the earlier daemon has ended. */
  | { readonly kind: 'tick' }
  /** A process was started; what cannot be recorded in the journal is not begun. */
  | { readonly kind: 'started'; readonly lease: number; readonly isRecorded: boolean }
  | ({ readonly kind: 'joined'; readonly generation: bigint } & Claim)
  | { readonly kind: 'joinFailed'; readonly error: LeaseError }
  | ({ readonly kind: 'renewed' } & Claim)
  | { readonly kind: 'renewalFailed'; readonly error: LeaseError; readonly overwritten: boolean }
  /** Its process has left the lockspace. */
  | { readonly kind: 'left' }
  /** Its process is gone for good, with all it sent to the disk. */
  | { readonly kind: 'ended' }
  /** By an administrator, or by the process that held the leases. */
  | { readonly kind: 'release' };

export interface Claim {
  readonly timestampS: number;
  readonly claimedBootMs: number;
}

export type ResumptionEffect =
  /** Answered by `started`. */
  | { readonly kind: 'start' }
  | { readonly kind: 'join'; readonly lease: number }
  | { readonly kind: 'leave'; readonly lease: number }
  /** Answered by `ended`. */
  | { readonly kind: 'end'; readonly lease: number }
  /** From now on the claim counts from there; `recorded`: the journal says so too. */
  | { readonly kind: 'claim'; readonly claim: Claim; readonly recorded: boolean }
  | { readonly kind: 'recordEnd' }
  /** No process of either daemon can write: the leases are released. */
  | { readonly kind: 'released' }
  | { readonly kind: 'logResumed'; readonly generation: bigint }
  | { readonly kind: 'logNotResumed'; readonly error: LeaseError }
  | { readonly kind: 'logRenewalFailed'; readonly error: LeaseError }
  | { readonly kind: 'logUnprotected'; readonly reason: string };

/** What holds at the moment of the event. */
export interface Moment {
  readonly nowMs: number;
  /** 8·t have passed since the last renewal: others may take the leases soon. */
  readonly isExpired: boolean;
  /** The lease process of the earlier daemon has not ended: it may still write. */
  readonly hasPredecessor: boolean;
}

export interface Step {
  readonly next: Resumption;
  readonly effects: readonly ResumptionEffect[];
}

/** From the start of one process to that of the next. */
const RETRY_MS = SECOND_MS;

/** The disk may answer otherwise the next time; every other answer is final. */
const TRANSIENT: ReadonlySet<LeaseErrorCode> = new Set(['AIO_TIMEOUT', 'ERRNO']);

export function stepResumption(state: Resumption, event: ResumptionEvent, at: Moment): Step {
  switch (event.kind) {
    case 'tick':
      return tick(state, at);
    case 'started':
      return started(state, event);
    case 'joined': {
      // Leaving: `left` follows. Being killed or given up: its answer counts for nothing.
      if (state.phase !== 'resuming') return stay(state);
      const { lease, notBeforeMs } = state;
      const claim = { kind: 'claim', claim: claimOf(event), recorded: false } as const;
      const resumed = { kind: 'logResumed', generation: event.generation } as const;
      return { next: { phase: 'renewing', lease, notBeforeMs }, effects: [claim, resumed] };
    }
    case 'joinFailed':
      return state.phase === 'resuming' ? joinFailed(state, event.error) : stop(state);
    case 'renewed':
      // Given up, or being released: what was renewed before is not claimed any more.
      if (state.phase !== 'renewing') return stay(state);
      return stay(state, { kind: 'claim', claim: claimOf(event), recorded: true });
    case 'renewalFailed': {
      const failed = { kind: 'logRenewalFailed', error: event.error } as const;
      if (!event.overwritten || state.phase !== 'renewing') return stay(state, failed);
      const { next, effects } = over(state, 'overwritten');
      return { next, effects: [failed, ...effects] };
    }
    case 'left':
      return stop(state);
    case 'ended': {
      const { next, effects } = tick(withoutProcess(state), at);
      return { next, effects: [{ kind: 'recordEnd' }, ...effects] };
    }
    case 'release':
      return release(state, at);
    default:
      return unreachable(event);
  }
}

/** The process of this daemon that works for it; null: there is none. */
export function processOf(state: Resumption): number | null {
  return 'lease' in state ? state.lease : null;
}

function tick(state: Resumption, at: Moment): Step {
  switch (state.phase) {
    case 'waiting':
      if (at.isExpired) return over(state, TOO_LATE);
      // A process of the earlier daemon may write, so nothing begins beside it.
      if (at.hasPredecessor || at.nowMs < state.notBeforeMs) return stay(state);
      return {
        next: { phase: 'starting', notBeforeMs: at.nowMs + RETRY_MS },
        effects: [{ kind: 'start' }],
      };
    case 'starting':
    case 'resuming':
    case 'renewing':
    case 'stopping':
      return at.isExpired ? over(state, TOO_LATE) : stay(state);
    case 'leaving':
      if (state.lease !== null || at.hasPredecessor) return stay(state);
      return { next: { phase: 'released' }, effects: [{ kind: 'released' }] };
    case 'over': // an administrator releases the leases, or the machine is rebooted
    case 'released':
      return stay(state);
    default:
      return unreachable(state);
  }
}

const TOO_LATE = 'its time has run out';

function started(
  state: Resumption,
  { lease, isRecorded }: Extract<ResumptionEvent, { kind: 'started' }>,
): Step {
  switch (state.phase) {
    case 'starting': {
      const { notBeforeMs } = state;
      if (isRecorded) {
        const effects = [{ kind: 'join', lease } as const];
        return { next: { phase: 'resuming', lease, notBeforeMs }, effects };
      }
      const effects = [{ kind: 'end', lease } as const];
      return { next: { phase: 'stopping', lease, notBeforeMs }, effects };
    }
    case 'leaving': // meanwhile: its process has nothing to do, and is awaited
    case 'over':
      return { next: { phase: state.phase, lease }, effects: [{ kind: 'end', lease }] };
    case 'waiting':
    case 'resuming':
    case 'renewing':
    case 'stopping':
    case 'released': // none was wanted
      return stay(state, { kind: 'end', lease });
    default:
      return unreachable(state);
  }
}

function joinFailed(state: Resumption, error: LeaseError): Step {
  if (!TRANSIENT.has(error.code)) {
    return over(state, `its host lease is not as it left it (${error.code})`);
  }
  const { next, effects } = stop(state);
  return { next, effects: [{ kind: 'logNotResumed', error }, ...effects] };
}

/** Its process has nothing to do any more; what comes next begins when it has ended. */
function stop(state: Resumption): Step {
  switch (state.phase) {
    case 'resuming':
    case 'renewing': {
      const { lease, notBeforeMs } = state;
      return {
        next: { phase: 'stopping', lease, notBeforeMs },
        effects: [{ kind: 'end', lease }],
      };
    }
    case 'leaving':
      return state.lease === null ? stay(state) : stay(state, { kind: 'end', lease: state.lease });
    case 'stopping': // killed already
    case 'over':
    case 'waiting': // there is none
    case 'starting':
    case 'released':
      return stay(state);
    default:
      return unreachable(state);
  }
}

function over(state: Resumption, reason: string): Step {
  const lease = processOf(state);
  const isKilled = lease === null || state.phase === 'stopping';
  const effects: ResumptionEffect[] = isKilled ? [] : [{ kind: 'end', lease }];
  effects.push({ kind: 'logUnprotected', reason });
  return { next: { phase: 'over', lease }, effects };
}

function withoutProcess(state: Resumption): Resumption {
  switch (state.phase) {
    case 'resuming':
    case 'renewing':
    case 'stopping':
      return { phase: 'waiting', notBeforeMs: state.notBeforeMs };
    case 'leaving':
    case 'over':
      return { phase: state.phase, lease: null };
    case 'waiting': // it has none
    case 'starting':
    case 'released':
      return state;
    default:
      return unreachable(state);
  }
}

/** Free on the disk at once, where it is renewed; else by time, or by the next join from here. */
function release(state: Resumption, at: Moment): Step {
  switch (state.phase) {
    case 'resuming':
    case 'renewing': {
      const { lease } = state;
      return { next: { phase: 'leaving', lease }, effects: [{ kind: 'leave', lease }] };
    }
    case 'waiting':
    case 'starting':
    case 'stopping': // a killed process is awaited
    case 'over':
      return tick({ phase: 'leaving', lease: processOf(state) }, at);
    case 'leaving': // asked for already
    case 'released':
      return stay(state);
    default:
      return unreachable(state);
  }
}

function claimOf({ timestampS, claimedBootMs }: Claim): Claim {
  return { timestampS, claimedBootMs };
}

function stay(state: Resumption, ...effects: readonly ResumptionEffect[]): Step {
  return { next: state, effects };
}
