import { REGISTER_FLAGS, WDMD_CMD } from '../wire/wdmd/socket.ts';
import { dumpText } from './dump.ts';
import {
  DEFAULT_FIRE_TIMEOUT_S,
  log,
  SHOWN_NAME_BYTES,
  type TestClient,
  type WdmdMessage,
  type WdmdState,
} from './state.ts';
import { askTakeOver, handOver, takeOver } from './take-over.ts';

/** Unknown commands are ignored, and the connection stays open (spec 25 §2). */
export function applyMessage(state: WdmdState, connectionId: number, message: WdmdMessage): void {
  const client = state.clients.find((other) => other?.connectionId === connectionId);
  if (client === undefined || client === null) return;
  switch (message.cmd) {
    case WDMD_CMD.REGISTER:
      client.pid = client.peerPid;
      client.takesOverFromS = null; // it had asked for the duties of its name then
      client.name = message.name.slice(0, SHOWN_NAME_BYTES);
      client.waits = (message.flags & REGISTER_FLAGS.WAITS) !== 0;
      client.reconnects = (message.flags & REGISTER_FLAGS.RECONNECTS) !== 0;
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
      takeOver(state, client);
      return;
    case WDMD_CMD.STATUS:
      // The journal lacks expiries, and cannot be removed: no client may rely on a new one.
      if (state.journal.state === 'stuck') return;
      state.effects.push({ kind: 'send', connectionId, message: statusReply(state, message) });
      return;
    case WDMD_CMD.DUMP_DEBUG:
      client.name = 'dump';
      state.effects.push({ kind: 'sendText', connectionId, text: dumpText(state) });
      return;
    case WDMD_CMD.OPEN_WATCHDOG:
      openWatchdog(state, client, { connectionId, message });
      return;
    case WDMD_CMD.TAKE_OVER: {
      const reply = askTakeOver(state, client, message);
      state.effects.push({ kind: 'send', connectionId, message: reply });
      return;
    }
    case WDMD_CMD.HAND_OVER:
      handOver(state, client, { connectionId, message });
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
