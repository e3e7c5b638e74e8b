/** Monotonic time and timers. Every wait of a program goes through here. */
export interface Clock {
  /**
   * CLOCK_MONOTONIC milliseconds (fraction allowed), the same clock in all processes of a host. It
   * stands still while the machine is suspended. Timestamps on the disk are of this clock.
   */
  nowMs(): number;
  /** Wall clock, milliseconds since 1970, only for texts that administrators read. */
  wallMs(): number;
  /**
   * Calls `fire` once, no sooner than `delayMs` from now; with 0, once what has arrived by now from
   * outside has been handled.
   */
  after(delayMs: number, fire: () => void): Timer;
}

/**
 * Calls `decide` once everything is read that has arrived by now. Messages may lie in a socket for
 * long, because this program could not run: a decision by what others sent must see them first. One
 * turn of the loop accepts connections, one reads them.
 */
export function afterArrivals(clock: Clock, decide: () => void): void {
  clock.after(0, () => clock.after(0, decide));
}

/**
 * The clock of a program that makes promises to other hosts. They count our silence by clocks that
 * go on while this machine is suspended, so a promise is judged by boot time and never by `nowMs`.
 */
export interface BootClock extends Clock {
  /** CLOCK_BOOTTIME milliseconds (fraction allowed): as `nowMs`, plus all time suspended. */
  bootMs(): number;
}

/** One moment by both clocks, in milliseconds. */
export interface ClockReading {
  readonly bootMs: number;
  readonly nowMs: number;
}

/**
 * Reads both clocks for a promise. Its boot time is that of a monotonic moment no earlier than
 * this call, plus `bootMs - nowMs`.
 *
 * The boot clock is read first: a suspension between the two readings, or between this call and
 * the moment, makes the result too early. A promise that counts from it ends too early, never late.
 */
export function readClocks(clock: BootClock): ClockReading {
  const bootMs = clock.bootMs();
  return { bootMs, nowMs: clock.nowMs() };
}

/** A call that `Clock.after` has planned. */
export interface Timer {
  /** Safe to repeat, and after the timer fired. */
  cancel(): void;
}
