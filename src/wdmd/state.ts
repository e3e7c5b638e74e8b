import type { ByteString } from '../base/bytes.ts';
import type { LogFields, LogLevel } from '../base/log-fields.ts';
import { SECOND_MS } from '../base/units.ts';
import type { RecordOf } from '../codec/struct.ts';
import type { wdmdMessage } from '../wire/wdmd/socket.ts';

export type WdmdMessage = RecordOf<typeof wdmdMessage>;

/** What sanlock counts on: a host is dead 60 s after its lease expired (spec 10 §4). */
export const DEFAULT_FIRE_TIMEOUT_S = 60;
export const MAX_SCRIPTS = 8;
/** Connections, and dead clients whose expiry stands; beyond, new ones are refused. */
export const MAX_CLIENTS = 1000;

export interface WdmdSettings {
  readonly pid: number;
  readonly socketGid: number;
  readonly highPriority: number;
  readonly allowScripts: number;
  /** SIGKILL for a script after so many seconds; 0: never. */
  readonly killScriptS: number;
}

/** One entry of the client table; its place is its number in the dump. */
export interface TestClient {
  /** null: not a connection, or one that is gone. */
  connectionId: number | null;
  fd: number;
  /** Who is at the other end; shown as `pid` once it has registered. */
  readonly peerPid: number;
  pid: number;
  name: ByteString;
  isDead: boolean;
  hasRefcount: boolean;
  /** Sent command 7: the fire timeout stays while it is connected. */
  hasAskedTimeout: boolean;
  renewalS: bigint;
  /** 0: not tested. As sent, so possibly any number. */
  expireS: bigint;
}

export interface Script {
  readonly name: ByteString;
  isRunning: boolean;
  /** 0: not running. */
  pid: number;
  startS: number;
  /** 0 good, 4 ended by a signal, else the exit status. */
  lastResult: number;
  runs: number;
  fails: number;
  goods: number;
  kills: number;
  longs: number;
  /** This run was found unfinished at the end of a test. */
  isLate: boolean;
  hasBeenKilled: boolean;
}

export interface WdmdState {
  readonly settings: WdmdSettings;
  /** null: a free place. */
  readonly clients: (TestClient | null)[];
  readonly scripts: Script[];
  device: 'open' | 'closed';
  /** What STATUS answers: the device fires at most so long after an expiry. */
  fireTimeoutS: number;
  /** What the device counts down from: `fireTimeoutS`, or less once it was touched too late. */
  countdownS: number;
  /** The latest moment at which it may have begun to count anew. */
  touchedMs: number;
  /** Since it was touched last, it has not refused a shorter timeout. */
  canShorten: boolean;
  /** Open and not touched, because an expiry has passed; logged once. */
  isLeftAlone: boolean;
  /** As STATUS answers it: the normal interval, or 1 while tests fail. */
  testIntervalS: number;
  /** 0: none yet; then the first event tests. */
  lastTestS: number;
  /** An event wants a tick at once. */
  isTickWanted: boolean;
  readonly startedS: number;
  lastKeepaliveS: number;
  lastCloseUncleanS: number;
  /** Waiting for scripts until then; null: no test under way. */
  scriptsUntilS: number | null;
  nowMs: number;
  effects: Effect[];
}

export type WdmdEvent =
  | { readonly kind: 'tick' }
  | {
      readonly kind: 'opened';
      readonly connectionId: number;
      readonly fd: number;
      readonly pid: number;
    }
  | { readonly kind: 'message'; readonly connectionId: number; readonly message: WdmdMessage }
  | { readonly kind: 'closed'; readonly connectionId: number }
  /** SIGTERM or SIGINT. */
  | { readonly kind: 'terminate' }
  /** What the scripts directory holds, by name. */
  | { readonly kind: 'scriptsFound'; readonly names: readonly ByteString[] }
  | { readonly kind: 'scriptStarted'; readonly name: ByteString; readonly pid: number }
  /** `status` null: ended by a signal. */
  | { readonly kind: 'scriptEnded'; readonly name: ByteString; readonly status: number | null }
  /** Vanished, or not executable any more. */
  | { readonly kind: 'scriptGone'; readonly name: ByteString }
  | { readonly kind: 'pinged'; readonly errno: number }
  | { readonly kind: 'reopened'; readonly errno: number }
  | { readonly kind: 'closedUnclean' }
  /** `timeoutS` null: the device refused, and counts as before. */
  | { readonly kind: 'shortened'; readonly wantedS: number; readonly timeoutS: number | null }
  | {
      readonly kind: 'timeoutSet';
      readonly timeoutS: number;
      readonly asked: { readonly connectionId: number; readonly message: WdmdMessage } | null;
    };

