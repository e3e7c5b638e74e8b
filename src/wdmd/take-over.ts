import { HAND_OVER_ANSWER, TAKE_OVER_ANSWER } from '../wire/wdmd/socket.ts';
import { hasPassed } from './expiry.ts';
import {
  log,
  nowSOf,
  SHOWN_NAME_BYTES,
  type TestClient,
  testIntervalOf,
  type WdmdMessage,
  type WdmdState,
} from './state.ts';

const ROOT = 0;

/**
 * A daemon that was killed left an expiry, and its successor has resumed what it was about: the
 * successor's next renewal takes the place of that expiry. Nothing happens here yet.
 */
export function askTakeOver(
  state: WdmdState,
  client: TestClient,
  message: WdmdMessage,
): WdmdMessage {
  const { name, pid, peerUid: uid } = client;
  // A longer name may be cut, and then be the same as that of another client.
  const isNamed = name !== '' && name.length < SHOWN_NAME_BYTES;
  if (!isNamed || uid === null || !isOfSameUser(state, client)) {
    log(state, 'warn', 'takeOver.refused', { name, pid, uid: uid ?? 'unknown' });
    return { ...message, flags: TAKE_OVER_ANSWER.REFUSED, expireTime: 0n };
  }
  client.takesOverFromS = message.renewalTime;
  let first: bigint | null = null;
  for (const other of state.clients) {
    if (other === null || !isEarlierDuty(other, client)) continue;
    if (first === null || other.expireS < first) first = other.expireS;
  }
  const times = { testInterval: state.testIntervalS, fireTimeout: state.fireTimeoutS };
  if (first === null)
    return { ...message, ...times, flags: TAKE_OVER_ANSWER.NO_DUTY, expireTime: 0n };
  const isLate = hasPassed(first, state.nowMs);
  const flags = isLate ? TAKE_OVER_ANSWER.EXPIRED : TAKE_OVER_ANSWER.READY;
  return { ...message, ...times, flags, expireTime: first };
}

/**
 * After each renewal of a client that takes over. A duty that has expired stays for ever: other
 * hosts may own the leases already. So does that of a connection that lives, and one that was
 * renewed later than this client was: then this is not the renewal that resumed it.
 */
export function takeOver(state: WdmdState, client: TestClient): void {
  if (client.takesOverFromS === null || client.expireS <= BigInt(nowSOf(state))) return;
  for (const [index, other] of state.clients.entries()) {
    if (other === null || !other.isDead || !isEarlierDuty(other, client)) continue;
    if (client.peerUid !== ROOT && other.peerUid !== client.peerUid) continue;
    if (client.renewalS < other.renewalS || hasPassed(other.expireS, state.nowMs)) continue;
    client.hasRefcount ||= other.hasRefcount;
    client.hasAskedTimeout ||= other.hasAskedTimeout;
    forget(state, index);
    const { name, pid, expireS } = other;
    log(state, 'warn', 'duty.takenOver', { name, pid, expire: expireS, by: client.pid });
  }
}

/**
 * Root, or the user who had that duty: sanlock gives up its privileges, and may be the only one of
 * its user that knows what it was about.
 */
function isOfSameUser({ clients }: WdmdState, client: TestClient): boolean {
  if (client.peerUid === ROOT) return true;
  const ofOthers = (other: TestClient | null) =>
    other !== null && isEarlierDuty(other, client) && other.peerUid !== client.peerUid;
  return !clients.some(ofOthers);
}

function isEarlierDuty(other: TestClient, client: TestClient): boolean {
  if (other.serial >= client.serial || other.expireS === 0n) return false;
  return other.name === client.name && other.renewalS >= (client.takesOverFromS ?? 0n);
}

/** A place of the table is free again. */
export function forget(state: WdmdState, index: number): void {
  const client = state.clients[index];
  if (client?.recorded) state.journal.left.push(client.serial);
  state.clients[index] = null;
}

/**
 * An ordered end for an upgrade: the duties stay, and a successor has to be there before they
 * expire. Not where it could not start, or where the host would be reset in any case.
 */
export function handOver(
  state: WdmdState,
  client: TestClient,
  asked: { readonly connectionId: number; readonly message: WdmdMessage },
): void {
  const { connectionId, message } = asked;
  const obstacle = obstacleOf(state, client);
  const flags = obstacle?.flags ?? HAND_OVER_ANSWER.ENDS;
  const name = obstacle?.name ?? '';
  state.effects.push({ kind: 'send', connectionId, message: { ...message, flags, name } });
  if (obstacle === null) {
    state.effects.push({ kind: 'handOver' });
    return;
  }
  const fields = { pid: client.peerPid, uid: client.peerUid ?? 'unknown', client: name };
  log(state, 'warn', 'daemon.notHandedOver', { reason: obstacle.reason, ...fields });
}

interface Obstacle {
  readonly flags: number;
  readonly name: string;
  readonly reason: string;
}

function obstacleOf(state: WdmdState, asker: TestClient): Obstacle | null {
  if (asker.peerUid !== ROOT)
    return { flags: HAND_OVER_ANSWER.REFUSED, name: '', reason: 'not asked by root' };
  const isWhole = state.device === 'open' && state.countdownS === state.fireTimeoutS;
  const marginMs = testIntervalOf(state.fireTimeoutS) * 1000;
  const isNear = ({ expireS }: TestClient) =>
    expireS !== 0n && hasPassed(expireS, state.nowMs + marginMs);
  if (!isWhole || state.clients.some((client) => client !== null && isNear(client)))
    return { flags: HAND_OVER_ANSWER.RESET_NEAR, name: '', reason: 'a reset is near' };
  if (state.journal.state !== 'sound')
    return { flags: HAND_OVER_ANSWER.NOT_RECORDED, name: '', reason: 'duties are not recorded' };
  for (const client of state.clients) {
    if (client === null || mayLose(client)) continue;
    const { name } = client;
    return { flags: HAND_OVER_ANSWER.CLIENT_STAYS, name, reason: 'a client would not reconnect' };
  }
  return null;
}

/** Whether the end of its connection leads to no reset. */
function mayLose(client: TestClient): boolean {
  if (client.expireS !== 0n) return client.reconnects && !client.isDead;
  return !client.hasRefcount || client.waits;
}
