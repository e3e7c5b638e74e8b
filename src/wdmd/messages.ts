import { WDMD_CMD } from '../wire/wdmd/socket.ts';
import { dumpText } from './dump.ts';
import {
  DEFAULT_FIRE_TIMEOUT_S,
  log,
  type TestClient,
  type WdmdMessage,
  type WdmdState,
} from './state.ts';

const SHOWN_NAME_BYTES = 63; // as many as 3.8.5 keeps

/** Unknown commands are ignored, and the connection stays open (spec 25 §2). */
export function applyMessage(state: WdmdState, connectionId: number, message: WdmdMessage): void {
  const client = state.clients.find((other) => other?.connectionId === connectionId);
  if (client === undefined || client === null) return;
  switch (message.cmd) {
    case WDMD_CMD.REGISTER:
      client.pid = client.peerPid;
      client.name = message.name.slice(0, SHOWN_NAME_BYTES);
      log(state, 'info', 'client.registered', { name: client.name, pid: client.pid });
      return;
    case WDMD_CMD.REFCOUNT_SET:
      client.hasRefcount = true;
      return;
    case WDMD_CMD.REFCOUNT_CLEAR:
      client.hasRefcount = false;
      return;
    case WDMD_CMD.TEST_LIVE:
      client.renewalS = message.renewalTime;
      client.expireS = message.expireTime;
      return;
    case WDMD_CMD.STATUS:
      state.effects.push({ kind: 'send', connectionId, message: statusReply(state, message) });
      return;
    case WDMD_CMD.DUMP_DEBUG:
      client.name = 'dump';
      state.effects.push({ kind: 'sendText', connectionId, text: dumpText(state) });
      return;
    case WDMD_CMD.OPEN_WATCHDOG:
      openWatchdog(state, client, { connectionId, message });
      return;
    default:
      log(state, 'debug', 'request.unknown', { cmd: message.cmd });
  }
}

function statusReply(state: WdmdState, message: WdmdMessage): WdmdMessage {
  return {
    ...message,
    testInterval: state.testIntervalS,
    fireTimeout: state.fireTimeoutS,
    lastKeepalive: BigInt(state.lastKeepaliveS),
  };
}

/**
 * Command 7: a client wants the device open with a fire timeout of its own. It is open already; its
 * timeout changes only while no other client counts on it, else the answer is the one in force,
 * which the client may refuse. Never while tests fail: this machine may be reset any moment. Never
 * longer than other hosts wait for every host's watchdog.
 */
function openWatchdog(
  state: WdmdState,
  client: TestClient,
  asked: { readonly connectionId: number; readonly message: WdmdMessage },
): void {
  const { connectionId, message } = asked;
  const isHeld = isTimeoutHeld(state, client);
  if (state.device === 'closed' || state.isLeftAlone || state.countdownS < state.fireTimeoutS) {
    const reply = { ...message, fireTimeout: 0 };
    state.effects.push({ kind: 'send', connectionId, message: reply });
    return;
  }
  client.hasAskedTimeout = true;
  const timeoutS = message.fireTimeout;
  const isUsual = timeoutS > 0 && timeoutS <= DEFAULT_FIRE_TIMEOUT_S;
  if (!isUsual || timeoutS === state.fireTimeoutS || isHeld) {
    const reply = { ...message, fireTimeout: state.fireTimeoutS };
    state.effects.push({ kind: 'send', connectionId, message: reply });
    return;
  }
  state.effects.push({ kind: 'setTimeout', timeoutS, insteadOfS: state.fireTimeoutS, asked });
}

/** Whether another client than `asker` counts on the fire timeout in force. */
export function isTimeoutHeld(state: WdmdState, asker: TestClient | null): boolean {
  return state.clients.some((client) => {
    if (client === null) return false;
    if (client.hasRefcount || client.expireS !== 0n) return true;
    return client.hasAskedTimeout && client !== asker;
  });
}
