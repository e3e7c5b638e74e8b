import { assert } from '../../base/assert.ts';
import type { BootClock, Timer } from '../../ports/clock.ts';

interface Entry {
  readonly atMs: number;
  readonly order: number;
  readonly fire: () => void;
  live: boolean;
}

/** Virtual time passes only as timers fire; those due at one time fire in the order they were set. */
export class SimClock implements BootClock {
  #nowMs: number;
  #order = 0;
  readonly #heap: Entry[] = [];

  constructor(startMs = 1_000_000) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  bootMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, fire: () => void): Timer {
    assert(delayMs >= 0, 'time runs forward');
    const entry: Entry = { atMs: this.#nowMs + delayMs, order: this.#order++, fire, live: true };
    this.#heap.push(entry);
    this.#up(this.#heap.length - 1);
    return {
      cancel: () => {
        entry.live = false;
      },
    };
  }

  /** Fires the next timer; false when none is left. */
  step(): boolean {
    for (;;) {
      const entry = this.#pop();
      if (entry === undefined) return false;
      if (!entry.live) continue;
      this.#nowMs = entry.atMs;
      entry.fire();
      return true;
    }
  }

  /** Fires every timer up to `untilMs`; then it is `untilMs`. */
  runUntil(untilMs: number): void {
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.atMs > untilMs) break;
      if (next.live) this.step();
      else this.#pop(); // cancelled: the next one may be due later than `untilMs`
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  #before(a: number, b: number): boolean {
    const x = this.#heap[a];
    const y = this.#heap[b];
    if (x === undefined || y === undefined) return false;
    return x.atMs !== y.atMs ? x.atMs < y.atMs : x.order < y.order;
  }

  #swap(a: number, b: number): void {
    const x = this.#heap[a];
    const y = this.#heap[b];
    if (x === undefined || y === undefined) return;
    this.#heap[a] = y;
    this.#heap[b] = x;
  }

  #up(from: number): void {
    for (let i = from; i > 0; ) {
      const parent = (i - 1) >> 1;
      if (!this.#before(i, parent)) return;
      this.#swap(i, parent);
      i = parent;
    }
  }

  #pop(): Entry | undefined {
    const top = this.#heap[0];
    const last = this.#heap.pop();
    if (top === undefined || last === undefined || top === last) return top;
    this.#heap[0] = last;
    for (let i = 0; ; ) {
      let least = i;
      for (const child of [2 * i + 1, 2 * i + 2]) if (this.#before(child, least)) least = child;
      if (least === i) return top;
      this.#swap(i, least);
      i = least;
    }
  }
}
