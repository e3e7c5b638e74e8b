import { unreachable } from '../../../base/assert.ts';
import { shown } from '../../../base/plain-text.ts';
import { hostDamageText } from './damage.ts';
import {
  heldForS,
  hostNameOf,
  type Liveness,
  livenessOf,
  takeableOf,
  type WatchedHolder,
} from './holder-watch.ts';
import { type TakenBy, takenBy } from './taken-by.ts';
import type { TargetKind } from './target.ts';
import { clockText, durationText, ioTimeoutS, protectedForS, renewalIntervalS } from './times.ts';

/** One holder in a sentence or two. */
export function holderText(watched: WatchedHolder): string {
  const { holder, host, standing } = watched;
  const isNamed = standing !== 'replaced' && host !== null && host.hostName !== '';
  const who = isNamed
    ? hostNameOf(watched)
    : standing === 'replaced'
      ? `host id ${holder.hostId}`
      : 'a host';
  const held = `${holder.mode}: ${who} (host id ${holder.hostId}, generation ${holder.generation})`;
  return `${held} ${standingText(watched)}`;
}

function standingText(watched: WatchedHolder): string {
  const liveness = livenessOf(watched);
  const { hostError, holder } = watched;
  if (liveness === 'damaged' && hostError !== null) return hostDamageText(holder.hostId, hostError);
  const ioS = ioTimeoutS(watched.host);
  const safeS = protectedForS(ioS);
  const rule = `${safeS} s (8 × its io timeout of ${ioS} s, and 60 s for its watchdog)`;
  const agoS = Math.round(watched.renewedAgoS ?? 0);
  const duration = `${Math.round(watched.renewedAgoS ?? watched.watchedS)} s`;
  switch (liveness) {
    case 'alive':
      return (
        `is alive, it renewed ${agoS} s ago; if it falls silent now, no host may take this lease ` +
        `before ${rule} from that renewal`
      );
    case 'silent':
      return (
        `did not renew in the ${duration} we watched, and a healthy host renews every ${renewalIntervalS(ioS)} s; ` +
        `no host may take this lease before ${rule} from its last renewal`
      );
    case 'dead':
      return (
        `did not renew for ${duration}: it counts as dead, and any host may take this lease now ` +
        `(${rule} are over)`
      );
    case 'not watched':
      return (
        'is a member of the lockspace; one reading does not show whether it is alive; ' +
        `no host may take this lease before ${rule} from its last renewal`
      );
    case 'left':
      return 'has left the lockspace in good order since: any host may take this lease at once';
    case 'replaced':
      return (
        'has joined the lockspace anew since, or another host has taken its id: ' +
        'any host may take this lease at once'
      );
    case 'unread':
      return (
        `could not be watched for the last ${Math.round(watched.unreadS)} s, as its host lease was not read: ` +
        'whether it lives, and until when nobody else may take this lease, is not known'
      );
    case 'damaged':
    case 'unknown':
      return (
        'has no readable host lease in the lockspace area, so its name and health are unknown; ' +
        'the lockspace may be elsewhere: give --lockspace <path>:<offset>'
      );
    default:
      return unreachable(liveness);
  }
}

/** A former member has nothing any more: whose process it was would mislead. */
const HAS_USERS: ReadonlySet<Liveness> = new Set([
  ...(['alive', 'silent', 'not watched', 'unread', 'dead'] as const),
]);

/**
 * Which process has it, and since when.
 * @returns null: nothing is known of it, or the host has nothing any more
 */
export function takenText(
  watched: WatchedHolder,
  of: { readonly lockspaceName: string; readonly kind: TargetKind; readonly wallMs: number },
): string | null {
  if (!HAS_USERS.has(livenessOf(watched))) return null;
  const { note } = watched.holder;
  const heldS = heldForS(watched);
  const since =
    heldS === null
      ? ''
      : `, ${durationText(heldS)} ago (${clockText(of.wallMs - heldS * 1000)} here)`;
  if (note === null) {
    if (heldS === null) return null;
    const whose = 'by which process is known to sanlock on that host alone';
    return `taken${since}; ${whose} (sanlock client status)`;
  }
  return `${userText(takenBy(note, of.lockspaceName), of.kind)}${since}`;
}

function userText(user: TakenBy, kind: TargetKind): string {
  const { pid, clientName, command, uuid } = user;
  const called = command === '' || command === clientName ? '' : `${shown(command, MOST)}, `;
  const process = `(${called}pid ${pid})`;
  switch (user.kind) {
    case 'lvm':
      return kind === 'lv'
        ? `the LV is active there: taken by lvmlockd ${process}`
        : `for a command of lvm: taken by lvmlockd ${process}`;
    case 'guest': {
      const named = uuid === '' ? '' : `, UUID ${shown(uuid, MOST)}`;
      return `taken for guest ${shown(clientName, MOST)}${named} ${process}`;
    }
    case 'process': {
      const client = clientName === '' ? 'a process' : `client "${shown(clientName, MOST)}"`;
      return `taken by ${client} ${process}`;
    }
    default:
      return unreachable(user.kind);
  }
}

const MOST = 48;

/** When another host may have the lease, as a time of day; null: at once, or not known. */
export function takeableText(watched: WatchedHolder, wallMs: number): string | null {
  const takeable = takeableOf(watched);
  if (takeable === null || takeable.withinS === 0) return null;
  const { afterS, withinS } = takeable;
  const at = (s: number) => `${durationText(s)} (${clockText(wallMs + s * 1000)} here)`;
  const when = afterS > 0 ? `in ${at(afterS)} at the earliest` : `within ${at(withinS)}`;
  return `another host may have it ${when}, if it does not renew again`;
}

/** The user in a word or two, for a column; empty: not known. */
export function userWord(watched: WatchedHolder, lockspaceName: string): string {
  const { note } = watched.holder;
  if (note === null || !HAS_USERS.has(livenessOf(watched))) return '';
  const { kind, clientName, command, pid } = takenBy(note, lockspaceName);
  if (kind === 'lvm') return 'lvmlockd';
  const name = clientName === '' || /^\d+$/.test(clientName) ? command : clientName;
  return `${shown(name, MOST)} (${pid})`;
}
