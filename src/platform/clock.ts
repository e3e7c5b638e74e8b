import type { Clock, Timer } from '../ports/clock.ts';

const MAX_TIMEOUT_MS = 0x7fffffff; // setTimeout treats more as 1 ms

/**
 * CLOCK_MONOTONIC of this host: equal in all its processes, unmoved by changes of the wall clock.
 */
export class MonotonicClock implements Clock {
  nowMs(): number {
    return Number(process.hrtime.bigint()) / 1e6;
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
    const dueMs = this.nowMs() + delayMs;
    const arm = (restMs: number) =>
      setTimeout(
        () => {
          const leftMs = dueMs - this.nowMs();
          if (leftMs > 0) pending = arm(leftMs);
          else fire();
        },
        Math.min(Math.ceil(Math.max(restMs, 0)), MAX_TIMEOUT_MS),
      );
    let pending = arm(delayMs);
    return { cancel: () => clearTimeout(pending) };
  }
}
