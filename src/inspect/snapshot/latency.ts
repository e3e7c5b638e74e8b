import type { RenewalSeen } from './snapshot.ts';

/** How long renewals took: milliseconds, read and write together. */
export interface Latency {
  readonly renewals: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly mostMs: number;
  /** Attempts that timed out or failed. */
  readonly failures: number;
}

/** Of the renewals that a lockspace remembers; null: it has not renewed yet. */
export function latencyOf(renewals: readonly RenewalSeen[]): Latency | null {
  // The first entry is the join, which has no times.
  const took = renewals
    .map(({ readMs, writeMs }) => readMs + writeMs)
    .filter((ms, index) => index > 0 || ms > 0)
    .sort((a, b) => a - b);
  if (took.length === 0) return null;
  const at = (share: number) =>
    took[Math.min(took.length - 1, Math.floor(share * took.length))] ?? 0;
  const failures = renewals.reduce((sum, { timeouts, errors }) => sum + timeouts + errors, 0);
  return {
    renewals: took.length,
    p50Ms: at(0.5),
    p95Ms: at(0.95),
    mostMs: took.at(-1) ?? 0,
    failures,
  };
}
