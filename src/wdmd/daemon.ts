import { assert, unreachable } from '../base/assert.ts';
import { applyMessage, isTimeoutHeld } from './messages.ts';
import {
  areScriptsRunning,
  failingScripts,
  hasFailedScript,
  killSlowScripts,
  scriptEnded,
  scriptGone,
  scriptStarted,
  scriptsFound,
  startScripts,
} from './scripts.ts';
import {
  DEFAULT_FIRE_TIMEOUT_S,
  type Effect,
  log,
  MAX_CLIENTS,
  newClient,
  nowSOf,
  testIntervalOf,
  type WdmdEvent,
  type WdmdState,
} from './state.ts';

/**
 * The watchdog multiplexer: the device is pinged as long as no client's expiry is near. A client
 * that renews at T with expiry at T+25, and stops:
 *
 *     T       T+6     T+15 T+16           T+25                    T+76
 *     renews  ping    |    closed unclean expired                 fires, at most 60 s after expiry
 *                     |    (which pings once more, the last time)
 *                     expiry - interval: from here on a test fails
 *
 * Closing early means that the end of this process, whenever it comes, cannot ping again.
 */
export function stepWdmd(state: WdmdState, event: WdmdEvent, nowMs: number): readonly Effect[] {
  state.nowMs = Math.max(state.nowMs, nowMs);
  state.effects = [];
  apply(state, event);
  if (!state.effects.some(({ kind }) => kind === 'end')) test(state);
  return state.effects;
}

/** When the next `tick` is wanted. */
export function nextTickMs(state: WdmdState): number {
  if (state.scriptsUntilS !== null) {
    // Scripts are looked at each second while they run.
    return Math.min(state.scriptsUntilS, nowSOf(state) + 1) * 1000;
  }
  const lastS = state.lastTestS === 0 ? state.startedS : state.lastTestS;
  return (lastS + state.testIntervalS) * 1000;
}

function apply(state: WdmdState, event: WdmdEvent): void {
  switch (event.kind) {
    case 'tick':
      return;
    case 'opened':
      opened(state, event);
      return;
    case 'message':
      applyMessage(state, event.connectionId, event.message);
      restoreTimeout(state);
      return;
    case 'closed':
      closed(state, event.connectionId);
      restoreTimeout(state);
      return;
    case 'terminate':
      terminate(state);
      return;
    case 'scriptsFound':
      scriptsFound(state, event.names);
      return;
    case 'scriptStarted':
      scriptStarted(state, event.name, event.pid);
      return;
    case 'scriptEnded':
      scriptEnded(state, event.name, event.status);
      return;
    case 'scriptGone':
      scriptGone(state, event.name);
      return;
    case 'pinged':
      pinged(state, event.errno);
      return;
    case 'reopened':
      reopened(state, event.errno);
      return;
    case 'timeoutSet':
      timeoutSet(state, event);
      return;
    default:
      unreachable(event);
  }
}

function opened(
  state: WdmdState,
  from: { readonly connectionId: number; readonly fd: number; readonly pid: number },
): void {
  const free = state.clients.indexOf(null);
  if (free < 0 && state.clients.length >= MAX_CLIENTS) {
    log(state, 'warn', 'client.refused', { pid: from.pid, most: MAX_CLIENTS });
    state.effects.push({ kind: 'refuse', connectionId: from.connectionId });
    return;
  }
  state.clients[free < 0 ? state.clients.length : free] = newClient(from);
}

/** A client that leaves an expiry behind stays, and fails when its time comes (spec 25 §4). */
function closed(state: WdmdState, connectionId: number): void {
  const index = state.clients.findIndex((client) => client?.connectionId === connectionId);
  const client = state.clients[index];
  if (client === undefined || client === null) return;
  if (client.expireS === 0n) {
    state.clients[index] = null;
    return;
  }
  client.connectionId = null;
  client.fd = -1;
  client.isDead = true;
  const { name, pid, expireS } = client;
  log(state, 'error', 'client.died', { name, pid, expire: expireS });
}

