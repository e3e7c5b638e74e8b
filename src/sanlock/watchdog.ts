import { unreachable } from '../base/assert.ts';
import { SECOND_MS } from '../base/units.ts';
import {
  REGISTER_FLAGS,
  TAKE_OVER_ANSWER,
  WDMD_CMD,
  type WdmdMessage,
  wdmdMessageBytes,
} from '../wire/wdmd/socket.ts';
import { log } from './effects.ts';
import type { Front } from './front.ts';
import { mayRelease } from './lockspace-phase.ts';
import type { Lockspace } from './state.ts';
import type { WatchdogExpiry, WatchdogLink } from './watchdog-link.ts';

const { RECONNECTS, WAITS } = REGISTER_FLAGS;
const CONNECT_MS = 5000;
/** wdmd 3.8.5 does not know the request and never answers; its device is open already. */
const OPEN_MS = 500;
const STATUS_MS = 5000;
/**
 * From a lost connection to the next one. No longer with each failure: a successor of wdmd may come
 * when the duty has a few seconds left.
 */
const RETRY_MS = SECOND_MS;
/** Of failures in a row, the first and then each so many are logged. */
const LOGGED_EACH = 10;

/** What the link means for the lockspace (`stepLockspace`); null: nothing new. */
export type WatchdogVerdict = 'mayJoin' | 'armed' | 'watchdogFailed' | null;

export type WatchdogEvent =
  | { readonly kind: 'opened' | 'closed' }
  | { readonly kind: 'answered'; readonly message: WdmdMessage };

/** Before anything of the lockspace is written. */
export function openWatchdog(front: Front, space: Lockspace): WatchdogVerdict {
  if (!front.settings.useWatchdog) return 'mayJoin';
  connect(front, space, { purpose: 'join', failures: 0, oldExpireS: 0, sinceS: 0 });
  return null;
}

/**
 * The membership of an earlier daemon is renewed: wdmd has its expiry from a connection that died,
 * and is to take a later one from this one.
 * @param oldExpireS that expiry, as far as the journal knows
 */
export function resumeWatchdog(
  front: Front,
  space: Lockspace,
  oldExpireS: number,
): WatchdogVerdict {
  if (!front.settings.useWatchdog) return 'armed';
  connect(front, space, {
    purpose: 'resume',
    failures: space.watchdog?.failures ?? 0,
    // Not what an earlier membership left: users of that one may live.
    ...{ oldExpireS, sinceS: space.joinedS },
  });
  return null;
}

function connect(
  front: Front,
  space: Lockspace,
  of: Pick<WatchdogLink, 'purpose' | 'failures' | 'oldExpireS' | 'sinceS'>,
): void {
  const deadlineMs = front.nowMs + CONNECT_MS;
  const times = { deadlineMs, againMs: 0, lostMs: space.watchdog?.lostMs ?? 0 };
  space.watchdog = { ...of, state: 'connecting', takeOver: null, ...times };
  front.effects.push({ kind: 'openWatchdog', lockspace: space.id });
}

/** The host id is ours on disk: wdmd learns the expiry before a client may use it. */
export function armWatchdog(front: Front, space: Lockspace): WatchdogVerdict {
  const link = space.watchdog;
  if (link === null) return front.settings.useWatchdog ? 'watchdogFailed' : 'armed';
  if (link.state !== 'ready') return failed(front, space, link, 'wdmd is gone');
  link.state = 'arming';
  link.deadlineMs = front.nowMs + STATUS_MS;
  const name = `sanlock_${space.name}:${space.hostId}`;
  const takesOver = link.purpose !== 'join';
  // A join hears of its first expiry no answer: the status comes before it, as the original's.
  const flags = takesOver ? RECONNECTS | WAITS : RECONNECTS;
  sendTo(front, space, { cmd: WDMD_CMD.REGISTER, name, flags });
  if (takesOver) {
    // What an earlier membership left is not ours: its users may live.
    sendTo(front, space, { cmd: WDMD_CMD.TAKE_OVER, renewalTime: BigInt(link.sinceS) });
  }
  sendTo(front, space, { cmd: WDMD_CMD.REFCOUNT_SET });
  // Of a membership that goes on wdmd knows an expiry: the next one has to come before it.
  if (takesOver) sendExpiry(front, space);
  sendTo(front, space, { cmd: WDMD_CMD.STATUS });
  return null;
}

export function watchdogEvent(
  front: Front,
  space: Lockspace,
  event: WatchdogEvent,
): WatchdogVerdict {
  const link = space.watchdog;
  if (link === null) return null;
  switch (event.kind) {
    case 'opened':
      return link.state === 'connecting' ? opened(front, space, link) : null;
    case 'answered':
      return answered(front, space, { link, message: event.message });
    case 'closed':
      if (link.state === 'lost') return null; // closed by us
      if (link.state !== 'armed') return failed(front, space, link, 'wdmd cannot be reached');
      // Its device runs out now, unless a successor is there in time. Until then everything stays.
      log(front, 'error', 'watchdog.lost', { lockspace: space.name, hostId: space.hostId });
      link.lostMs = front.nowMs;
      lose(front, link);
      return null;
    default:
      return unreachable(event);
  }
}

