import type { SimClock } from '../kernel/clock.ts';
import type { Dice } from '../kernel/dice.ts';
import type { Io, IoFate } from '../kernel/disk.ts';

/** Ends the host at one disk access: before the access lands, or just after, unanswered. */
export class CrashPoint {
  readonly #dice: Dice;
  readonly #clock: SimClock;
  readonly #crash: () => void;
  #left: number | null = null;

  constructor(dice: Dice, clock: SimClock, crash: () => void) {
    this.#dice = dice;
    this.#clock = clock;
    this.#crash = crash;
  }

  /** The host ends at one of its next accesses to a resource. */
  arm(): void {
    this.#left = this.#dice.below(12);
  }

  fate(io: Io, fate: IoFate): IoFate {
    if (this.#left === null || io.offset === 0) return fate;
    if (this.#left-- > 0) return fate;
    this.#left = null;
    if (this.#dice.chance(0.5)) {
      this.#crash();
      return fate;
    }
    this.#clock.after(0.02, this.#crash);
    return { landsInMs: 0.01, answersInMs: Infinity, errno: null };
  }
}
