import { unreachable } from '../base/assert.ts';
import { type Backoff, nextPauseMs } from '../base/backoff.ts';
import type { Waiter } from './waiter.ts';

/**
 * Where a VG's lockspace stands, and every transition of it.
 *
 *   preparing → joining → running → stopping → (gone)
 *   preparing, joining → cancelling → (gone), or running when the join was faster
 *                          running ⇄ reattaching → detached
 *                          running → detached: the lock manager is there, and has it no more
 *                          running, reattaching, detached → killed
 */
export type SpacePhase =
  /** `isSessionLost`: the lock manager ended the session meanwhile. */
  | { readonly kind: 'preparing' | 'joining'; readonly isSessionLost: boolean }
  | Cancelling
  | { readonly kind: 'running' }
  | Reattaching
  /** Nothing protects the locks granted before: the lock manager is gone, or another one came. */
  | { readonly kind: 'detached' }
  /** The lock manager lost the storage of the locks (kill_vg). */
  | { readonly kind: 'killed' }
  | Stopping;

/** It was to be stopped while it was being started (join-cancel.ts). */
interface Cancelling {
  readonly kind: 'cancelling';
  /** The lock manager may have been asked to join it. */
  readonly isJoining: boolean;
  /** It is forgotten then, whether the lock manager has given up the join or not. */
  readonly untilMs: number;
  readonly isSessionLost: boolean;
}

/**
 * The lock manager ended the session: it was killed, and its successor may carry the locks over.
 * The session is opened again and each lock held here is attached to it; requests wait.
 */
interface Reattaching {
  readonly kind: 'reattaching';
  /** No attempt and no waiting after that. */
  readonly untilMs: number;
  /** When the next attempt begins; null: one is under way. */
  readonly nextMs: number | null;
  /** Until the attempt after the next one. */
  readonly pauseMs: number;
  /** The session that the attempt under way opened is lost again. */
  readonly isSessionLost: boolean;
}

interface Stopping {
  readonly kind: 'stopping';
  readonly order: StopOrder;
  /** Where it stays when the lock manager does not let it go. */
  readonly before: 'running' | 'detached' | 'killed';
  /** The lock manager has been asked to leave it. */
  readonly isLeaving: boolean;
  readonly isSessionLost: boolean;
}

/** Why a lockspace is left. */
export interface StopOrder {
  readonly removeVg: boolean;
  readonly dropAll: boolean;
  /** Answered when the lockspace is gone, or stays. */
  readonly waiters: Waiter[];
  /** Requests that start the VG anew when it is gone. */
  readonly starts: StartAnew[];
  /** Nobody's order: lvmlockd leaves a lost VG to join it again. */
  readonly isOwn: boolean;
  /** Somebody has ordered meanwhile to stop it: it is not joined again. */
  isFinal: boolean;
}

export interface StartAnew {
  readonly to: Waiter;
  readonly start: () => void;
}

export type PhaseEvent =
  | { readonly kind: 'prepared' }
  | { readonly kind: 'joined' }
  | { readonly kind: 'cancel'; readonly untilMs: number }
  | { readonly kind: 'sessionLost' }
  /** The lock manager is there, and does not have this lockspace any more. */
  | { readonly kind: 'missing' }
  /** An attempt to attach the locks has ended. */
  | { readonly kind: 'attempted'; readonly found: 'attached' | 'absent' | 'unreachable' }
  | { readonly kind: 'killed' }
  | { readonly kind: 'stop'; readonly order: StopOrder }
  | { readonly kind: 'leaving' }
  /** The lock manager did not let it go. */
  | { readonly kind: 'stays' }
  | { readonly kind: 'tick' };

export type PhaseEffect =
  /** Open the session again, and attach the locks held here. */
  | 'attempt'
  /** The work that waits is done: the locks are attached. */
  | 'resume'
  /** The work that waits fails. */
  | 'giveUp'
  /** The locks held here are without protection: an administrator has to know. */
  | 'reportLoss'
  /** The same, and the lock manager is there: what is not used can be joined again. */
  | 'reportMissing';

interface Step {
  readonly phase: SpacePhase;
  readonly effects: readonly PhaseEffect[];
}

const BACKOFF: Backoff = { firstMs: 250, longestMs: 2000 };

/** `patienceMs`: how long a lock manager may be gone before nothing waits for it. */
export function stepPhase(
  phase: SpacePhase,
  event: PhaseEvent,
  nowMs: number,
  patienceMs: number,
): Step {
  switch (event.kind) {
    case 'prepared':
      return phase.kind === 'preparing' ? stay({ ...phase, kind: 'joining' }) : stay(phase);
    case 'cancel': {
      if (phase.kind !== 'preparing' && phase.kind !== 'joining') return stay(phase);
      const isJoining = phase.kind === 'joining';
      return stay({ ...phase, kind: 'cancelling', isJoining, untilMs: event.untilMs });
    }
    case 'joined':
      if (phase.kind !== 'joining' && phase.kind !== 'cancelling') return stay(phase);
      return phase.isSessionLost ? reattach(nowMs, patienceMs) : stay(RUNNING);
    case 'sessionLost':
      return sessionLost(phase, nowMs, patienceMs);
    case 'missing':
      return phase.kind === 'running' ? missing() : stay(phase);
    case 'attempted':
      return attempted(phase, event.found, nowMs);
    case 'killed':
      return killed(phase);
    case 'stop':
      return stop(phase, event.order);
    case 'leaving':
      return stay(phase.kind === 'stopping' ? { ...phase, isLeaving: true } : phase);
    case 'stays':
      if (phase.kind !== 'stopping') return stay(phase);
      if (phase.before === 'running' && phase.isSessionLost) return reattach(nowMs, patienceMs);
      return stay({ kind: phase.before });
    case 'tick':
      return tick(phase, nowMs);
    default:
      return unreachable(event);
  }
}

