import type { Clock, Timer } from '../ports/clock.ts';

/**
 * The event loop counts whole milliseconds from the beginning of a turn, so most timers would fire
 * early, and wake the process a second time for the rest: a long one asks for one more.
 */
const LONG_MS = 100;
const MAX_TIMEOUT_MS = 0x7fffffff; // setTimeout treats more as 1 ms

/** Not `performance.now()`, whose module costs a start 1 to 3 ms. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/**
 * CLOCK_MONOTONIC of this host: equal in all its processes, unmoved by changes of the wall clock.
 */
export class MonotonicClock implements Clock {
  nowMs(): number {
    return monotonicMs();
  }

  wallMs(): number {
    return Date.now();
  }

  /**
   * Timers of the event loop may fire a little early; this one waits for the rest. Without a delay
   * it fires behind what the loop finds arrived, not behind the millisecond a timer takes at least.
   */
  after(delayMs: number, fire: () => void): Timer {
    if (delayMs <= 0) {
      const immediate = setImmediate(fire);
      return { cancel: () => clearImmediate(immediate) };
    }
    return new LoopTimer(this, delayMs, fire);
  }
}

class LoopTimer implements Timer {
  readonly #clock: Clock;
  readonly #dueMs: number;
  readonly #fire: () => void;
  #pending: NodeJS.Timeout;

  constructor(clock: Clock, delayMs: number, fire: () => void) {
    this.#clock = clock;
    this.#dueMs = clock.nowMs() + delayMs;
    this.#fire = fire;
    this.#pending = this.#arm(delayMs);
  }

  cancel(): void {
    clearTimeout(this.#pending);
  }

  #arm(restMs: number): NodeJS.Timeout {
    const timeoutMs = Math.ceil(restMs) + (restMs >= LONG_MS ? 1 : 0);
    return setTimeout(() => this.#expire(), Math.min(timeoutMs, MAX_TIMEOUT_MS));
  }

  #expire(): void {
    const leftMs = this.#dueMs - this.#clock.nowMs();
    if (leftMs > 0) this.#pending = this.#arm(leftMs);
    else this.#fire();
  }
}