/**
 * A wdmd that has an expiry of ours has its device open, or has closed it because that expiry
 * comes: asked to open it, it refuses. Only one that has none may have to be asked, so each other
 * attempt does.
 */
function opened(front: Front, space: Lockspace, link: WatchdogLink): WatchdogVerdict {
  if (link.purpose !== 'join' && link.failures % 2 === 0) return ready(front, space, link);
  link.state = 'opening';
  link.deadlineMs = front.nowMs + OPEN_MS;
  sendTo(front, space, {
    cmd: WDMD_CMD.OPEN_WATCHDOG,
    fireTimeout: front.settings.watchdogFireTimeoutS,
  });
  return null;
}

function answered(
  front: Front,
  space: Lockspace,
  { link, message }: { readonly link: WatchdogLink; readonly message: WdmdMessage },
): WatchdogVerdict {
  if (link.state === 'arming' && message.cmd === WDMD_CMD.TAKE_OVER) {
    const resetAtS = Number(message.expireTime) + message.fireTimeout;
    link.takeOver = { answer: message.flags, resetAtS };
    return null;
  }
  const isOpening = link.state === 'opening' && message.cmd === WDMD_CMD.OPEN_WATCHDOG;
  const isArming = link.state === 'arming' && message.cmd === WDMD_CMD.STATUS;
  if (!isOpening && !isArming) return null;
  const wantedS = front.settings.watchdogFireTimeoutS;
  if (message.fireTimeout !== wantedS) {
    const found = `wdmd has a fire timeout of ${message.fireTimeout} s, wanted ${wantedS}`;
    return failed(front, space, link, found);
  }
  if (isOpening) return ready(front, space, link);
  // An expiry that has passed would reset this host, for a lockspace that no client uses yet.
  if (front.claimAgeMs(space) >= space.times.renewalFailMs) {
    return failed(front, space, link, 'its host lease expired while wdmd was asked');
  }
  return armed(front, space, link);
}

function armed(front: Front, space: Lockspace, link: WatchdogLink): WatchdogVerdict {
  link.state = 'armed';
  if (link.purpose === 'join') link.sinceS = space.lastSuccessS;
  feedWatchdog(front, space);
  if (link.purpose === 'join') return 'armed';
  logNotTakenOver(front, space, link);
  if (link.purpose === 'resume') return 'armed';
  const { name: lockspace, hostId } = space;
  log(front, 'info', 'watchdog.rearmed', { lockspace, hostId });
  return null;
}

/** What an earlier connection told wdmd stays, and nothing can end it: this host is reset by it. */
function logNotTakenOver(front: Front, space: Lockspace, link: WatchdogLink): void {
  const { takeOver, purpose } = link;
  const { READY, NO_DUTY, EXPIRED } = TAKE_OVER_ANSWER;
  if (takeOver?.answer === READY || takeOver?.answer === NO_DUTY) return;
  // An original that was started after the connection was lost knows nothing of it.
  if (takeOver === null && purpose === 'rearm') return;
  const { name: lockspace, hostId } = space;
  const isLate = takeOver?.answer === EXPIRED;
  const resetAtS = isLate
    ? takeOver.resetAtS
    : link.oldExpireS + front.settings.watchdogFireTimeoutS;
  const resetInS = Math.max(0, resetAtS - front.nowS);
  const reason = takeOver === null ? NOT_KNOWN : isLate ? TOO_LATE : REFUSED;
  log(front, 'error', 'watchdog.notTakenOver', { lockspace, hostId, reason, resetInS });
}

const NOT_KNOWN = 'this wdmd does not know how';
const TOO_LATE = 'the time of the daemon before has run out';
const REFUSED = 'wdmd refuses';

/** After each renewal that landed: alive until its timestamp and 8·t. */
export function feedWatchdog(front: Front, space: Lockspace): void {
  if (space.watchdog?.state === 'armed' && space.lastExpiry === null) sendExpiry(front, space);
}

function sendExpiry(front: Front, space: Lockspace): void {
  const { renewalS, expireS } = space.lastExpiry ?? expiryOf(front, space);
  const [renewalTime, expireTime] = [BigInt(renewalS), BigInt(expireS)];
  sendTo(front, space, { cmd: WDMD_CMD.TEST_LIVE, renewalTime, expireTime });
}

function expiryOf(front: Front, space: Lockspace): WatchdogExpiry {
  const aliveS = space.times.renewalFailMs / SECOND_MS;
  const sleptS = Math.ceil(front.sleptMs(space) / SECOND_MS);
  return { renewalS: space.lastSuccessS, expireS: space.lastSuccessS + aliveS - sleptS };
}