export type Effect =
  | { readonly kind: 'send'; readonly connectionId: number; readonly message: WdmdMessage }
  | { readonly kind: 'sendText'; readonly connectionId: number; readonly text: ByteString }
  | { readonly kind: 'refuse'; readonly connectionId: number }
  /** Answered by `pinged`. */
  | { readonly kind: 'ping' }
  /** Open unless it is, with this timeout, then ping; answered by `reopened`. */
  | { readonly kind: 'reopen'; readonly timeoutS: number }
  /** Answered by `closedUnclean`. */
  | { readonly kind: 'closeUnclean' }
  /** At most so long until it fires; it stays open or closed as it is. Answered by `shortened`. */
  | { readonly kind: 'shorten'; readonly timeoutS: number }
  /** Answered by `timeoutSet` with the one in force afterwards. */
  | {
      readonly kind: 'setTimeout';
      readonly timeoutS: number;
      readonly insteadOfS: number;
      readonly asked: { readonly connectionId: number; readonly message: WdmdMessage } | null;
    }
  | { readonly kind: 'startScript'; readonly name: ByteString }
  | { readonly kind: 'killScript'; readonly name: ByteString }
  | {
      readonly kind: 'log';
      readonly level: LogLevel;
      readonly event: string;
      readonly fields: LogFields;
    }
  /** Disarm the device if it is open, and leave with 0. */
  | { readonly kind: 'end' };

/** How often to test, so that several tests fit into the time the device waits (spec 25 §3). */
export function testIntervalOf(fireTimeoutS: number): number {
  if (fireTimeoutS >= 60) return 10;
  if (fireTimeoutS >= 30) return 5;
  return fireTimeoutS >= 10 ? 2 : 1;
}

/** The device is open and was pinged just now. The first two places are not connections. */
export function newState(settings: WdmdSettings, nowMs: number): WdmdState {
  const nowS = Math.floor(nowMs / SECOND_MS);
  return {
    settings,
    clients: [place('signal'), place('listen')],
    scripts: [],
    device: 'open',
    fireTimeoutS: DEFAULT_FIRE_TIMEOUT_S,
    countdownS: DEFAULT_FIRE_TIMEOUT_S,
    touchedMs: nowMs,
    canShorten: true,
    isLeftAlone: false,
    testIntervalS: testIntervalOf(DEFAULT_FIRE_TIMEOUT_S),
    lastTestS: 0,
    isTickWanted: false,
    startedS: nowS,
    lastKeepaliveS: nowS,
    lastCloseUncleanS: 0,
    scriptsUntilS: null,
    nowMs,
    effects: [],
  };
}

function place(name: ByteString): TestClient {
  return { ...newClient({ connectionId: 0, fd: -1, pid: 0 }), connectionId: null, name };
}

export function newClient(from: {
  readonly connectionId: number;
  readonly fd: number;
  readonly pid: number;
}): TestClient {
  return {
    connectionId: from.connectionId,
    fd: from.fd,
    peerPid: from.pid,
    pid: 0,
    name: '',
    isDead: false,
    hasRefcount: false,
    hasAskedTimeout: false,
    renewalS: 0n,
    expireS: 0n,
  };
}

export function nowSOf(state: WdmdState): number {
  return Math.floor(state.nowMs / SECOND_MS);
}

export function log(state: WdmdState, level: LogLevel, event: string, fields: LogFields): void {
  state.effects.push({ kind: 'log', level, event, fields });
}
