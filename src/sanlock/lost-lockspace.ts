import type { ByteString } from '../base/bytes.ts';
import { type LostPhase, waitingSince } from './lost-step.ts';

/** A lockspace that was lost, and that the daemon joins again. */
export interface LostLockspace {
  /** In the journal of holders. */
  readonly id: number;
  readonly space: LostFacts;
  /**
   * As its client had set it (SET_CONFIG): that client does not join it again, and does not know
   * that it was lost. Where an earlier daemon lost it: as if it were set, which only keeps more.
   */
  usedByOrphans: boolean;
  phase: LostPhase;
}

/** What a join needs. */
export interface LostFacts {
  readonly name: ByteString;
  readonly hostId: number;
  readonly path: ByteString;
  readonly offset: number;
  readonly ioTimeoutS: number;
}

/** @param at as for `waitingSince` */
export function lostLockspace(
  id: number,
  space: LostFacts,
  at: {
    readonly nowMs: number;
    readonly isSettled: boolean;
    readonly usedByOrphans: boolean;
  },
): LostLockspace {
  const { name, hostId, path, offset, ioTimeoutS } = space;
  const phase = waitingSince(at.nowMs, at.isSettled);
  const { usedByOrphans } = at;
  return { id, space: { name, hostId, path, offset, ioTimeoutS }, usedByOrphans, phase };
}
