import { afterArrivals, type Clock, type Timer } from '../ports/clock.ts';

/** A step machine, and the program that performs its effects. */
export interface Machine<Event, Effect> {
  readonly step: (event: Event, nowMs: number) => readonly Effect[];
  readonly perform: (effect: Effect) => void;
  /** When the machine wants its next tick; null: it wants none. */
  readonly nextTickMs: () => number | null;
  readonly tick: Event;
  /** A tick decides by what others said: it comes behind all that had arrived by then. */
  readonly ticksAfterArrivals?: boolean;
}

/** Events are handled one after another, also those that arise while one is handled. */
export class StepLoop<Event, Effect> {
  readonly #clock: Clock;
  readonly #machine: Machine<Event, Effect>;
  readonly #events: Event[] = [];
  #timer: Timer | null = null;
  #isStepping = false;
  #isTickDue = false;
  #hasEnded = false;

  constructor(clock: Clock, machine: Machine<Event, Effect>) {
    this.#clock = clock;
    this.#machine = machine;
  }

  post(event: Event): void {
    this.#events.push(event);
    if (this.#isStepping) return;
    this.#isStepping = true;
    const { step, perform } = this.#machine;
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
      if (this.#hasEnded) continue;
      for (const effect of step(next, this.#clock.nowMs())) perform(effect);
    }
    this.#isStepping = false;
    this.arm();
  }

  /** Later events are dropped, and there are no more ticks. Safe to repeat. */
  end(): void {
    this.#hasEnded = true;
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Waits for the tick that the machine wants; `post` does it too. */
  arm(): void {
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#hasEnded || this.#isTickDue) return;
    const tickMs = this.#machine.nextTickMs();
    if (tickMs === null) return;
    // Whole milliseconds: a remainder too small for the clock would never pass.
    const delayMs = Math.ceil(Math.max(0, tickMs - this.#clock.nowMs()));
    this.#timer = this.#clock.after(delayMs, () => this.#tick());
  }

  #tick(): void {
    this.#timer = null;
    if (this.#machine.ticksAfterArrivals !== true) {
      this.post(this.#machine.tick);
      return;
    }
    this.#isTickDue = true;
    afterArrivals(this.#clock, () => {
      this.#isTickDue = false;
      this.post(this.#machine.tick);
    });
  }
}
