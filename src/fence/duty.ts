import { unreachable } from '../base/assert.ts';
/**
 * fence_sanlockd between its first expiry at wdmd and its end: when to renew that expiry, and when
 * to let it pass so that the watchdog resets this host (spec 25 §7).
 *
 *   T      last renewal, good until T+20
 *   T+5    the next one, unless this host is being fenced or lost its lockspace
 *   T+10   without one, wdmd stops feeding the device here at the earliest …
 *   T+20   … and at the latest here
 *   T+80   the device has fired; others may have our lease 8t + 60 s after sanlock's last renewal
 */
export interface Duty {
  readonly hostId: number;
  /** Another host wants our lease. */
  isVictim: boolean;
  /** The lockspace, or the daemon that keeps it, is gone: no way back. */
  isLost: boolean;
  /** A fence_sanlock runs here. */
  isFencing: boolean;
  /** Two hosts fence each other: whether this one survives. */
  contention: 'won' | 'lost' | null;
  renewedMs: number;
  isOver: boolean;
}

export type DutyEvent =
  | { readonly kind: 'started' | 'fenced' | 'fencing' | 'lost' | 'stop' | 'tick' }
  /** Answers `findAgents`: the host ids that agents running here are fencing. */
  | { readonly kind: 'agents'; readonly victims: readonly number[] };

export type DutyEffect =
  /** Give wdmd a new expiry, EXPIRE_S from now. */
  | { readonly kind: 'renew' }
  | { readonly kind: 'findAgents' }
  /** Withdraw the expiry, release the lease, end. */
  | { readonly kind: 'leave' }
  | { readonly kind: 'log'; readonly event: DutyLogEvent };

export type DutyLogEvent =
  | 'host.fenced'
  | 'host.fencing'
  | 'host.lost'
  | 'contention.won'
  | 'contention.lost'
  | 'stop.refused';

export const RENEW_EVERY_MS = 5000;
export const EXPIRE_S = 20;

export function newDuty(hostId: number): Duty {
  return {
    hostId,
    isVictim: false,
    isLost: false,
    isFencing: false,
    contention: null,
    renewedMs: Number.NEGATIVE_INFINITY,
    isOver: false,
  };
}

export function stepDuty(duty: Duty, event: DutyEvent, nowMs: number): DutyEffect[] {
  if (duty.isOver) return [];
  const effects = reactTo(duty, event);
  // The first expiry is given in any case: a victim without one would never be reset.
  if (event.kind === 'started' || mayRenew(duty, nowMs)) {
    duty.renewedMs = nowMs;
    effects.push({ kind: 'renew' });
  }
  return effects;
}

function mayRenew(duty: Duty, nowMs: number): boolean {
  if (duty.isVictim || duty.isLost || duty.isOver) return false;
  const isStarted = duty.renewedMs !== Number.NEGATIVE_INFINITY;
  return isStarted && nowMs - duty.renewedMs >= RENEW_EVERY_MS;
}

function reactTo(duty: Duty, event: DutyEvent): DutyEffect[] {
  switch (event.kind) {
    case 'started':
      return [];
    case 'tick':
      return duty.isFencing ? [{ kind: 'findAgents' }] : [];
    case 'fenced': {
      const effects: DutyEffect[] = duty.isVictim ? [] : [log('host.fenced')];
      duty.isVictim = true;
      if (duty.isFencing) effects.push({ kind: 'findAgents' });
      return effects;
    }
    case 'fencing':
      duty.isFencing = true;
      return [log('host.fencing'), { kind: 'findAgents' }];
    case 'agents':
      return decideContention(duty, event.victims);
    case 'lost':
      if (duty.isLost) return [];
      duty.isLost = true;
      return [log('host.lost')];
    case 'stop':
      // Others wait for this host's reset: a lease released in order would say that it was done.
      if (duty.isVictim || duty.isLost) return [log('stop.refused')];
      duty.isOver = true;
      return [{ kind: 'leave' }];
    default:
      return unreachable(event);
  }
}

/**
 * Two hosts fence each other, each with quorum by itself: the lower id survives. The winner stays
 * aware that it fences, as the loser's request may reach it more than once. With several
 * victims it has to be below them all: to be reset is the safe mistake.
 */
function decideContention(duty: Duty, victims: readonly number[]): DutyEffect[] {
  if (victims.length === 0) {
    duty.isFencing = false;
    duty.contention = null;
    return [];
  }
  if (!duty.isVictim) return [];
  const isWon = victims.every((victim) => duty.hostId < victim);
  if (isWon) duty.isVictim = false;
  const before = duty.contention;
  duty.contention = isWon ? 'won' : 'lost';
  return before === duty.contention ? [] : [log(isWon ? 'contention.won' : 'contention.lost')];
}

function log(event: DutyLogEvent): DutyEffect {
  return { kind: 'log', event };
}
