import { SECOND_MS } from '../../base/units.ts';
import { WATCHDOG_FIRE_MS } from '../../lease/lease-times.ts';
import type { Clock, Timer } from '../../ports/clock.ts';

/** A watchdog device as wdmd's driver knows it. */
export interface WatchdogTimer {
  readonly timeoutS: number;
  /** Pings, too. */
  setTimeoutS(seconds: number): void;
  ping(): void;
  disarm(): void;
}

/** The watchdog device of a host: it resets the host unless it is pinged in time. */
export class SimWatchdog implements WatchdogTimer {
  readonly #clock: Pick<Clock, 'after'>;
  readonly #reset: () => void;
  #fireMs = WATCHDOG_FIRE_MS;
  #timer: Timer | null = null;

  /** @param clock the world's, for a device that counts whatever its host does */
  constructor(clock: Pick<Clock, 'after'>, reset: () => void) {
    this.#clock = clock;
    this.#reset = reset;
  }

  get timeoutS(): number {
    return this.#fireMs / SECOND_MS;
  }

  setTimeoutS(seconds: number): void {
    this.#fireMs = seconds * SECOND_MS;
    this.ping();
  }

  ping(): void {
    this.disarm();
    this.#timer = this.#clock.after(this.#fireMs, this.#reset);
  }

  disarm(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** The next boot finds it disarmed, with the timeout that it has by itself. */
  powerLost(): void {
    this.disarm();
    this.#fireMs = WATCHDOG_FIRE_MS;
  }
}
