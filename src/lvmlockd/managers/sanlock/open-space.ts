import type { LeaseSite } from './layout.ts';
import type { SanlockTimes } from './times.ts';

/** A VG's lockspace whose leases were found and whose connection is registered; joined or not. */
export interface OpenSpace {
  readonly site: LeaseSite;
  /** Ours in the lockspace. */
  readonly hostId: number;
  /** The registered connection, which holds the leases. */
  readonly session: number;
  readonly times: SanlockTimes;
}

/** The start of a lockspace under way; changed by the procedures of that lockspace alone. */
export interface JoinAttempt {
  /** It is to end soon: nothing is begun any more. */
  isCancelled: boolean;
  /** sanlock has been asked to join, and has not answered. */
  isAdding: boolean;
}
