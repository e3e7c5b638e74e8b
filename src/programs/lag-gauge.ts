import type { LeaseTimes } from '../lease/lease-times.ts';
import type { Clock, Timer } from '../ports/clock.ts';

/** Finer ticks would only wake idle processes: a tick misses at most this much of a lag. */
const MIN_TICK_MS = 125;
const MAX_TICK_MS = 1000;

/**
 * Measures by how much this program's timers come late; everything else comes as late. It
 * measures by the clock, so that an event which overtakes the late timer can ask too (spec 70 §6).
 */
export class LagGauge {
  readonly #clock: Clock;
  readonly #lagged: (lagMs: number) => void;
  #tickMs = 0;
  #dueMs = 0;
  #timer: Timer | null = null;

  constructor(clock: Clock, lagged: (lagMs: number) => void) {
    this.#clock = clock;
    this.#lagged = lagged;
  }

  /** Measures finely enough for a lockspace with these times; null = not at all. */
  watch(times: LeaseTimes | null): void {
    if (times === null) {
      this.#tickMs = 0;
      this.#timer?.cancel();
      this.#timer = null;
      return;
    }
    const tickMs = Math.min(MAX_TICK_MS, Math.max(MIN_TICK_MS, times.lagTickMs));
    if (tickMs === this.#tickMs) return;
    this.#tickMs = tickMs;
    this.#arm();
  }

  /** The lag not reported yet, in ms; each is reported once. */
  take(): number {
    if (this.#timer === null) return 0;
    const lagMs = this.#clock.nowMs() - this.#dueMs;
    if (lagMs < 0) return 0;
    this.#arm();
    return lagMs;
  }

  #arm(): void {
    this.#timer?.cancel();
    this.#dueMs = this.#clock.nowMs() + this.#tickMs;
    this.#timer = this.#clock.after(this.#tickMs, () => this.#lagged(this.take()));
  }
}
