import { unreachable } from '../base/assert.ts';
import type { LogFields, LogLevel } from '../base/log-fields.ts';
import type { Result } from '../base/result.ts';
import type { SanlockFailure } from '../wire/sanlock/failure.ts';
import { type DutyEffect, type DutyEvent, type DutyLogEvent, EXPIRE_S, stepDuty } from './duty.ts';
import { foundSanlock, type Reattached, reattached, seekSanlock, wentAway } from './reattach.ts';
import { callEffect, effectOf, isLeaving, unfitForFencing } from './start-calls.ts';
import {
  type CallStep,
  type Failure,
  type FenceEffect,
  type FenceEvent,
  type FenceState,
  type Phase,
  START_STEPS,
  type StartStep,
  type UndoStep,
} from './state.ts';
import { wrongArea } from './storage.ts';

const TICK_MS = 1000;

/** Levels of what the duty logs; the events are in docs/operations/events.md. */
const LEVELS: Readonly<Record<DutyLogEvent, 'error' | 'warn'>> = {
  'host.fenced': 'error',
  'host.lost': 'error',
  'host.fencing': 'warn',
  'contention.won': 'warn',
  'contention.lost': 'error',
  'stop.refused': 'warn',
};

/**
 * Holds the lease that other hosts must take to fence this one (spec 25 §7):
 *
 *   starting ─ the lease is ours ─▶ expiring ─ wdmd has the expiry ─▶ holding
 *      │                               │                                 │
 *      └─ a step fails, or a stop      └─ no expiry, or a stop           └─ a stop
 *                            all three: undoing ─▶ ended
 *
 * In `expiring` and `holding` the duty (`duty.ts`) decides about the expiry. A host that is being
 * fenced or has lost its lockspace never leaves `holding`: the watchdog resets it.
 */
export function stepFence(state: FenceState, event: FenceEvent, nowMs: number): FenceEffect[] {
  const turn: Turn = { out: [], nowMs };
  apply(state, event, turn);
  return turn.out;
}

/** When the next `tick` is wanted; null: none is. */
export function nextTickMs({ phase }: FenceState): number | null {
  return phase.kind === 'expiring' || phase.kind === 'holding' ? phase.tickMs : null;
}

interface Turn {
  readonly out: FenceEffect[];
  readonly nowMs: number;
}

function apply(state: FenceState, event: FenceEvent, turn: Turn): void {
  switch (event.kind) {
    case 'start':
      if (state.phase.kind === 'new') startNext(state, 0, turn);
      return;
    case 'statusRead':
      stepDone(state, 'checkWatchdog', unfitForFencing(event.result), turn);
      return;
    case 'connected':
      foundSanlock(state, event.failure, turn.out);
      stepDone(state, 'connect', event.failure, turn);
      return;
    case 'called':
      conclude(state, reattached(state, event, turn.out), turn);
      called(state, event, turn);
      return;
    case 'disconnected':
      disconnected(state, turn);
      return;
    case 'expirySet':
      expirySet(state, event.isTaken, turn);
      return;
    case 'expiryCleared':
      expiryCleared(state, event.isTaken, turn);
      return;
    case 'lost':
      lost(state, turn);
      return;
    case 'stop':
      stop(state, turn);
      return;
    case 'tick':
      tick(state, turn);
      return;
    case 'fenced':
    case 'fencing':
    case 'agents':
      duty(state, event, turn);
      return;
    default:
      unreachable(event);
  }
}

function startNext(state: FenceState, index: number, turn: Turn): void {
  const step = START_STEPS[index];
  if (step === undefined) {
    begin(state, turn);
    return;
  }
  if (isStopWanted(state.phase)) {
    undo(state, null, turn);
    return;
  }
  state.phase = { kind: 'starting', step, isStopWanted: false };
  // Its answer is not waited for: where sanlock refuses it, it refuses the calls behind it too.
  if (step === 'setKillpath') turn.out.push(callEffect(state, 'register'));
  turn.out.push(effectOf(state, step));
}

