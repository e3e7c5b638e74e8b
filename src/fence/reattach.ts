import { assert } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import type { Result } from '../base/result.ts';
import { SECOND_MS } from '../base/units.ts';
import type { SanlockFailure } from '../wire/sanlock/failure.ts';
import { callEffect } from './start-calls.ts';
import type { CallStep, Failure, FenceEffect, FenceState, ReattachStep } from './state.ts';

/**
 * sanlock is restarted under a fence_sanlockd that holds its lease: the lease goes on, of this
 * process, and the next sanlock ties it to the connection that asks for it again.
 *
 *   away ─ a second ─▶ connect ─▶ register, setKillpath ─▶ restrict ─▶ acquire ─▶ up
 *
 * Meanwhile nothing can ask to fence this host, and its expiry is renewed on: sanlock's own expiry
 * at wdmd stands, and resets this host if no sanlock goes on with the lockspace in time.
 */

/** What is to be done about it; `lost`: no way back, as if the lockspace had failed. */
export type Reattached = 'nothing' | 'back' | 'lost';

const AWAY_MS = 60 * SECOND_MS;
/** It is ours already: sanlock has tied it to the connection when that registered. */
const HELD = -ERRNO.EEXIST;
const PASSING: readonly number[] = [-ERRNO.EAGAIN, -ERRNO.ETIMEDOUT, -ERRNO.ENOTCONN];

/** The registered connection has ended. @returns whether it is the first of this absence */
export function wentAway(state: FenceState, nowMs: number): boolean {
  const { link } = state;
  const untilMs = link.kind === 'away' ? link.untilMs : nowMs + AWAY_MS;
  state.link = { kind: 'away', untilMs, next: 'connect', isAsked: false };
  return link.kind === 'up';
}

/** Once a second while it is away. */
export function seekSanlock(state: FenceState, out: FenceEffect[], nowMs: number): Reattached {
  const { link } = state;
  if (link.kind === 'up') return 'nothing';
  if (nowMs >= link.untilMs) return 'lost';
  if (!link.isAsked) ask(state, link.next, out);
  return 'nothing';
}

function ask(state: FenceState, next: ReattachStep, out: FenceEffect[]): void {
  const { link } = state;
  assert(link.kind === 'away', 'one that is reached is not looked for');
  state.link = { ...link, next, isAsked: true };
  if (next === 'connect') out.push({ kind: 'connect' });
  else out.push(callEffect(state, next));
}

export function foundSanlock(state: FenceState, failure: Failure, out: FenceEffect[]): void {
  const { link } = state;
  if (link.kind === 'up' || link.next !== 'connect' || !link.isAsked) return;
  if (failure !== null) {
    state.link = { ...link, isAsked: false };
    return;
  }
  out.push(callEffect(state, 'register'));
  ask(state, 'setKillpath', out);
}

type Called = { readonly step: CallStep; readonly result: Result<number, SanlockFailure> };

/** The answer to a call of this sequence; others are left alone. */
export function reattached(state: FenceState, called: Called, out: FenceEffect[]): Reattached {
  const { link } = state;
  const { step, result } = called;
  if (link.kind === 'up' || step !== link.next || !link.isAsked) return 'nothing';
  const isHeld = step === 'acquire' && !result.ok && result.error.code === HELD;
  if (!result.ok && !isHeld) {
    state.link = { ...link, isAsked: false };
    return PASSING.includes(result.error.code) ? 'nothing' : 'lost';
  }
  if (step === 'acquire') {
    state.link = { kind: 'up' };
    return 'back';
  }
  ask(state, step === 'setKillpath' ? 'restrict' : 'acquire', out);
  return 'nothing';
}
