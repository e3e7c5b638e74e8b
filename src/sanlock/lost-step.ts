import { unreachable } from '../base/assert.ts';
import { type Backoff, nextPauseMs } from '../base/backoff.ts';
import { SECOND_MS } from '../base/units.ts';
import { REFUSED_LANDS_MS } from '../lease/lease-times.ts';

/**
 * A lockspace that was lost, because its storage did not answer in time, is joined again by the
 * daemon itself: what uses it (libvirt) joined it once, when it started, and would not again.
 *
 *   waiting ⇄ joining → joined → forgotten
 *      └── of an earlier daemon ──↗  handed over
 *
 * Nobody holds a lease in it any more when it is remembered: its users were stopped, and the
 * process that wrote for it has ended. The next membership has a new generation, as after a join
 * that a client requests.
 */
export type LostPhase =
  | { readonly kind: 'waiting'; readonly dueMs: number; readonly delayMs: number }
  /** `isAdded`: a client requests it too, and hears how this join ends. */
  | { readonly kind: 'joining'; readonly isAdded: boolean; readonly delayMs: number }
  /** No client has added it since: the first one is answered as if it had joined it. */
  | { readonly kind: 'joined' }
  | { readonly kind: 'forgotten' };

export type LostEvent =
  /** Once a second. `mayJoin`: nothing here is in its place, or has its name. */
  | { readonly kind: 'tick'; readonly mayJoin: boolean }
  /** A client adds it. */
  | { readonly kind: 'added' }
  /** Users may hold leases in it. */
  | { readonly kind: 'open' }
  /** Its join has failed, and the lease process of that has ended. */
  | { readonly kind: 'joinFailed'; readonly isFinal: boolean; readonly isSettled: boolean }
  /** It was joined, by this daemon or an earlier one, and is lost again. */
  | { readonly kind: 'lostAgain'; readonly isSettled: boolean }
  /** Its removal was asked for, or another lockspace is wanted in its place. */
  | { readonly kind: 'removed' };

export type LostEffect =
  | { readonly kind: 'join' }
  | { readonly kind: 'forget' }
  | { readonly kind: 'logRejoined' }
  | { readonly kind: 'logGivenUp' };

export interface LostStep {
  readonly phase: LostPhase;
  readonly effects: readonly LostEffect[];
}

/**
 * The first attempt comes soon: mostly the storage has returned before its users had ended. Each
 * starts a process, and reads the storage.
 */
const BACKOFF: Backoff = { firstMs: 5 * SECOND_MS, longestMs: 60 * SECOND_MS };

/** @param isSettled nothing that its last lease process was refused lands any more */
export function waitingSince(nowMs: number, isSettled: boolean): LostPhase {
  return waiting({ nowMs, delayMs: BACKOFF.firstMs, isSettled, nextMs: BACKOFF.firstMs });
}

function waiting(of: {
  readonly nowMs: number;
  readonly delayMs: number;
  readonly isSettled: boolean;
  readonly nextMs: number;
}): LostPhase {
  const waitMs = of.isSettled ? of.delayMs : Math.max(of.delayMs, REFUSED_LANDS_MS);
  return { kind: 'waiting', dueMs: of.nowMs + waitMs, delayMs: of.nextMs };
}

export function stepLost(phase: LostPhase, event: LostEvent, nowMs: number): LostStep {
  switch (event.kind) {
    case 'tick': {
      if (phase.kind !== 'waiting' || nowMs < phase.dueMs || !event.mayJoin) return stay(phase);
      const { delayMs } = phase;
      return { phase: { kind: 'joining', isAdded: false, delayMs }, effects: [{ kind: 'join' }] };
    }
    case 'added':
      return added(phase);
    case 'open':
      return opened(phase);
    case 'joinFailed': {
      if (phase.kind !== 'joining') return stay(phase);
      if (event.isFinal) return forget({ kind: 'logGivenUp' });
      const { delayMs } = phase;
      const { isSettled } = event;
      const nextMs = nextPauseMs(BACKOFF, delayMs);
      return stay(waiting({ nowMs, delayMs, isSettled, nextMs }));
    }
    case 'lostAgain':
      // After a restart it may be `waiting` since then: its membership was resumed meanwhile.
      return stay(phase.kind === 'forgotten' ? phase : waitingSince(nowMs, event.isSettled));
    case 'removed':
      return phase.kind === 'forgotten' ? stay(phase) : forget();
    default:
      return unreachable(event);
  }
}

function opened(phase: LostPhase): LostStep {
  switch (phase.kind) {
    case 'waiting': // an earlier daemon had joined it again, and no client had added it since
      return stay({ kind: 'joined' });
    case 'joining':
      if (phase.isAdded) return forget();
      return { phase: { kind: 'joined' }, effects: [{ kind: 'logRejoined' }] };
    case 'joined':
    case 'forgotten':
      return stay(phase);
    default:
      return unreachable(phase);
  }
}

function added(phase: LostPhase): LostStep {
  switch (phase.kind) {
    case 'waiting':
    case 'joining':
      return stay({ kind: 'joining', isAdded: true, delayMs: phase.delayMs });
    case 'joined':
      return forget();
    case 'forgotten':
      return stay(phase);
    default:
      return unreachable(phase);
  }
}

function forget(...first: readonly LostEffect[]): LostStep {
  return { phase: { kind: 'forgotten' }, effects: [...first, { kind: 'forget' }] };
}

function stay(phase: LostPhase): LostStep {
  return { phase, effects: [] };
}