function isStopWanted(phase: Phase): boolean {
  return (phase.kind === 'starting' || phase.kind === 'expiring') && phase.isStopWanted;
}

/** An answer to another step than the one on its way comes late: it has been undone already. */
function stepDone(state: FenceState, step: StartStep, failure: Failure, turn: Turn): void {
  const { phase } = state;
  if (phase.kind !== 'starting' || phase.step !== step) return;
  if (failure !== null) {
    undo(state, phase.isStopWanted ? null : failure, turn); // a stop made it fail
    return;
  }
  log(turn, 'debug', 'start.done', { step });
  startNext(state, START_STEPS.indexOf(step) + 1, turn);
}

type Called = { readonly step: CallStep; readonly result: Result<number, SanlockFailure> };

function called(state: FenceState, { step, result }: Called, turn: Turn): void {
  const failure = result.ok ? null : result.error.message;
  switch (step) {
    case 'checkStorage':
      stepDone(state, step, result.ok ? wrongArea(result.value) : failure, turn);
      return;
    case 'setKillpath':
    case 'restrict':
    case 'join':
    case 'keepForOrphans':
    case 'acquire':
      stepDone(state, step, failure, turn);
      return;
    case 'release':
      undone(state, step, failure, turn);
      return;
    case 'leave':
      undone(state, step, isLeaving(result) ? null : failure, turn);
      return;
    case 'register':
    case 'abortJoin': // the join itself answers
      return;
    default:
      unreachable(step);
  }
}

/** The lease is ours; without an expiry in wdmd nothing would keep the promise. */
function begin(state: FenceState, turn: Turn): void {
  const tickMs = turn.nowMs + TICK_MS;
  state.phase = { kind: 'expiring', isStopWanted: isStopWanted(state.phase), tickMs };
  duty(state, { kind: 'started' }, turn);
}

function expirySet(state: FenceState, isTaken: boolean, turn: Turn): void {
  const { phase } = state;
  if (phase.kind === 'holding' && !isTaken) {
    log(turn, 'error', 'watchdog.notRenewed', { hostId: state.start.hostId });
  }
  if (phase.kind !== 'expiring') return;
  if (!isTaken) {
    undo(state, 'wdmd did not take the expiry', turn);
    return;
  }
  state.phase = { kind: 'holding', tickMs: phase.tickMs };
  turn.out.push({ kind: 'started' });
  if (phase.isStopWanted) duty(state, { kind: 'stop' }, turn);
}

/** While the lease is surely ours, the next sanlock is waited for. */
function disconnected(state: FenceState, turn: Turn): void {
  const { kind } = state.phase;
  if (kind !== 'expiring' && kind !== 'holding') conclude(state, 'lost', turn);
  else if (wentAway(state, turn.nowMs)) {
    log(turn, 'warn', 'sanlock.away', { hostId: state.start.hostId });
  }
}

function conclude(state: FenceState, how: Reattached, turn: Turn): void {
  const { hostId } = state.start;
  switch (how) {
    case 'nothing':
      return;
    case 'back':
      log(turn, 'warn', 'sanlock.back', { hostId });
      return;
    case 'lost':
      state.link = { kind: 'up' }; // it is not looked for any more
      log(turn, 'error', 'sanlock.lost', { hostId });
      lost(state, turn);
      return;
    default:
      unreachable(how);
  }
}

/** SIGTERM of sanlock, or no sanlock has our lease any more. */
function lost(state: FenceState, turn: Turn): void {
  const { phase } = state;
  // Once the lease is asked for it may be ours: others would wait for this host's reset.
  if (phase.kind === 'starting' && phase.step !== 'acquire') stop(state, turn);
  else duty(state, { kind: 'lost' }, turn);
}

