import { unreachable } from '../base/assert.ts';
import { SECOND_MS } from '../base/units.ts';
import {
  closedUnclean,
  feed,
  firesInS,
  isPastExpiry,
  keepPromise,
  pinged,
  reopened,
  restoreTimeout,
  shortened,
  stopPinging,
  timeoutSet,
} from './device.ts';
import { journalEvent, recordAgain, recordDuties } from './duty-journal.ts';
import { applyMessage } from './messages.ts';
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
  type Effect,
  log,
  MAX_CLIENTS,
  newClient,
  nowSOf,
  testIntervalOf,
  type WdmdEvent,
  type WdmdState,
} from './state.ts';
import { forget } from './take-over.ts';

/**
 * The watchdog multiplexer: the device is pinged as long as no client's expiry is near. A client
 * that renews at T with expiry at T+25, and stops:
 *
 *     T       T+6     T+15 T+16           T+25                    T+76
 *     renews  ping    |    closed unclean expired                 fires, at most 60 s after expiry
 *                     |    (which pings once more, the last time)
 *                     expiry - interval: from here on a test fails
 *
 * Closing early means that the end of this process, whenever it comes, cannot ping again. Past the
 * expiry it is too late for that: closing would move the reset beyond the time that other hosts
 * wait. Then the device stays open, and wdmd does not touch it any more (`device.ts`).
 *
 * Only a tick tests. It comes after all messages that clients had sent until then are handled.
 */
export function stepWdmd(state: WdmdState, event: WdmdEvent, nowMs: number): readonly Effect[] {
  state.nowMs = Math.max(state.nowMs, nowMs);
  state.effects = [];
  // The first event of others tests (spec 25 §4).
  if (state.lastTestS === 0 && event.kind !== 'allRecorded') state.isTickWanted = true;
  apply(state, event);
  if (event.kind === 'tick') test(state);
  keepPromise(state);
  recordDuties(state);
  return state.effects;
}

/** When the next `tick` is wanted. */
export function nextTickMs(state: WdmdState): number {
  if (state.isTickWanted) return state.nowMs;
  if (state.scriptsUntilS !== null) {
    // Running scripts are checked each second.
    return Math.min(state.scriptsUntilS, nowSOf(state) + 1) * SECOND_MS;
  }
  const lastS = state.lastTestS === 0 ? state.startedS : state.lastTestS;
  return (lastS + state.testIntervalS) * SECOND_MS;
}

function apply(state: WdmdState, event: WdmdEvent): void {
  switch (event.kind) {
    case 'tick':
      state.isTickWanted = false;
      return;
    case 'opened':
    case 'message':
    case 'closed':
      ofClient(state, event);
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
      state.isTickWanted = true;
      return;
    case 'scriptGone':
      scriptGone(state, event.name);
      state.isTickWanted = true;
      return;
    case 'pinged':
    case 'reopened':
    case 'closedUnclean':
    case 'shortened':
    case 'timeoutSet':
      ofDevice(state, event);
      return;
    case 'notRecorded':
    case 'allRecorded':
      journalEvent(state, event);
      return;
    default:
      unreachable(event);
  }
}

type DeviceEvent = Extract<
  WdmdEvent,
  { kind: 'pinged' | 'reopened' | 'closedUnclean' | 'shortened' | 'timeoutSet' }
>;

function ofDevice(state: WdmdState, event: DeviceEvent): void {
  switch (event.kind) {
    case 'pinged':
      pinged(state, event.errno);
      return;
    case 'reopened':
      reopened(state, event.errno);
      return;
    case 'closedUnclean':
      closedUnclean(state);
      return;
    case 'shortened':
      shortened(state, event);
      return;
    case 'timeoutSet':
      timeoutSet(state, event);
      return;
    default:
      unreachable(event);
  }
}

type ClientEvent = Extract<WdmdEvent, { kind: 'opened' | 'message' | 'closed' }>;

function ofClient(state: WdmdState, event: ClientEvent): void {
  switch (event.kind) {
    case 'opened':
      opened(state, event);
      return;
    case 'message':
      applyMessage(state, event.connectionId, event.message);
      break;
    case 'closed':
      closed(state, event.connectionId);
      break;
    default:
      unreachable(event);
  }
  restoreTimeout(state);
  // The device counts less than it should: a client that is alive again need not wait for the test.
  if (state.countdownS < state.fireTimeoutS) {
    state.lastTestS = 0;
    state.isTickWanted = true;
  }
}

function opened(state: WdmdState, from: Extract<WdmdEvent, { readonly kind: 'opened' }>): void {
  const free = state.clients.indexOf(null);
  if (free < 0 && state.clients.length >= MAX_CLIENTS) {
    log(state, 'warn', 'client.refused', { pid: from.pid, most: MAX_CLIENTS });
    state.effects.push({ kind: 'refuse', connectionId: from.connectionId });
    return;
  }
  state.clients[free < 0 ? state.clients.length : free] = newClient({
    ...{ serial: state.nextSerial++, connectionId: from.connectionId },
    ...{ fd: from.fd, pid: from.pid, uid: from.uid },
  });
}

/** A client that leaves with an expiry stays in the table, and fails in its time (spec 25 §4). */
function closed(state: WdmdState, connectionId: number): void {
  const index = state.clients.findIndex((client) => client?.connectionId === connectionId);
  const client = state.clients[index];
  if (client === undefined || client === null) return;
  if (client.expireS === 0n) {
    forget(state, index);
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
  // Leaving would close it, and so move the reset that is due.
  if (state.device === 'open' && isPastExpiry(state)) {
    log(state, 'warn', 'daemon.resetDue', { firesInS: firesInS(state) });
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
  recordAgain(state);
  const failing = failingScripts(state) + failingClients(state);
  if (failing > 0) stopPinging(state);
  else feed(state);
}

/** @returns how many; each is logged, so that the log explains a reset afterwards. */
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
