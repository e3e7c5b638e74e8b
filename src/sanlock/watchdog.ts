import { unreachable } from '../base/assert.ts';
import { SECOND_MS } from '../base/units.ts';
import { WDMD_CMD, type WdmdMessage, wdmdMessageBytes } from '../wire/wdmd/socket.ts';
import { log } from './effects.ts';
import type { Front } from './front.ts';
import type { Lockspace } from './state.ts';
import type { WatchdogLink } from './watchdog-link.ts';

const CONNECT_MS = 5000;
/** wdmd 3.8.5 does not know the request and never answers; its device is open already. */
const OPEN_MS = 500;
const STATUS_MS = 5000;

/** What the link means for the lockspace (`stepLockspace`); null: nothing new. */
export type WatchdogVerdict = 'mayJoin' | 'armed' | 'watchdogFailed' | null;

export type WatchdogEvent =
  | { readonly kind: 'opened' | 'closed' }
  | { readonly kind: 'answered'; readonly message: WdmdMessage };

/** Before anything of the lockspace is written. */
export function openWatchdog(front: Front, space: Lockspace): WatchdogVerdict {
  if (!front.settings.useWatchdog) return 'mayJoin';
  space.watchdog = { state: 'connecting', deadlineMs: front.nowMs + CONNECT_MS };
  front.effects.push({ kind: 'openWatchdog', lockspace: space.id });
  return null;
}

/** The host id is ours on disk: wdmd learns the expiry before a client may use it. */
export function armWatchdog(front: Front, space: Lockspace): WatchdogVerdict {
  const link = space.watchdog;
  if (link === null) return front.settings.useWatchdog ? 'watchdogFailed' : 'armed';
  if (link.state !== 'ready') return failed(front, space, 'wdmd is gone');
  link.state = 'arming';
  link.deadlineMs = front.nowMs + STATUS_MS;
  const name = `sanlock_${space.name}:${space.hostId}`;
  sendTo(front, space, { cmd: WDMD_CMD.REGISTER, name });
  sendTo(front, space, { cmd: WDMD_CMD.REFCOUNT_SET });
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
      if (link.state !== 'connecting') return null;
      link.state = 'opening';
      link.deadlineMs = front.nowMs + OPEN_MS;
      sendTo(front, space, {
        cmd: WDMD_CMD.OPEN_WATCHDOG,
        fireTimeout: front.settings.watchdogFireTimeoutS,
      });
      return null;
    case 'answered':
      return answered(front, space, { link, message: event.message });
    case 'closed':
      if (link.state !== 'armed') return failed(front, space, 'wdmd cannot be reached');
      // Its device runs out now. Until then everything stays: users may still end in order.
      link.state = 'lost';
      log(front, 'error', 'watchdog.lost', { lockspace: space.name, hostId: space.hostId });
      return null;
    default:
      return unreachable(event);
  }
}

function answered(
  front: Front,
  space: Lockspace,
  { link, message }: { readonly link: WatchdogLink; readonly message: WdmdMessage },
): WatchdogVerdict {
  const isOpening = link.state === 'opening' && message.cmd === WDMD_CMD.OPEN_WATCHDOG;
  const isArming = link.state === 'arming' && message.cmd === WDMD_CMD.STATUS;
  if (!isOpening && !isArming) return null;
  const wantedS = front.settings.watchdogFireTimeoutS;
  if (message.fireTimeout !== wantedS) {
    const found = `wdmd has a fire timeout of ${message.fireTimeout} s, wanted ${wantedS}`;
    return failed(front, space, found);
  }
  if (isOpening) return ready(link);
  // An expiry that has passed would reset this host, for a lockspace that no client uses yet.
  if (front.claimAgeMs(space) >= space.times.renewalFailMs) {
    return failed(front, space, 'its host lease expired while wdmd was asked');
  }
  link.state = 'armed';
  feedWatchdog(front, space);
  return 'armed';
}

/** After each renewal that landed: alive until its timestamp and 8·t. */
export function feedWatchdog(front: Front, space: Lockspace): void {
  if (space.watchdog?.state !== 'armed') return;
  const aliveS = space.times.renewalFailMs / SECOND_MS;
  sendTo(front, space, {
    cmd: WDMD_CMD.TEST_LIVE,
    renewalTime: BigInt(space.lastSuccessS),
    expireTime: BigInt(space.lastSuccessS + aliveS - Math.ceil(front.sleptMs(space) / SECOND_MS)),
  });
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

/** wdmd has had its time. */
export function checkWatchdog(front: Front, space: Lockspace): WatchdogVerdict {
  const link = space.watchdog;
  if (!awaits(link) || front.nowMs < link.deadlineMs) return null;
  return link.state === 'opening' ? ready(link) : failed(front, space, 'wdmd does not answer');
}

export function awaitsWatchdog(front: Front): boolean {
  return front.lockspaces.some((space) => awaits(space.watchdog));
}

function awaits(link: WatchdogLink | null): link is WatchdogLink {
  return link !== null && ['connecting', 'opening', 'arming'].includes(link.state);
}

function ready(link: WatchdogLink): WatchdogVerdict {
  link.state = 'ready';
  return 'mayJoin';
}

function failed(front: Front, space: Lockspace, reason: string): WatchdogVerdict {
  const { name, hostId } = space;
  log(front, 'error', 'watchdog.failed', { lockspace: name, hostId, reason });
  return 'watchdogFailed';
}

function sendTo(front: Front, space: Lockspace, message: Partial<WdmdMessage>): void {
  const bytes = wdmdMessageBytes(message);
  front.effects.push({ kind: 'toWatchdog', lockspace: space.id, bytes });
}
