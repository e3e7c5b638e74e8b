import { unreachable } from '../../../base/assert.ts';
import { nameToText } from '../../../base/bytes.ts';
import { plain } from '../../../base/plain-text.ts';
import type { DeltaLeader } from '../../../format/leader.ts';
import { type Standing, standingOf } from '../../../lease/holders.ts';
import type { LeaseError } from '../../../lease/lease-error.ts';
import type { NotedHolder } from '../../../lease/noted-holders.ts';
import type { HostRead, HostWatch } from './space-watch.ts';
import { ioTimeoutS, protectedForS, renewalSeenWithinS } from './times.ts';

/** A holder as found, and what its host lease showed while it was watched. */
export interface WatchedHolder {
  readonly holder: NotedHolder;
  readonly host: DeltaLeader | null;
  /** Why its host lease is not readable; every acquire from this holder is refused with it. */
  readonly hostError: LeaseError | null;
  readonly standing: Standing | 'unknown' | 'damaged';
  /** Own seconds since its last renewal was seen to happen; null when none was seen. */
  readonly renewedAgoS: number | null;
  /** It may be so much longer ago: between two reads. */
  readonly renewalGapS: number;
  /** How long its host lease was watched. */
  readonly watchedS: number;
  /** How long ago it was read last: since then it may have renewed. */
  readonly unreadS: number;
}

/**
 * `alive`: seen to renew, and no later renewal is overdue. `silent`: one is overdue. `dead`: for so
 * long that other hosts may take its leases. `left`, `replaced`: it is no member any more.
 * `unread`: a renewal is overdue, but here nothing could be read meanwhile.
 */
export type Liveness =
  | 'alive'
  | 'silent'
  | 'dead'
  | 'not watched'
  | 'left'
  | 'replaced'
  | 'damaged'
  | 'unread'
  | 'unknown';

export function watchedHolder(
  holder: NotedHolder,
  { last, readMs, renewedMs, renewedAfterMs, beganMs }: HostWatch,
  nowMs: number,
): WatchedHolder {
  return {
    holder,
    host: last.ok ? last.value : null,
    hostError: last.ok ? null : last.error,
    standing: standing(holder, last),
    renewedAgoS: renewedMs === null ? null : (nowMs - renewedMs) / 1000,
    renewalGapS: ((renewedMs ?? 0) - (renewedAfterMs ?? 0)) / 1000,
    watchedS: (nowMs - beganMs) / 1000,
    unreadS: (nowMs - readMs) / 1000,
  };
}

/** Where another lockspace lies, none, or one without that host: the holder's is elsewhere. */
const ELSEWHERE: ReadonlySet<string> = new Set([
  'LEADER_MAGIC',
  'LEADER_LOCKSPACE',
  'LEADER_SECTORSIZE',
  'ADDLS_INVALID_HOSTID',
]);

function standing(holder: NotedHolder, host: HostRead): WatchedHolder['standing'] {
  if (host.ok) return standingOf(host.value, holder);
  return ELSEWHERE.has(host.error.code) ? 'unknown' : 'damaged';
}

/** A look at many leases takes some seconds, one that fails as long as its deadline. */
const MOST_UNREAD_S = 10;

export function livenessOf(watched: WatchedHolder): Liveness {
  const { renewedAgoS, watchedS, unreadS } = watched;
  if (watched.standing !== 'member') return watched.standing;
  const ioS = ioTimeoutS(watched.host);
  const silentS = renewedAgoS ?? watchedS;
  const withinS = renewalSeenWithinS(ioS);
  const isOverdue = silentS >= withinS;
  if (isOverdue && unreadS >= Math.min(MOST_UNREAD_S, withinS / 2)) return 'unread';
  if (silentS - unreadS >= protectedForS(ioS)) return 'dead';
  if (renewedAgoS !== null) return isOverdue ? 'silent' : 'alive';
  return isOverdue ? 'silent' : 'not watched';
}

/** As it calls itself, fit for a line; of one that has gone its host id. */
export function hostNameOf({ host, holder, standing: of }: WatchedHolder): string {
  const name = nameToText(host?.hostName ?? '');
  return of === 'replaced' || name === '' ? `host id ${holder.hostId}` : plain(name);
}

/** Whether no more is learned soon: it has renewed, should have, or cannot. */
export function isSettled(watched: WatchedHolder): boolean {
  return livenessOf(watched) !== 'not watched';
}

/** When another host may take the lease, if the holder does not renew again: seconds from now. */
export interface Takeable {
  /** Not before. */
  readonly afterS: number;
  /** By then at the latest. */
  readonly withinS: number;
}

/** null: it is not known. */
export function takeableOf(watched: WatchedHolder): Takeable | null {
  const liveness = livenessOf(watched);
  const wholeS = protectedForS(ioTimeoutS(watched.host));
  const { renewedAgoS, renewalGapS, watchedS } = watched;
  switch (liveness) {
    case 'alive':
    case 'silent':
    case 'not watched': {
      const withinS = Math.max(0, wholeS - (renewedAgoS ?? watchedS));
      // Of one that was never seen to renew, the last renewal may be as old as can be.
      return { afterS: renewedAgoS === null ? 0 : Math.max(0, withinS - renewalGapS), withinS };
    }
    case 'dead':
    case 'left':
    case 'replaced':
      return { afterS: 0, withinS: 0 };
    case 'damaged':
    case 'unread':
    case 'unknown':
      return null;
    default:
      return unreachable(liveness);
  }
}

/** Since when its host has the lease, by the clock of its renewals, in seconds; null: not known. */
export function heldForS({ holder, host, renewedAgoS }: WatchedHolder): number | null {
  const noted = holder.note?.sinceMonotonicS ?? 0n;
  const sinceS = noted > 0n ? noted : holder.sinceS;
  if (host === null || sinceS === null) return null;
  if (host.ownerGeneration !== holder.generation) return null;
  // It may have taken the lease since its last renewal.
  return Math.max(0, Number(host.timestampS - sinceS)) + (renewedAgoS ?? 0);
}
