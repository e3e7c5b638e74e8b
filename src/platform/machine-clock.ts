import { MonotonicClock } from './clock.ts';
import { clockGettime } from './system-calls.ts';

const CLOCK_MONOTONIC = 1;
const CLOCK_BOOTTIME = 7;
const CLOSE_MS = 1;
const MAX_ATTEMPTS = 10;

/** The monotonic clock, and how long the machine has slept meanwhile. */
export class MachineClock extends MonotonicClock {
  /** Seconds and nanoseconds, each its lower and its upper half: as numbers they cost no memory. */
  readonly #time = new Uint32Array(4);
  readonly #bytes = new Uint8Array(this.#time.buffer);

  /**
   * The difference of two clocks, read until nothing came between the two. A process stopped there
   * would see its pause as sleep, and less of a later sleep, of which this was the beginning.
   */
  asleepMs(): number {
    let asleepMs = 0;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const awakeMs = this.#read(CLOCK_MONOTONIC);
      asleepMs = Math.max(0, this.#read(CLOCK_BOOTTIME) - awakeMs);
      if (this.#read(CLOCK_MONOTONIC) - awakeMs < CLOSE_MS) break;
    }
    return asleepMs;
  }

  /** Asleep or not. */
  sinceBootMs(): number {
    return this.#read(CLOCK_BOOTTIME);
  }

  #read(clock: number): number {
    if (clockGettime(clock, this.#bytes) !== 0) throw new Error(`clock ${clock} cannot be read`);
    const seconds = (this.#time[1] ?? 0) * 2 ** 32 + (this.#time[0] ?? 0);
    return seconds * 1000 + (this.#time[2] ?? 0) / 1e6;
  }
}
