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
export type SurvivorPhase =
  | { readonly kind: 'waiting'; readonly notBeforeMs: number }
  /** Answered in the same instant. */
  | { readonly kind: 'starting'; readonly notBeforeMs: number }
  /** Its process compares the record on the disk with what the journal says. */
  | { readonly kind: 'resuming'; readonly lease: number; readonly notBeforeMs: number }
  | { readonly kind: 'renewing'; readonly lease: number; readonly notBeforeMs: number }
  /** Its process is killed and has not ended yet. */
  | { readonly kind: 'stopping'; readonly lease: number; readonly notBeforeMs: number }
  /** An administrator released the leases: done when no process can write any more. */
  | { readonly kind: 'leaving'; readonly lease: number | null }
  /** Nothing renews it any more. Only an administrator can do something about it. */
  | { readonly kind: 'over'; readonly lease: number | null }
  | { readonly kind: 'released' };

export type SurvivorEvent =
  /** Once a second, and when a process of the earlier daemon has ended. */
  | { readonly kind: 'tick' }
  /** A process was started; a resumption that cannot be recorded in the journal is not begun. */
  | { readonly kind: 'started'; readonly lease: number; readonly isRecorded: boolean }
  | ({ readonly kind: 'joined'; readonly generation: bigint } & Claim)
  | { readonly kind: 'joinFailed'; readonly error: LeaseError }
  | ({ readonly kind: 'renewed' } & Claim)
  | { readonly kind: 'renewalFailed'; readonly error: LeaseError; readonly overwritten: boolean }
  /** Its process has left the lockspace. */
  | { readonly kind: 'left' }
  /** Its process is gone for good, with all it sent to the disk. */
  | { readonly kind: 'processEnded' }
  /** By an administrator, or by the process that held the leases. */
  | { readonly kind: 'releaseAsked' };

export interface Claim {
  readonly timestampS: number;
  readonly claimedBootMs: number;
}

export type SurvivorEffect =
  /** Answered by `started`. */
  | { readonly kind: 'startProcess' }
  | { readonly kind: 'join'; readonly lease: number }
  | { readonly kind: 'leave'; readonly lease: number }
  /** Answered by `processEnded`. */
  | { readonly kind: 'endProcess'; readonly lease: number }
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
  readonly phase: SurvivorPhase;
  readonly effects: readonly SurvivorEffect[];
}

/** From the start of one process to that of the next. */
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
      // Leaving: `left` follows. Being killed or given up: its answer counts for nothing.
      if (phase.kind !== 'resuming') return stay(phase);
      const { lease, notBeforeMs } = phase;
      const claim = { kind: 'claim', claim: claimOf(event), recorded: false } as const;
      const resumed = { kind: 'logResumed', generation: event.generation } as const;
      return { phase: { kind: 'renewing', lease, notBeforeMs }, effects: [claim, resumed] };
    }
    case 'joinFailed':
      return phase.kind === 'resuming' ? joinFailed(phase, event.error) : stop(phase);
    case 'renewed':
      // Given up, or being released: an earlier renewal claims nothing any more.
      if (phase.kind !== 'renewing') return stay(phase);
      return stay(phase, { kind: 'claim', claim: claimOf(event), recorded: true });
    case 'renewalFailed': {
      const failed = { kind: 'logRenewalFailed', error: event.error } as const;
      if (!event.overwritten || phase.kind !== 'renewing') return stay(phase, failed);
      const given = over(phase, 'overwritten');
      return { phase: given.phase, effects: [failed, ...given.effects] };
    }
    case 'left':
      return stop(phase);
    case 'processEnded': {
      const step = tick(withoutProcess(phase), at);
      return { phase: step.phase, effects: [{ kind: 'recordEnd' }, ...step.effects] };
    }
    case 'releaseAsked':
      return release(phase, at);
    default:
      return unreachable(event);
  }
}

/** The process of this daemon that works for it; null: there is none. */
export function processOf(phase: SurvivorPhase): number | null {
  return 'lease' in phase ? phase.lease : null;
}

