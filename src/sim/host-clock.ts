import type { Clock, Timer } from '../ports/clock.ts';
import type { SimClock } from './clock.ts';

/**
 * One program's time: its own start and its own speed, and it can stand still while the world goes
 * on. What is due during a pause happens, in order, at its end; after `stop` nothing happens any more.
 */
export class HostClock implements Clock {
  readonly #world: SimClock;
  readonly #startedMs: number;
  readonly #base: number;
  readonly #rate: number;
  #pauses = 0;
  #stopped = false;
  #due: (() => void)[] = [];

  constructor(world: SimClock, of: { readonly baseMs: number; readonly rate: number }) {
    this.#world = world;
    this.#startedMs = world.nowMs();
    this.#base = of.baseMs;
    this.#rate = of.rate;
  }

  nowMs(): number {
    return this.#base + (this.#world.nowMs() - this.#startedMs) * this.#rate;
  }

  wallMs(): number {
    return this.#world.nowMs();
  }

  after(delayMs: number, fire: () => void): Timer {
    let live = true;
    const timer = this.#world.after(delayMs / this.#rate, () => this.run(() => live && fire()));
    return {
      cancel: () => {
        live = false;
        timer.cancel();
      },
    };
  }

  /** Something from outside reaches the program: now, or when it runs again. */
  run(happen: () => void): void {
    if (this.#stopped) return;
    if (this.#pauses > 0) this.#due.push(happen);
    else happen();
  }

  /** A clock of the same host that stands still by itself: another of its programs. */
  sibling(): HostClock {
    const other = new HostClock(this.#world, { baseMs: this.nowMs(), rate: this.#rate });
    return other;
  }

  pause(): void {
    this.#pauses++;
  }

  resume(): void {
    if (--this.#pauses > 0 || this.#stopped) return;
    const due = this.#due;
    this.#due = [];
    for (const happen of due) this.run(happen);
  }

  stop(): void {
    this.#stopped = true;
    this.#due = [];
  }
}