/**
 * Renewals go on, and wdmd hears of none: unless `feedAgain` comes in time, this host is reset as
 * one whose lockspace is lost and whose users do not end.
 */
export function feedNoMore(front: Front, space: Lockspace): void {
  if (space.watchdog === null || space.lastExpiry !== null) return;
  space.lastExpiry = expiryOf(front, space);
  const { name: lockspace, hostId } = space;
  const resetAtS = space.lastExpiry.expireS + front.settings.watchdogFireTimeoutS;
  log(front, 'error', 'watchdog.withheld', { lockspace, hostId, resetInS: resetAtS - front.nowS });
}

export function feedAgain(front: Front, space: Lockspace): void {
  if (space.lastExpiry === null) return;
  space.lastExpiry = null;
  if (!mayRelease(space)) return; // of one that is being lost meanwhile it hears no more
  const { name: lockspace, hostId } = space;
  log(front, 'info', 'watchdog.fedAgain', { lockspace, hostId });
  feedWatchdog(front, space);
}

/** wdmd has an expiry of ours by a connection that is lost, and no other one is armed yet. */
export function isWatchdogAway({ watchdog: link }: Lockspace): boolean {
  if (link === null) return false;
  const isReached = link.state === 'armed' || link.state === 'arming';
  return !isReached && (link.purpose !== 'join' || link.state === 'lost');
}

/** Only when all users are gone, before the host id is released. */
export function releaseWatchdog(front: Front, space: Lockspace): void {
  const link = space.watchdog;
  space.watchdog = null;
  if (link === null) return;
  if (link.state === 'arming' || link.state === 'armed') {
    sendTo(front, space, { cmd: WDMD_CMD.TEST_LIVE });
    sendTo(front, space, { cmd: WDMD_CMD.REFCOUNT_CLEAR });
  }
  front.effects.push({ kind: 'endWatchdog', lockspace: space.id });
}

/** Closed, to be opened anew: what wdmd was told stays. */
export function closeWatchdog(front: Front, space: Lockspace): void {
  const link = space.watchdog;
  if (link === null || link.state === 'lost') return;
  link.state = 'lost';
  front.effects.push({ kind: 'endWatchdog', lockspace: space.id });
}

/** wdmd has had its time. */
export function checkWatchdog(front: Front, space: Lockspace): WatchdogVerdict {
  const link = space.watchdog;
  if (link?.state === 'lost') rearm(front, space, link);
  if (!awaits(link) || front.nowMs < link.deadlineMs) return null;
  if (link.state === 'opening') return ready(front, space, link);
  return failed(front, space, link, 'wdmd does not answer');
}

/** Later than that the device of the wdmd that was lost has fired, or never will. */
function rearm(front: Front, space: Lockspace, link: WatchdogLink): void {
  if (link.againMs === 0 || front.nowMs < link.againMs) return;
  const fireMs = front.settings.watchdogFireTimeoutS * SECOND_MS;
  if (front.nowMs >= link.lostMs + space.times.renewalFailMs + fireMs) return;
  // Of an expired claim wdmd must hear nothing: it would be fed until that is told.
  if (front.expired(space)) return;
  const { failures, oldExpireS, sinceS } = link;
  connect(front, space, { purpose: 'rearm', failures, oldExpireS, sinceS });
}

export function awaitsWatchdog(front: Front): boolean {
  const { lockspaces, survivors } = front;
  const resumed = survivors.some(({ lockspace }) => awaits(lockspace?.watchdog ?? null));
  return resumed || lockspaces.some((space) => awaits(space.watchdog));
}

function awaits(link: WatchdogLink | null): link is WatchdogLink {
  return link !== null && ['connecting', 'opening', 'arming'].includes(link.state);
}

function ready(front: Front, space: Lockspace, link: WatchdogLink): WatchdogVerdict {
  link.state = 'ready';
  return link.purpose === 'join' ? 'mayJoin' : armWatchdog(front, space);
}

function failed(
  front: Front,
  space: Lockspace,
  link: WatchdogLink,
  reason: string,
): WatchdogVerdict {
  const { name, hostId } = space;
  // That the connection was lost is in the log already.
  const isLogged = (link.failures + (link.purpose === 'rearm' ? 1 : 0)) % LOGGED_EACH === 0;
  if (isLogged) log(front, 'error', 'watchdog.failed', { lockspace: name, hostId, reason });
  link.failures++;
  if (link.purpose !== 'rearm') return 'watchdogFailed';
  front.effects.push({ kind: 'endWatchdog', lockspace: space.id });
  lose(front, link);
  return null;
}

/** Another connection is tried later. */
function lose(front: Front, link: WatchdogLink): void {
  link.state = 'lost';
  link.againMs = front.nowMs + RETRY_MS;
}

function sendTo(front: Front, space: Lockspace, message: Partial<WdmdMessage>): void {
  const bytes = wdmdMessageBytes(message);
  front.effects.push({ kind: 'toWatchdog', lockspace: space.id, bytes });
}
