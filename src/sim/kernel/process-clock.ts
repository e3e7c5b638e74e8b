import type { BootClock, Timer } from '../../ports/clock.ts';
import type { SimClock } from './clock.ts';

/**
 * The clock of one process: with a start and a speed of its own. The process can be paused while
 * the world goes on; timers and messages due during a pause reach it, in order, at its end. After
 * `stop` nothing reaches it any more.
 */
export class ProcessClock implements BootClock {
  readonly #world: SimClock;
  readonly #startedMs: number;
  readonly #base: number;
  readonly #rate: number;
  #pauses = 0;
  #asleepMs = 0;
  #stopped = false;
  #due: (() => void)[] = [];

  constructor(world: SimClock, of: { readonly baseMs: number; readonly rate: number }) {
    this.#world = world;
    this.#startedMs = world.nowMs();
    this.#base = of.baseMs;
    this.#rate = of.rate;
  }

  nowMs(): number {
    const awakeMs = (this.#world.nowMs() - this.#startedMs) * this.#rate;
    return this.#base + awakeMs - this.#asleepMs;
  }

  bootMs(): number {
    return this.nowMs() + this.#asleepMs;
  }

  wallMs(): number {
    return this.#world.nowMs();
  }

  after(delayMs: number, fire: () => void): Timer {
    let live = true;
    const dueMs = this.nowMs() + delayMs;
    const arm = (restMs: number): Timer =>
      this.#world.after(restMs / this.#rate, () =>
        this.run(() => {
          if (!live) return;
          const slept = this.#asleepMs > 0 ? dueMs - this.nowMs() : 0;
          if (slept > 0.001) timer = arm(slept);
          else fire();
        }),
      );
    let timer = arm(delayMs);
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

  /** The host was suspended for so long: while it was paused, its monotonic clock stopped. */
  slept(ms: number): void {
    this.#asleepMs += ms * this.#rate;
  }

  /** The clock of another process of the same host: it can be paused by itself. */
  sibling(): ProcessClock {
    const baseMs = this.nowMs() + this.#asleepMs;
    const other = new ProcessClock(this.#world, { baseMs, rate: this.#rate });
    other.#asleepMs = this.#asleepMs;
    return other;
  }

  get isPaused(): boolean {
    return this.#pauses > 0;
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
