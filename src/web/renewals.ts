import type { LockspaceSeen } from '../inspect/snapshot/snapshot.ts';
import { RENEWALS_KEPT, type RenewalPoint } from './model.ts';

/** Upper bounds of the histogram of renewals, in seconds; the last one is +Inf. */
export const RENEWAL_BOUNDS_S: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20,
];

/** Renewals of one lockspace since the server was started, each once. */
export interface RenewalTally {
  /** How many took at most as long as the bound of the same place. */
  readonly buckets: readonly number[];
  readonly count: number;
  readonly sumS: number;
  readonly timeouts: number;
  readonly errors: number;
}

interface Kept {
  points: RenewalPoint[];
  lastS: number;
  tally: RenewalTally;
}

const NOTHING: RenewalTally = {
  buckets: RENEWAL_BOUNDS_S.map(() => 0),
  count: 0,
  sumS: 0,
  timeouts: 0,
  errors: 0,
};
/** A lockspace that is gone for as many others is forgotten. */
const MAX_LOCKSPACES = 200;

/**
 * The renewals of all lockspaces, by the history that sanlock keeps of them: none is missed between
 * two looks, and none is counted twice.
 */
export class Renewals {
  readonly #kept = new Map<string, Kept>();

  /** @returns the new ones of the lockspace */
  add({ name, renewals, failS }: LockspaceSeen): readonly RenewalPoint[] {
    const kept = this.#kept.get(name) ?? {
      points: [],
      lastS: Number.NEGATIVE_INFINITY,
      tally: NOTHING,
    };
    const added: RenewalPoint[] = [];
    for (const { timestampS, readMs, writeMs, timeouts, errors } of renewals) {
      if (timestampS <= kept.lastS) continue;
      const took = readMs + writeMs;
      if (took === 0) {
        kept.lastS = timestampS; // the join, which has no times
        continue;
      }
      const lowest = kept.lastS === Number.NEGATIVE_INFINITY ? null : failS;
      added.push([timestampS, lowest === null ? null : lowest - (timestampS - kept.lastS), took]);
      kept.lastS = timestampS;
      kept.tally = counted(kept.tally, { tookS: took / 1000, timeouts, errors });
    }
    kept.points = [...kept.points, ...added].slice(-RENEWALS_KEPT);
    this.#kept.delete(name);
    this.#kept.set(name, kept);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= MAX_LOCKSPACES) break;
      this.#kept.delete(oldest);
    }
    return added;
  }

  points(lockspace: string): readonly RenewalPoint[] {
    return this.#kept.get(lockspace)?.points ?? [];
  }

  tally(lockspace: string): RenewalTally {
    return this.#kept.get(lockspace)?.tally ?? NOTHING;
  }
}

function counted(
  tally: RenewalTally,
  { tookS, timeouts, errors }: { tookS: number; timeouts: number; errors: number },
): RenewalTally {
  return {
    buckets: tally.buckets.map((n, place) => {
      return tookS <= (RENEWAL_BOUNDS_S[place] ?? Number.POSITIVE_INFINITY) ? n + 1 : n;
    }),
    count: tally.count + 1,
    sumS: tally.sumS + tookS,
    timeouts: tally.timeouts + timeouts,
    errors: tally.errors + errors,
  };
}