function tick(phase: SurvivorPhase, at: Moment): Step {
  switch (phase.kind) {
    case 'waiting':
      if (at.isExpired) return over(phase, TOO_LATE);
      // A process of the earlier daemon may write, so nothing begins beside it.
      if (at.hasPredecessor || at.nowMs < phase.notBeforeMs) return stay(phase);
      return {
        phase: { kind: 'starting', notBeforeMs: at.nowMs + RETRY_MS },
        effects: [{ kind: 'startProcess' }],
      };
    case 'starting':
    case 'resuming':
    case 'renewing':
    case 'stopping':
      return at.isExpired ? over(phase, TOO_LATE) : stay(phase);
    case 'leaving':
      if (phase.lease !== null || at.hasPredecessor) return stay(phase);
      return { phase: { kind: 'released' }, effects: [{ kind: 'released' }] };
    case 'over': // an administrator releases the leases, or the machine is rebooted
    case 'released':
      return stay(phase);
    default:
      return unreachable(phase);
  }
}

const TOO_LATE = 'its time has run out';

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
    case 'stopping':
    case 'released': // none was wanted
      return stay(phase, { kind: 'endProcess', lease });
    default:
      return unreachable(phase);
  }
}

function joinFailed(phase: SurvivorPhase, error: LeaseError): Step {
  if (!TRANSIENT.has(error.code)) {
    return over(phase, `its host lease is not as it left it (${error.code})`);
  }
  const step = stop(phase);
  return { phase: step.phase, effects: [{ kind: 'logNotResumed', error }, ...step.effects] };
}

/** Its process has nothing to do any more; the next phase begins when it has ended. */
function stop(phase: SurvivorPhase): Step {
  switch (phase.kind) {
    case 'resuming':
    case 'renewing': {
      const { lease, notBeforeMs } = phase;
      return {
        phase: { kind: 'stopping', lease, notBeforeMs },
        effects: [{ kind: 'endProcess', lease }],
      };
    }
    case 'leaving':
      return phase.lease === null
        ? stay(phase)
        : stay(phase, { kind: 'endProcess', lease: phase.lease });
    case 'stopping': // killed already
    case 'over':
    case 'waiting': // there is none
    case 'starting':
    case 'released':
      return stay(phase);
    default:
      return unreachable(phase);
  }
}

function over(phase: SurvivorPhase, reason: string): Step {
  const lease = processOf(phase);
  const isKilled = lease === null || phase.kind === 'stopping';
  const effects: SurvivorEffect[] = isKilled ? [] : [{ kind: 'endProcess', lease }];
  effects.push({ kind: 'logUnprotected', reason });
  return { phase: { kind: 'over', lease }, effects };
}

function withoutProcess(phase: SurvivorPhase): SurvivorPhase {
  switch (phase.kind) {
    case 'resuming':
    case 'renewing':
    case 'stopping':
      return { kind: 'waiting', notBeforeMs: phase.notBeforeMs };
    case 'leaving':
    case 'over':
      return { kind: phase.kind, lease: null };
    case 'waiting': // it has none
    case 'starting':
    case 'released':
      return phase;
    default:
      return unreachable(phase);
  }
}

/** Free on the disk at once, where it is renewed; else by time, or by the next join from here. */
function release(phase: SurvivorPhase, at: Moment): Step {
  switch (phase.kind) {
    case 'resuming':
    case 'renewing': {
      const { lease } = phase;
      return { phase: { kind: 'leaving', lease }, effects: [{ kind: 'leave', lease }] };
    }
    case 'starting': // the process that is being started is ended first
      return stay({ kind: 'leaving', lease: null });
    case 'waiting':
    case 'stopping': // a killed process is awaited
    case 'over':
      return tick({ kind: 'leaving', lease: processOf(phase) }, at);
    case 'leaving': // asked for already
    case 'released':
      return stay(phase);
    default:
      return unreachable(phase);
  }
}

function claimOf({ timestampS, claimedBootMs }: Claim): Claim {
  return { timestampS, claimedBootMs };
}

function stay(phase: SurvivorPhase, ...effects: readonly SurvivorEffect[]): Step {
  return { phase, effects };
}
