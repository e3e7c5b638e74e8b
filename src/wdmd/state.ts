import type { ByteString } from '../base/bytes.ts';
import type { LogFields, LogLevel } from '../base/log-fields.ts';
import { SECOND_MS } from '../base/units.ts';
import type { RecordOf } from '../codec/struct.ts';
import type { wdmdMessage } from '../wire/wdmd/socket.ts';
import { type DutyFacts, NO_UID, type Predecessor } from './duty-lines.ts';

export type WdmdMessage = RecordOf<typeof wdmdMessage>;

/** What sanlock counts on: a host is dead 60 s after its lease expired (spec 10 §4). */
export const DEFAULT_FIRE_TIMEOUT_S = 60;
export const MAX_SCRIPTS = 8;
/** As many bytes of a name as 3.8.5 keeps. */
export const SHOWN_NAME_BYTES = 63;
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

/** The device that is pinged, and the guard file that says so to a successor. */
export interface WdmdStart {
  readonly nowMs: number;
  readonly path: string;
  readonly guard: string;
  /** null: the device is open and was pinged just now. */
  readonly predecessor: Predecessor | null;
}

/** One entry of the client table; its place is its number in the dump. */
export interface TestClient {
  /** In the order of their arrival, over successors too. */
  readonly serial: number;
  /** null: not a connection, or one that is gone. */
  connectionId: number | null;
  fd: number;
  /** Who is at the other end; shown as `pid` once it has registered. */
  readonly peerPid: number;
  /** null: not known. */
  readonly peerUid: number | null;
  pid: number;
  name: ByteString;
  isDead: boolean;
  hasRefcount: boolean;
  /** Sent command 7: the fire timeout stays while it is connected. */
  hasAskedTimeout: boolean;
  /** As it said at REGISTER (`REGISTER_FLAGS`). */
  waits: boolean;
  reconnects: boolean;
  /** Its renewals end duties that earlier connections of its name left, renewed no earlier. */
  takesOverFromS: bigint | null;
  renewalS: bigint;
  /** 0: not tested. As sent, so possibly any number. */
  expireS: bigint;
  /** Of it, as the journal has it; null: nothing. */
  recorded: DutyFacts | null;
}

/** The journal of duties, as a successor would find it. */
export interface DutyJournal {
  readonly guard: string;
  /**
   * sound: it says all. unsound: not all of it could be written, and it is about to be written
   * anew. gone: that failed too, and it was removed. stuck: even that failed.
   */
  state: 'sound' | 'unsound' | 'gone' | 'stuck';
  lines: number;
  /** Of them, those that count. */
  needed: number;
  /** The fire timeout that it has. */
  fireTimeoutS: number;
  /** Serials of recorded clients that are in the table no more. */
  left: number[];
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
  readonly devicePath: string;
  device: 'open' | 'closed';
  /** What STATUS answers: the device fires at most so long after an expiry. */
  fireTimeoutS: number;
  /** What the device counts down from: `fireTimeoutS`, or less once it was touched too late. */
  countdownS: number;
  /** The latest moment at which it may have begun to count anew. */
  touchedMs: number;
  /** It may have been earlier: by another wdmd, or the device refused. */
  isTouchUnsure: boolean;
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
  readonly journal: DutyJournal;
  nextSerial: number;
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
      readonly uid: number | null;
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
  /** A line is not in the journal. */
  | { readonly kind: 'notRecorded' }
  | { readonly kind: 'allRecorded'; readonly outcome: 'done' | 'gone' | 'stuck' }
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
  /** In the journal of duties, before anything else of this step is done; or `notRecorded`. */
  | { readonly kind: 'record'; readonly line: string }
  /** The whole journal, or none; answered by `allRecorded`. */
  | { readonly kind: 'recordAll'; readonly lines: readonly string[] }
  | { readonly kind: 'startScript'; readonly name: ByteString }
  | { readonly kind: 'killScript'; readonly name: ByteString }
  | {
      readonly kind: 'log';
      readonly level: LogLevel;
      readonly event: string;
      readonly fields: LogFields;
    }
  /** Disarm the device if it is open, and leave with 0. */
  | { readonly kind: 'end' }
  /** Close the device so that it counts on, and leave the duties to a successor. */
  | { readonly kind: 'handOver' };

/** How often to test, so that several tests fit into the time the device waits (spec 25 §3). */
export function testIntervalOf(fireTimeoutS: number): number {
  if (fireTimeoutS >= 60) return 10;
  if (fireTimeoutS >= 30) return 5;
  return fireTimeoutS >= 10 ? 2 : 1;
}

/**
 * The first two places are not connections. A successor has the device closed: it has been counting
 * since its predecessor died, and the first test opens it if all duties are alive.
 */
export function newState(settings: WdmdSettings, start: WdmdStart): WdmdState {
  const { nowMs, path, guard, predecessor } = start;
  const nowS = Math.floor(nowMs / SECOND_MS);
  const fireTimeoutS = predecessor?.fireTimeoutS ?? DEFAULT_FIRE_TIMEOUT_S;
  const inherited = (predecessor?.duties ?? []).map((duty, index) => deadClient(duty, index + 1));
  return {
    settings,
    clients: [place('signal'), place('listen'), ...inherited],
    scripts: [],
    devicePath: path,
    device: predecessor === null ? 'open' : 'closed',
    fireTimeoutS,
    countdownS: fireTimeoutS,
    touchedMs: nowMs,
    isTouchUnsure: predecessor !== null, // when that one ended
    canShorten: true,
    isLeftAlone: false,
    testIntervalS: testIntervalOf(fireTimeoutS),
    lastTestS: 0,
    isTickWanted: predecessor !== null,
    startedS: nowS,
    lastKeepaliveS: nowS,
    lastCloseUncleanS: 0,
    scriptsUntilS: null,
    journal: { guard, state: 'unsound', lines: 0, needed: 0, fireTimeoutS, left: [] },
    nextSerial: inherited.length + 1,
    nowMs,
    effects: [],
  };
}

function place(name: ByteString): TestClient {
  const none = { serial: 0, connectionId: 0, fd: -1, pid: 0, uid: null };
  return { ...newClient(none), connectionId: null, name };
}

/** Its connection ended with the predecessor. */
function deadClient(duty: DutyFacts, serial: number): TestClient {
  const { name, pid, renewal, expire, refcount, askedTimeout, waits } = duty;
  const uid = duty.uid === NO_UID ? null : duty.uid;
  return {
    ...newClient({ serial, connectionId: 0, fd: -1, pid, uid }),
    ...{ connectionId: null, pid, name, isDead: true },
    ...{ hasRefcount: refcount, hasAskedTimeout: askedTimeout, waits },
    ...{ renewalS: BigInt(renewal), expireS: BigInt(expire) },
  };
}

export function newClient(from: {
  readonly serial: number;
  readonly connectionId: number;
  readonly fd: number;
  readonly pid: number;
  readonly uid: number | null;
}): TestClient {
  return {
    serial: from.serial,
    connectionId: from.connectionId,
    fd: from.fd,
    peerPid: from.pid,
    peerUid: from.uid,
    pid: 0,
    name: '',
    isDead: false,
    hasRefcount: false,
    hasAskedTimeout: false,
    waits: false,
    reconnects: false,
    takesOverFromS: null,
    renewalS: 0n,
    expireS: 0n,
    recorded: null,
  };
}

export function nowSOf(state: WdmdState): number {
  return Math.floor(state.nowMs / SECOND_MS);
}

export function log(state: WdmdState, level: LogLevel, event: string, fields: LogFields): void {
  state.effects.push({ kind: 'log', level, event, fields });
}