/** In order, unless this host is to be reset. */
function stop(state: FenceState, turn: Turn): void {
  const { phase } = state;
  if (phase.kind === 'starting') {
    state.phase = { kind: 'starting', step: phase.step, isStopWanted: true };
    // Joining may take minutes. Leaving ends it, and its failure is the end of the start.
    if (phase.step === 'join' && !phase.isStopWanted) turn.out.push(callEffect(state, 'abortJoin'));
    return;
  }
  if (phase.kind === 'expiring') state.phase = { ...phase, isStopWanted: true };
  if (phase.kind === 'expiring' || phase.kind === 'holding') duty(state, { kind: 'stop' }, turn);
}

function tick(state: FenceState, turn: Turn): void {
  const { phase } = state;
  if (phase.kind !== 'expiring' && phase.kind !== 'holding') return;
  state.phase = { ...phase, tickMs: turn.nowMs + TICK_MS };
  conclude(state, seekSanlock(state, turn.out, turn.nowMs), turn);
  duty(state, { kind: 'tick' }, turn);
}

function duty(state: FenceState, event: DutyEvent, turn: Turn): void {
  const { kind } = state.phase;
  if (kind === 'undoing' || kind === 'ended') return; // nothing is promised any more
  for (const effect of stepDuty(state.duty, event, turn.nowMs)) applyDuty(state, effect, turn);
}

function applyDuty(state: FenceState, effect: DutyEffect, turn: Turn): void {
  switch (effect.kind) {
    case 'renew':
      turn.out.push({ kind: 'setExpiry', seconds: EXPIRE_S });
      return;
    case 'findAgents':
      turn.out.push({ kind: 'findAgents' });
      return;
    case 'leave':
      undo(state, null, turn);
      return;
    case 'log':
      log(turn, LEVELS[effect.event], effect.event, { hostId: state.start.hostId });
      return;
    default:
      unreachable(effect);
  }
}

/** Backwards through what was done; the expiry goes first, the claim on wdmd last. */
function undo(state: FenceState, failure: Failure, { out }: Turn): void {
  state.phase = { kind: 'undoing', left: undoSteps(state.phase), failure };
  out.push({ kind: 'clearExpiry' });
}

function undoSteps(phase: Phase): readonly UndoStep[] {
  switch (phase.kind) {
    case 'starting': {
      const hasJoined = START_STEPS.indexOf(phase.step) > START_STEPS.indexOf('join');
      return hasJoined ? ['leave'] : [];
    }
    case 'expiring':
    case 'holding':
      return ['release', 'leave'];
    case 'new':
    case 'undoing':
    case 'ended':
      return [];
    default:
      return unreachable(phase);
  }
}

function expiryCleared(state: FenceState, isTaken: boolean, turn: Turn): void {
  const { phase } = state;
  if (phase.kind !== 'undoing') return;
  const failure = phase.failure ?? (isTaken ? null : 'wdmd did not withdraw the expiry');
  undoNext(state, { left: phase.left, failure }, turn);
}

function undone(state: FenceState, step: UndoStep, failure: Failure, turn: Turn): void {
  const { phase } = state;
  if (phase.kind !== 'undoing' || phase.left[0] !== step) return;
  if (failure !== null) log(turn, 'error', 'stop.incomplete', { reason: failure });
  undoNext(state, { left: phase.left.slice(1), failure: phase.failure ?? failure }, turn);
}

function undoNext(
  state: FenceState,
  { left, failure }: { readonly left: readonly UndoStep[]; readonly failure: Failure },
  { out }: Turn,
): void {
  const [step] = left;
  if (step === undefined) {
    state.phase = { kind: 'ended' };
    out.push({ kind: 'leaveWatchdog' }, { kind: 'ended', failure });
    return;
  }
  state.phase = { kind: 'undoing', left, failure };
  out.push(callEffect(state, step));
}

function log({ out }: Turn, level: LogLevel, event: string, fields: LogFields): void {
  out.push({ kind: 'log', level, event, fields });
}
