import type { ByteString } from '../base/bytes.ts';
import { HOST_STATES } from '../wire/sanlock/socket.ts';
import { RESET_EVENTS } from './reset-events.ts';

/** The host to be reset, as one lockspace knows it. */
export interface Target {
  readonly lockspaceName: ByteString;
  readonly hostId: bigint;
}

/** What GET_HOSTS shows of it. */
export interface TargetView {
  readonly state: number;
  readonly timestampS: bigint;
  readonly ioTimeoutS: number;
}

export interface WatchRules {
  /** The watchdog's own time is proof enough (`-t`). */
  readonly nativeTimeout: boolean;
  /** Resource leases protect the storage: a host that is dead to them is dead (`-R 1`). */
  readonly resourceMode: boolean;
}

export type Verdict =
  | { readonly kind: 'waiting' }
  | { readonly kind: 'done' | 'failed'; readonly why: string };

/** The watchdog fires within 60 s of its expiry, and wdmd checks every 10 s. */
const FIRED_AFTER_S = 70;
/** At io timeout 10 a host that lives has renewed between this and the time above. */
const NATIVE_DONE_S = 90;
const NATIVE_IO_TIMEOUT_S = 10;
const REPLIED_LIMIT_S = 300;
const MAX_UNANSWERED_RENEWALS = 4;
/** sanlock has shown nothing of the host for so long. */
const UNSEEN_LIMIT_S = 60;

interface Watched {
  readonly target: Target;
  view: TargetView | null;
  renewals: number;
  renewedS: number | null;
  seenS: number;
}

/**
 * Decides whether another host has been reset, from what the lockspaces show of it. It
 * errs to one side only: a host counts as reset when its watchdog must have fired, or its leases
 * expired.
 */
export class TargetWatch {
  readonly #watched: readonly Watched[];
  readonly #rules: WatchRules;
  /** The first reply of any kind, and the first that promises the watchdog. */
  #repliedS: number | null = null;
  #resettingS: number | null = null;

  constructor(targets: readonly Target[], rules: WatchRules, nowS: number) {
    this.#rules = rules;
    this.#watched = targets.map((target) => ({
      target,
      view: null,
      renewals: 0,
      renewedS: null,
      seenS: nowS,
    }));
  }

  get hasReply(): boolean {
    return this.#repliedS !== null;
  }

  received(event: Target & { readonly event: bigint }, nowS: number): void {
    const isTarget = this.#watched.some(
      ({ target }) =>
        target.lockspaceName === event.lockspaceName && target.hostId === event.hostId,
    );
    if (!isTarget) return;
    const { RESETTING, REBOOTING } = RESET_EVENTS;
    if (event.event & (RESETTING | REBOOTING)) this.#repliedS ??= nowS;
    if (event.event & RESETTING) this.#resettingS ??= nowS;
  }

  /** null: sanlock did not answer. */
  update(target: Target, view: TargetView | null, nowS: number): void {
    const watched = this.#watched.find((candidate) => candidate.target === target);
    if (watched === undefined || view === null) return;
    const before = watched.view;
    watched.view = view;
    watched.seenS = nowS;
    if (before === null || view.timestampS === 0n || view.timestampS === before.timestampS) return;
    watched.renewals++;
    watched.renewedS = nowS;
  }

  verdict(nowS: number): Verdict {
    const dead = this.#watched.find(({ view }) => view?.state === HOST_STATES.DEAD);
    if (dead !== undefined && (this.hasReply || this.#rules.resourceMode)) {
      return { kind: 'done', why: `${name(dead)} is dead` };
    }
    return this.#repliedS === null ? this.#unanswered(nowS) : this.#answered(this.#repliedS, nowS);
  }

  #unanswered(nowS: number): Verdict {
    const reasons = this.#watched.map((watched) => hopeless(watched, nowS));
    if (reasons.some((reason) => reason === null)) return { kind: 'waiting' };
    return { kind: 'failed', why: reasons.join('; ') };
  }

  #answered(repliedS: number, nowS: number): Verdict {
    const firedS = this.#resettingS === null ? null : this.#resettingS + FIRED_AFTER_S;
    const alive = this.#watched.find(
      ({ renewedS }) => firedS !== null && renewedS !== null && renewedS > firedS,
    );
    if (alive !== undefined) {
      return { kind: 'failed', why: `${name(alive)} renewed after its watchdog should have fired` };
    }
    if (this.#resettingS !== null && this.#nativeDone(this.#resettingS, nowS)) {
      return { kind: 'done', why: 'its watchdog has fired: no renewal since' };
    }
    if (nowS - repliedS < REPLIED_LIMIT_S) return { kind: 'waiting' };
    return { kind: 'failed', why: `it replied ${nowS - repliedS} s ago and is not dead` };
  }

  #nativeDone(resettingS: number, nowS: number): boolean {
    if (!this.#rules.nativeTimeout || nowS - resettingS < NATIVE_DONE_S) return false;
    return this.#watched.every(
      ({ view, seenS }) =>
        view?.ioTimeoutS === NATIVE_IO_TIMEOUT_S && seenS >= resettingS + FIRED_AFTER_S,
    );
  }
}

/** Why no reply can be expected any more; null while it can. */
function hopeless(watched: Watched, nowS: number): string | null {
  const { view, renewals, seenS } = watched;
  if (view?.state === HOST_STATES.DEAD) return `${name(watched)} is dead, without a reply`;
  if (view?.state === HOST_STATES.FREE) return `${name(watched)} has left, without a reply`;
  if (renewals >= MAX_UNANSWERED_RENEWALS) {
    return `${name(watched)} renewed ${renewals} times without a reply`;
  }
  if (nowS - seenS < UNSEEN_LIMIT_S) return null;
  return `${name(watched)}: sanlock showed nothing of it for ${nowS - seenS} s`;
}

function name({ target }: Watched): string {
  return `host ${target.hostId} of ${target.lockspaceName}`;
}
