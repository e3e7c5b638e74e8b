import { assert } from '../base/assert.ts';
import { SECOND_MS } from '../base/units.ts';
import { hasPassed } from './expiry.ts';
import { isTimeoutHeld } from './messages.ts';
import {
  DEFAULT_FIRE_TIMEOUT_S,
  type Effect,
  log,
  nowSOf,
  testIntervalOf,
  type WdmdEvent,
  type WdmdState,
} from './state.ts';

const SHORTEST_S = 1;

/**
 * The promise: the device fires at most `fireTimeoutS` after an expiry that its client did not
 * withdraw, because from then on other hosts may take the leases (spec 25 §4). Each touch of the
 * device - a ping, opening, setting a timeout, also closing it - makes it count anew. So wdmd does
 * not touch it once an expiry has passed: it was last touched in time, and fires in time.
 */
export function stopPinging(state: WdmdState): void {
  state.testIntervalS = 1;
  if (state.device === 'closed') return;
  if (isPastExpiry(state)) {
    if (state.isLeftAlone) return;
    state.isLeftAlone = true;
    log(state, 'error', 'device.leftAlone', { firesInS: firesInS(state) });
    return;
  }
  state.device = 'closed';
  state.lastCloseUncleanS = nowSOf(state);
  state.effects.push({ kind: 'closeUnclean' });
  log(state, 'error', 'device.closed', { firesInS: state.fireTimeoutS });
}

/** Every client is alive: the device counts anew, from the full fire timeout. */
export function feed(state: WdmdState): void {
  state.isLeftAlone = false;
  state.testIntervalS = testIntervalOf(state.fireTimeoutS);
  const isWhole = state.device === 'open' && state.countdownS === state.fireTimeoutS;
  if (isWhole) state.effects.push({ kind: 'ping' });
  else state.effects.push({ kind: 'reopen', timeoutS: state.fireTimeoutS });
}

/** Whether a client's expiry has passed: the device is not to be touched any more. */
export function isPastExpiry(state: WdmdState): boolean {
  const expireS = firstExpiryS(state);
  return expireS !== null && hasPassed(expireS, state.nowMs);
}

/**
 * An operation that began in time may have ended too late: a ping hung in the driver, wdmd was
 * stopped between reading the clock and the ping, an expiry was still on its way. The device then
 * counts from too late a moment, so its timeout is shortened.
 */
export function keepPromise(state: WdmdState): void {
  const expireS = firstExpiryS(state);
  if (expireS === null || !state.canShorten) return;
  const promisedMs = (Number(expireS) + state.fireTimeoutS) * SECOND_MS;
  const firesMs = state.touchedMs + state.countdownS * SECOND_MS;
  if (firesMs <= promisedMs) return;
  const leftS = Math.floor((promisedMs - state.nowMs) / SECOND_MS);
  const timeoutS = Math.max(SHORTEST_S, Math.min(leftS, state.countdownS));
  if (state.nowMs + timeoutS * SECOND_MS >= firesMs) return; // nothing left to win
  state.effects.push({ kind: 'shorten', timeoutS });
  log(state, 'error', 'device.touchedLate', { firesInS: timeoutS });
}

/**
 * Seconds until the reset, for the log: a close pings as well. Where wdmd cannot know when the
 * device was touched last, the number is no time that anybody may count on.
 */
export function firesInS(state: WdmdState): number | string {
  const mostS = Math.ceil((state.touchedMs - state.nowMs) / SECOND_MS) + state.countdownS;
  return state.isTouchUnsure ? `at most ${mostS}` : mostS;
}

export function pinged(state: WdmdState, errno: number): void {
  touched(state, state.countdownS);
  state.isTouchUnsure = errno !== 0; // one that failed may have arrived
  if (errno === 0) state.lastKeepaliveS = nowSOf(state);
  else log(state, 'error', 'device.notPinged', { errno, firesInS: firesInS(state) });
}

export function reopened(state: WdmdState, errno: number): void {
  // Opening alone may start it, with an unknown timeout until it has taken ours.
  touched(state, state.fireTimeoutS);
  state.isTouchUnsure = errno !== 0;
  if (errno !== 0) {
    state.device = 'closed';
    log(state, 'error', 'device.notReopened', { errno, firesInS: firesInS(state) });
    state.testIntervalS = 1; // again in a second
    return;
  }
  state.device = 'open';
  state.lastKeepaliveS = nowSOf(state);
  log(state, 'warn', 'device.reopened', {});
  restoreTimeout(state);
}

export function closedUnclean(state: WdmdState): void {
  touched(state, state.countdownS);
}

/**
 * Setting a timeout touches the device too: one that refused a shorter timeout is not asked again,
 * because each attempt would keep it from firing.
 */
export function shortened(
  state: WdmdState,
  { wantedS, timeoutS }: { readonly wantedS: number; readonly timeoutS: number | null },
): void {
  if (timeoutS !== null) touched(state, timeoutS);
  if (timeoutS !== null && timeoutS <= wantedS) return;
  state.canShorten = false;
  log(state, 'error', 'device.notShortened', { wantedS, firesInS: firesInS(state) });
}

/** The last client with another fire timeout has left: STATUS has to answer 60 again. */
export function restoreTimeout(state: WdmdState): void {
  const { fireTimeoutS } = state;
  if (fireTimeoutS === DEFAULT_FIRE_TIMEOUT_S || state.device !== 'open') return;
  if (isTimeoutHeld(state, null)) return;
  state.effects.push({
    kind: 'setTimeout',
    timeoutS: DEFAULT_FIRE_TIMEOUT_S,
    insteadOfS: fireTimeoutS,
    asked: null,
  });
}

export function timeoutSet(
  state: WdmdState,
  event: Extract<WdmdEvent, { readonly kind: 'timeoutSet' }>,
): void {
  assert(event.timeoutS > 0, 'the device has a fire timeout');
  state.fireTimeoutS = event.timeoutS;
  touched(state, event.timeoutS);
  if (state.device === 'open') state.testIntervalS = testIntervalOf(event.timeoutS);
  log(state, 'info', 'device.timeoutSet', { fireTimeoutS: event.timeoutS });
  if (event.asked === null) return;
  const { connectionId, message } = event.asked;
  const reply = { ...message, fireTimeout: event.timeoutS };
  state.effects.push({ kind: 'send', connectionId, message: reply } satisfies Effect);
}

function touched(state: WdmdState, countdownS: number): void {
  state.touchedMs = state.nowMs;
  state.isTouchUnsure = false;
  state.countdownS = countdownS;
  state.canShorten = true;
}

function firstExpiryS(state: WdmdState): bigint | null {
  let first: bigint | null = null;
  for (const client of state.clients) {
    if (client === null || client.expireS === 0n) continue;
    if (first === null || client.expireS < first) first = client.expireS;
  }
  return first;
}
