/** Monotonic time and timers. Every wait of a program goes through here. */
export interface Clock {
  /** CLOCK_MONOTONIC milliseconds (fraction allowed), the same clock in all processes of a host. */
  nowMs(): number;
  /** How long this machine was suspended since it booted: `nowMs` stands still then. */
  asleepMs?(): number;
  /** Wall clock, only for texts people read. */
  wallMs(): number;
  /**
   * Calls `fire` once, no sooner than `delayMs` from now; with 0, once what has arrived by now from
   * outside has been handled.
   */
  after(delayMs: number, fire: () => void): Timer;
}

/**
 * Before something is judged by what others said: it may have arrived long ago, and lie in a
 * socket because this program could not run. One turn accepts connections, one reads them.
 */
export function afterArrivals(clock: Clock, judge: () => void): void {
  clock.after(0, () => clock.after(0, judge));
}

export interface Timer {
  /** Safe to repeat, and after the timer fired. */
  cancel(): void;
}
