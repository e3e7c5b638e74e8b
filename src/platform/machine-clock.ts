import type { BootClock } from '../ports/clock.ts';
import { MonotonicClock } from './clock.ts';
import { clockGettime } from './system-calls.ts';

const CLOCK_BOOTTIME = 7;

/** Both clocks of the machine. A program that makes no promise takes `MonotonicClock` alone. */
export class MachineClock extends MonotonicClock implements BootClock {
  /** Seconds and nanoseconds, each its lower and its upper half: as numbers they cost no memory. */
  readonly #time = new Uint32Array(4);
  readonly #bytes = new Uint8Array(this.#time.buffer);

  bootMs(): number {
    if (clockGettime(CLOCK_BOOTTIME, this.#bytes) !== 0) {
      throw new Error('CLOCK_BOOTTIME cannot be read');
    }
    const seconds = (this.#time[1] ?? 0) * 2 ** 32 + (this.#time[0] ?? 0);
    return seconds * 1000 + (this.#time[2] ?? 0) / 1e6;
  }
}
