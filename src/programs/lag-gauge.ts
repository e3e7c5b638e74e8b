import type { Clock } from '../ports/clock.ts';

/** Timers always come a little late; a shorter lag concerns nobody. */
const NOTICED_MS = 100;

/**
 * Measures by how much this program comes late to what it planned; everything else comes as late.
 * It measures by the clock, so that an event which overtakes the late timer can ask too (spec 70
 * §6), and has no timer of its own: each would wake an idle process. A lag that begins before the
 * planned moment seems shorter by the time up to it.
 */
export class LagGauge {
  readonly #clock: Clock;
  #dueMs: number | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** This program runs again after `delayMs` at the latest, unless it lags. */
  expect(delayMs: number): void {
    this.#dueMs = this.#clock.nowMs() + delayMs;
  }

  /** Nothing is planned any more. */
  rest(): void {
    this.#dueMs = null;
  }

  /** The lag not reported yet, in ms; each is reported once. */
  take(): number {
    if (this.#dueMs === null) return 0;
    const nowMs = this.#clock.nowMs();
    const lagMs = nowMs - this.#dueMs;
    if (lagMs < NOTICED_MS) return 0;
    this.#dueMs = nowMs;
    return lagMs;
  }
}