function terminate(state: WdmdState): void {
  const users = state.clients.filter((client) => client?.hasRefcount === true);
  if (users.length > 0) {
    const names = users.map((client) => client?.name).join(' ');
    log(state, 'warn', 'daemon.stillUsed', { clients: names });
    return;
  }
  state.effects.push({ kind: 'end' });
}

function test(state: WdmdState): void {
  if (state.scriptsUntilS === null) {
    if (nowSOf(state) - state.lastTestS < state.testIntervalS) return;
    state.lastTestS = nowSOf(state);
    if (state.scripts.length > 0) startScripts(state);
    if (state.scriptsUntilS === null) finishTest(state);
    else if (failingClients(state) > 0) stopPinging(state);
    return;
  }
  killSlowScripts(state);
  if (hasFailedScript(state)) stopPinging(state); // without waiting for the others
  if (areScriptsRunning(state) && nowSOf(state) < state.scriptsUntilS) return;
  finishTest(state);
}

function finishTest(state: WdmdState): void {
  state.scriptsUntilS = null;
  const failing = failingScripts(state) + failingClients(state);
  if (failing > 0) {
    stopPinging(state);
    return;
  }
  state.testIntervalS = testIntervalOf(state.fireTimeoutS);
  state.effects.push({ kind: state.device === 'open' ? 'ping' : 'reopen' });
}

/** @returns how many; each is told, because a reset wants to be explained afterwards. */
function failingClients(state: WdmdState): number {
  const nowS = BigInt(nowSOf(state));
  const marginS = BigInt(testIntervalOf(state.fireTimeoutS));
  let failing = 0;
  for (const client of state.clients) {
    if (client === null || client.expireS === 0n || nowS < client.expireS - marginS) continue;
    failing++;
    const isExpired = nowS >= client.expireS;
    log(state, 'error', isExpired ? 'test.failed' : 'test.failsSoon', {
      name: client.name,
      pid: client.pid,
      renewal: client.renewalS,
      expire: client.expireS,
      firesInS: firesInS(state),
    });
  }
  return failing;
}

/** By what we know: a close pings as well. */
function firesInS(state: WdmdState): number {
  const lastPingS = Math.max(state.lastKeepaliveS, state.lastCloseUncleanS);
  return state.fireTimeoutS - (nowSOf(state) - lastPingS);
}

function stopPinging(state: WdmdState): void {
  state.testIntervalS = 1;
  if (state.device === 'closed') return;
  state.device = 'closed';
  state.lastCloseUncleanS = nowSOf(state);
  state.effects.push({ kind: 'closeUnclean' });
  log(state, 'error', 'device.closed', { firesInS: state.fireTimeoutS });
}

function pinged(state: WdmdState, errno: number): void {
  if (errno === 0) state.lastKeepaliveS = nowSOf(state);
  else log(state, 'error', 'device.notPinged', { errno, firesInS: firesInS(state) });
}

function reopened(state: WdmdState, errno: number): void {
  if (errno !== 0) {
    log(state, 'error', 'device.notReopened', { errno, firesInS: firesInS(state) });
    state.testIntervalS = 1; // again in a second
    return;
  }
  state.device = 'open';
  state.lastKeepaliveS = nowSOf(state);
  log(state, 'warn', 'device.reopened', {});
  restoreTimeout(state);
}

/** The last user of another fire timeout left: who asks by STATUS expects 60. */
function restoreTimeout(state: WdmdState): void {
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

function timeoutSet(
  state: WdmdState,
  event: Extract<WdmdEvent, { readonly kind: 'timeoutSet' }>,
): void {
  assert(event.timeoutS > 0, 'the device has a fire timeout');
  state.fireTimeoutS = event.timeoutS;
  if (state.device === 'open') state.testIntervalS = testIntervalOf(event.timeoutS);
  log(state, 'info', 'device.timeoutSet', { fireTimeoutS: event.timeoutS });
  if (event.asked === null) return;
  const { connectionId, message } = event.asked;
  const reply = { ...message, fireTimeout: event.timeoutS };
  state.effects.push({ kind: 'send', connectionId, message: reply });
}
