/**
 * The link of a lockspace to wdmd (spec 20 §9). wdmd feeds the machine's watchdog only while every
 * expiry that it knows lies ahead: a daemon that hangs or dies while users hold leases ends with a
 * reset, before other hosts may take them. Only `releaseWatchdog` ever ends an expiry.
 */
export interface WatchdogLink {
  readonly purpose: WatchdogPurpose;
  /**
   * connecting, opening: wdmd has nothing of this lockspace by this connection. ready: the host id
   * may be acquired. arming: wdmd is told. armed: users may hold leases. lost: there is no
   * connection; what wdmd was told stays until a later connection takes it over.
   */
  state: 'connecting' | 'opening' | 'ready' | 'arming' | 'armed' | 'lost';
  deadlineMs: number;
  /** wdmd’s answer to TAKE_OVER (`TAKE_OVER_ANSWER`); null: none came. */
  takeOver: { readonly answer: number; readonly resetAtS: number } | null;
  /** What an earlier daemon told wdmd, by its journal; 0 = there was none. */
  readonly oldExpireS: number;
  /** No later than the first renewal that wdmd heard of in this membership; 0: not known. */
  sinceS: number;
  /** Connections in a row that failed. */
  failures: number;
  /** Of a lost link: when another connection is tried; 0 = not by itself. */
  againMs: number;
  /** When the connection was lost by which users were protected. */
  lostMs: number;
}

/** A promise to wdmd, in seconds of CLOCK_MONOTONIC. */
export interface WatchdogExpiry {
  readonly renewalS: number;
  /** wdmd pings the device until then, and lets it run out if it hears nothing later. */
  readonly expireS: number;
}

/**
 * join: nothing of the lockspace is on the disk yet. resume: the membership of an earlier daemon
 * goes on. rearm: it is live, and the connection was lost. The latter two take over what an earlier
 * connection told wdmd.
 */
export type WatchdogPurpose = 'join' | 'resume' | 'rearm';
