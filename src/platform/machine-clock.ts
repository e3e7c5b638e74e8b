import { MonotonicClock } from './clock.ts';
import { clockGettime } from './system-calls.ts';

const CLOCK_MONOTONIC = 1;
const CLOCK_BOOTTIME = 7;

/** The monotonic clock, and how long the machine has slept meanwhile. */
export class MachineClock extends MonotonicClock {
  readonly #time = new BigInt64Array(2);
  readonly #bytes = new Uint8Array(this.#time.buffer);

  /** A little too much rather than too little: the clock that runs on is read last. */
  asleepMs(): number {
    const awakeMs = this.#read(CLOCK_MONOTONIC);
    return Math.max(0, this.#read(CLOCK_BOOTTIME) - awakeMs);
  }

  #read(clock: number): number {
    if (clockGettime(clock, this.#bytes) !== 0) throw new Error(`clock ${clock} cannot be read`);
    return Number(this.#time[0]) * 1000 + Number(this.#time[1]) / 1e6;
  }
}