/** When the phase wants its next tick; null: it waits for no time. */
export function phaseDueMs(phase: SpacePhase): number | null {
  if (phase.kind === 'cancelling') return phase.untilMs;
  if (phase.kind !== 'reattaching') return null;
  return phase.nextMs === null ? phase.untilMs : Math.min(phase.nextMs, phase.untilMs);
}

/** The lock manager has joined it, be it reached or not. */
export function isJoined(phase: SpacePhase): boolean {
  return !isStarting(phase) && phase.kind !== 'cancelling';
}

/** On its way to be joined, and nobody has ordered to stop it. */
export function isStarting({ kind }: SpacePhase): boolean {
  return kind === 'preparing' || kind === 'joining';
}

/** Joined, and no order to leave it is carried out. */
export function isInUse(phase: SpacePhase): boolean {
  return isJoined(phase) && phase.kind !== 'stopping';
}

/** It is left only to be joined again: null, or the order, which a start or a stop may still join. */
export function ownOrder(phase: SpacePhase): StopOrder | null {
  if (phase.kind !== 'stopping') return null;
  return phase.order.isOwn && !phase.order.isFinal ? phase.order : null;
}

/** Its locks are without protection: nothing but to release them is left. */
export function isLost({ kind }: SpacePhase): boolean {
  return kind === 'killed' || kind === 'detached';
}

const RUNNING: SpacePhase = { kind: 'running' };
const DETACHED: SpacePhase = { kind: 'detached' };

function stay(phase: SpacePhase): Step {
  return { phase, effects: [] };
}

function reattach(nowMs: number, patienceMs: number): Step {
  const untilMs = nowMs + patienceMs;
  const first = { nextMs: null, pauseMs: BACKOFF.firstMs, isSessionLost: false };
  return { phase: { kind: 'reattaching', untilMs, ...first }, effects: ['attempt'] };
}

function sessionLost(phase: SpacePhase, nowMs: number, patienceMs: number): Step {
  switch (phase.kind) {
    case 'preparing':
    case 'joining':
    case 'cancelling':
      return stay({ ...phase, isSessionLost: true }); // the join goes on over other connections
    case 'running':
      return reattach(nowMs, patienceMs);
    case 'reattaching': // between two attempts no session is open
    case 'stopping': // the calls of leaving tell
      return stay({ ...phase, isSessionLost: true });
    case 'killed':
      return { phase, effects: ['reportLoss'] };
    case 'detached':
      return stay(phase);
    default:
      return unreachable(phase);
  }
}

function attempted(
  phase: SpacePhase,
  found: 'attached' | 'absent' | 'unreachable',
  nowMs: number,
): Step {
  // Late: the lockspace was killed, stopped or given up meanwhile.
  if (phase.kind !== 'reattaching') return stay(phase);
  if (found === 'absent') return missing();
  if (found === 'attached' && !phase.isSessionLost) return { phase: RUNNING, effects: ['resume'] };
  const { pauseMs } = phase;
  const next = { nextMs: nowMs + pauseMs, pauseMs: nextPauseMs(BACKOFF, pauseMs) };
  return tick({ ...phase, ...next, isSessionLost: false }, nowMs);
}

function killed(phase: SpacePhase): Step {
  switch (phase.kind) {
    case 'running':
    case 'detached':
      return stay({ kind: 'killed' });
    case 'reattaching':
      return { phase: { kind: 'killed' }, effects: ['giveUp'] };
    case 'preparing':
    case 'joining':
    case 'cancelling':
    case 'killed':
    case 'stopping':
      return stay(phase);
    default:
      return unreachable(phase);
  }
}

function stop(phase: SpacePhase, order: StopOrder): Step {
  switch (phase.kind) {
    case 'running':
    case 'detached':
    case 'killed':
      return stay(stopping(order, phase.kind));
    case 'reattaching':
      return { phase: stopping(order, 'detached'), effects: ['giveUp'] };
    case 'preparing': // join-cancel.ts
    case 'joining':
    case 'cancelling':
    case 'stopping':
      return stay(phase);
    default:
      return unreachable(phase);
  }
}

function missing(): Step {
  return { phase: DETACHED, effects: ['giveUp', 'reportMissing'] };
}

function stopping(order: StopOrder, before: Stopping['before']): Stopping {
  return { kind: 'stopping', order, before, isLeaving: false, isSessionLost: false };
}

function tick(phase: SpacePhase, nowMs: number): Step {
  if (phase.kind !== 'reattaching') return stay(phase);
  if (nowMs >= phase.untilMs) return { phase: DETACHED, effects: ['giveUp', 'reportLoss'] };
  if (phase.nextMs === null || nowMs < phase.nextMs) return stay(phase);
  return { phase: { ...phase, nextMs: null }, effects: ['attempt'] };
}
