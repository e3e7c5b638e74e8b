import { unreachable } from '../base/assert.ts';
import type { DeltaHold } from '../lease/delta-acquire.ts';
import type { LeaseError } from '../lease/lease-error.ts';
import { type LeaseTimes, leaseTimes } from '../lease/lease-times.ts';
import type { HostChanges, HostTable } from './host-table.ts';
import type { AnnouncedEvent, FromLeaseProcess, JoinRequest } from './messages.ts';

/**
 * The membership of this host in one lockspace (spec 10 §5):
 *
 *   joining ──▶ member ──▶ leaving ──▶ left
 *      │          ├──▶ expired ──┤       ▲
 *      │          └─▶ overwritten┘       │
 *      └─────────────────────────────────┘ (could not join)
 *
 * Only a member renews. Nothing leads back from `expired`: a renewal that lands after our claim ran
 * out must not revive what the front is giving up.
 */
export interface Membership {
  readonly request: JoinRequest;
  readonly times: LeaseTimes;
  phase: Phase;
  /** Our delta lease and what we saw of the others; null until joined. */
  own: OwnLease | null;
  /** What the next renewals carry for other hosts. */
  announced: { readonly hostIds: readonly number[]; readonly event: AnnouncedEvent | null };
  effects: MembershipEffect[];
}

/** Where a membership is; the fields are what only that phase needs. */
export type Phase =
  | {
      readonly kind: 'joining';
      /** refused: the join failed, and a claim of it that was refused may still land. */
      waitsFor: 'device' | 'procedure' | 'refused';
      readonly bootOffsetMs: number;
      /** The front is giving the lockspace up: the procedure waits no longer. */
      isAborted: boolean;
      /** Why the join failed; null: it did not, so far. */
      error: LeaseError | null;
    }
  | { readonly kind: 'member' }
  /** Own expiry, 8·t after the timestamp of the last renewal known to have landed. */
  | { readonly kind: 'expired' }
  /** Another host wrote our record: writing it again would take the host id from that one. */
  | { readonly kind: 'overwritten' }
  | {
      readonly kind: 'leaving';
      /**
       * device, join, renewal: what was under way when it began. writes: those of commands.
       * release: the procedure. refused: writes that were refused and may still land.
       */
      waitsFor: 'device' | 'join' | 'renewal' | 'writes' | 'release' | 'refused';
      readonly bootOffsetMs: number;
      readonly writesUntilMs: number;
      /** The host id is to be freed, if our claim is good then. */
      isReleasing: boolean;
      isReleased: boolean;
    }
  | { readonly kind: 'left' };

/** Our delta lease while we are a member, and how its renewals went. */
export interface OwnLease {
  hold: DeltaHold;
  readonly hosts: HostTable;
  /** Timestamp of the last renewal known to have landed, or of the join; its boot time. */
  lastSuccessMs: number;
  claimedBootMs: number;
  /** failed: our record is as we know it. unanswered: a renewal may have landed, or may yet. */
  lastRenewal: 'good' | 'failed' | 'unanswered';
  /** Until then a renewal that was not answered well may yet go over a later one. */
  looseUntilMs: number;
  /** The one under way; null: none. */
  renewal: { readonly startedMs: number; readonly bootOffsetMs: number } | null;
}

/** When an event happens, and what may be under way to the disks then. */
export interface Moment {
  /** CLOCK_MONOTONIC. */
  readonly nowMs: number;
  /** CLOCK_BOOTTIME, read first: promises count from it (`ports/clock.ts`). */
  readonly bootMs: number;
  /** A write of this process may still land, one that was given up waiting for included. */
  readonly isWriting: boolean;
  /** Until when a write that was refused may land; null: none may. */
  readonly refusedUntilMs: number | null;
}

