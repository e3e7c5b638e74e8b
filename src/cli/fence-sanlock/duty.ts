import { unreachable } from '../../base/assert.ts';
/**
 * fence_sanlockd between its first expiry at wdmd and its end: when to renew that expiry, and when
 * to let it pass so that the watchdog resets this host (spec 25 §7).
 *
 *   T      last renewal, good until T+20
 *   T+5    the next one, unless this host is being fenced or lost its lockspace
 *   T+10   without one, wdmd stops to feed the device here at the earliest …
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
  duel: 'won' | 'lost' | null;
  renewedMs: number;
  isOver: boolean;
}

export type DutyEvent =
  | { readonly kind: 'started' | 'fenced' | 'fencing' | 'lost' | 'stop' | 'tick' }
  /** Answers `lookForAgents`: the host ids that agents running here are fencing. */
  | { readonly kind: 'agents'; readonly victims: readonly number[] };

export type DutyEffect =
  /** Give wdmd a new expiry, EXPIRE_S from now. */
  | { readonly kind: 'renew' }
  | { readonly kind: 'lookForAgents' }
  /** Withdraw the expiry, give the lease back, end. */
  | { readonly kind: 'leave' }
  | { readonly kind: 'tell'; readonly event: DutyNews };

export type DutyNews =
  | 'host.fenced'
  | 'host.fencing'
  | 'host.lost'
  | 'duel.won'
  | 'duel.lost'
  | 'stop.refused';

export const RENEW_EVERY_MS = 5000;
export const EXPIRE_S = 20;

export function newDuty(hostId: number): Duty {
  return {
    hostId,
    isVictim: false,
    isLost: false,
    isFencing: false,
    duel: null,
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
      return duty.isFencing ? [{ kind: 'lookForAgents' }] : [];
    case 'fenced': {
      const effects: DutyEffect[] = duty.isVictim ? [] : [tell('host.fenced')];
      duty.isVictim = true;
      if (duty.isFencing) effects.push({ kind: 'lookForAgents' });
      return effects;
    }
    case 'fencing':
      duty.isFencing = true;
      return [tell('host.fencing'), { kind: 'lookForAgents' }];
    case 'agents':
      return judgeDuel(duty, event.victims);
    case 'lost':
      if (duty.isLost) return [];
      duty.isLost = true;
      return [tell('host.lost')];
    case 'stop':
      // Others wait for this host's reset: given back in order, the lease would say it was done.
      if (duty.isVictim || duty.isLost) return [tell('stop.refused')];
      duty.isOver = true;
      return [{ kind: 'leave' }];
    default:
      return unreachable(event);
  }
}

/**
 * Two hosts that fence each other, each with quorum by itself: the lower id survives. The winner
 * goes on knowing that it fences, as the loser's request may reach it more than once. With several
 * victims it has to be below them all: to be reset is the safe mistake.
 */
function judgeDuel(duty: Duty, victims: readonly number[]): DutyEffect[] {
  if (victims.length === 0) {
    duty.isFencing = false;
    duty.duel = null;
    return [];
  }
  if (!duty.isVictim) return [];
  const isWon = victims.every((victim) => duty.hostId < victim);
  if (isWon) duty.isVictim = false;
  const before = duty.duel;
  duty.duel = isWon ? 'won' : 'lost';
  return before === duty.duel ? [] : [tell(isWon ? 'duel.won' : 'duel.lost')];
}

function tell(event: DutyNews): DutyEffect {
  return { kind: 'tell', event };
}
