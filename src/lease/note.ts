import { SECOND_MS } from '../base/units.ts';
import type { Dblock } from '../format/dblock.ts';
import type { NoteFacts, Taker } from '../format/holder-note.ts';

// The holder note of our own host sector (spec 10 §4.7): it rides in writes that are made anyway,
// and no procedure reads one to decide anything.

/** Which process wants a lease. */
export interface NoteWish {
  readonly taker: Taker;
  /** How far the wall clock is ahead of the monotonic one; it may be set meanwhile. */
  readonly wallAheadMs: number;
}

/** Of a hold that begins with the values which our block proposes; null: nothing is known of it. */
export function noteOf(wish: NoteWish | null, { inpTimestampS }: Dblock): NoteFacts | null {
  if (wish === null) return null;
  const aheadS = BigInt(Math.floor(wish.wallAheadMs / SECOND_MS));
  const unixS = inpTimestampS + aheadS;
  return {
    ...wish.taker,
    sinceUnixS: unixS > 0n ? unixS : 0n,
    sinceMonotonicS: inpTimestampS,
  };
}

/** Of a hold that is converted: another process may hold it by now, and the host since before. */
export function noteOfConverted(taker: Taker | null, before: NoteFacts | null): NoteFacts | null {
  if (taker === null) return before;
  const { sinceUnixS = 0n, sinceMonotonicS = 0n } = before ?? {};
  return { ...taker, sinceUnixS, sinceMonotonicS };
}