/** What a membership hears: from the front, of its procedures, and of time. */
export type MembershipEvent =
  /** The first one. */
  | { readonly kind: 'begun' }
  | { readonly kind: 'opened' }
  | { readonly kind: 'notOpened'; readonly errno: number }
  | { readonly kind: 'joined'; readonly hold: DeltaHold }
  | { readonly kind: 'joinFailed'; readonly error: LeaseError }
  /** `seen`: of the other hosts, at `readMs`; null where the area could not be read. */
  | {
      readonly kind: 'renewed';
      readonly hold: DeltaHold;
      readonly timestampS: number;
      readonly readMs: number;
      readonly seen: HostChanges | null;
    }
  | {
      readonly kind: 'renewalFailed';
      readonly step: 'read' | 'check' | 'write';
      readonly error: LeaseError;
      readonly readMs: number;
      readonly seen: HostChanges | null;
    }
  | { readonly kind: 'released'; readonly isDone: boolean }
  | { readonly kind: 'woke' }
  | { readonly kind: 'lagged'; readonly lagMs: number }
  | {
      readonly kind: 'announce';
      readonly hostIds: readonly number[];
      readonly event: AnnouncedEvent | null;
    }
  | { readonly kind: 'refuse' }
  | { readonly kind: 'leave'; readonly release: boolean };

/** What the program is to do for a membership, in this order. */
export type MembershipEffect =
  | { readonly kind: 'send'; readonly message: FromLeaseProcess }
  /** Answered by `opened` or `notOpened`. */
  | { readonly kind: 'open' }
  /** Answered by `joined` or `joinFailed`. */
  | { readonly kind: 'join' }
  /** Answered by `renewed` or `renewalFailed`. */
  | {
      readonly kind: 'renew';
      readonly hold: DeltaHold;
      readonly hosts: HostTable;
      readonly lastWriteLanded: boolean;
      readonly readTimeoutMs: number;
      readonly hostIds: readonly number[];
      readonly event: AnnouncedEvent | null;
    }
  /** Answered by `released`. */
  | { readonly kind: 'release'; readonly hold: DeltaHold }
  /** `woke`, once; an earlier one is not wanted any more. */
  | { readonly kind: 'wake'; readonly afterMs: number }
  /** `lagged`, when timers come late. */
  | { readonly kind: 'watchLag' }
  /** Neither `woke` nor `lagged` any more. */
  | { readonly kind: 'rest' };

/** A membership that begins with `join`; its first event is `begun`. */
export function newMembership(request: JoinRequest, now: Moment): Membership {
  return {
    request,
    times: leaseTimes(request.ioTimeoutS),
    phase: {
      kind: 'joining',
      waitsFor: 'device',
      bootOffsetMs: now.bootMs - now.nowMs,
      isAborted: false,
      error: null,
    },
    own: null,
    announced: { hostIds: [], event: null },
    effects: [],
  };
}

/** No grant, and no lease write may start (spec 10 §15 item 8). */
export function hasEnded(m: Membership, bootMs: number): boolean {
  switch (m.phase.kind) {
    case 'joining':
      return false;
    case 'member':
      return isPast(m, bootMs);
    case 'expired':
    case 'overwritten':
    case 'leaving':
    case 'left':
      return true;
    default:
      return unreachable(m.phase);
  }
}

/** A join that waits for an earlier owner waits no longer. */
export function isAborted({ phase }: Membership): boolean {
  if (phase.kind === 'joining') return phase.isAborted;
  return phase.kind === 'leaving' || phase.kind === 'left';
}

/**
 * Whether a write to our own delta lease may (still) be sent. A join that claims later after it
 * read than half the rival's wait may meet it joined.
 */
export function mayWriteOwn(
  m: Membership,
  at: { readonly bootMs: number; readonly readBootMs: number; readonly timeoutMs: number },
): boolean {
  const { own, phase, times } = m;
  if (own !== null) return phase.kind !== 'overwritten' && !isPast(m, at.bootMs);
  return at.bootMs - at.readBootMs <= Math.min(at.timeoutMs, times.ioTimeoutMs);
}

/** Own expiry: others may have our leases from here on, but for what they wait on top. */
export function isPast({ own, times }: Membership, bootMs: number): boolean {
  return own !== null && bootMs - own.claimedBootMs >= times.renewalFailMs;
}
