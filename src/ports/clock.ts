/** Monotonic time and timers. Every wait of a program goes through here. */
export interface Clock {
  /** CLOCK_MONOTONIC milliseconds (fraction allowed), the same clock in all processes of a host. */
  nowMs(): number;
  /** How long this machine was suspended since it booted: `nowMs` stands still then. */
  asleepMs?(): number;
  /** Wall clock, only for texts people read. */
  wallMs(): number;
  /** Calls `fire` once, no sooner than `delayMs` from now. */
  after(delayMs: number, fire: () => void): Timer;
}

export interface Timer {
  /** Safe to repeat, and after the timer fired. */
  cancel(): void;
}
