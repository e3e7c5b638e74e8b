import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BootClock, readClocks } from './clock.ts';

/** Each reading of a clock takes 1 ms, and may be followed by a suspension of the machine. */
class SlowClock implements BootClock {
  #nowMs = 1000;
  #sleptMs = 500;
  readonly #sleepsMs: number[];

  constructor(sleepsMs: readonly number[]) {
    this.#sleepsMs = [...sleepsMs];
  }

  nowMs(): number {
    const nowMs = this.#nowMs;
    this.#pass();
    return nowMs;
  }

  bootMs(): number {
    const bootMs = this.#nowMs + this.#sleptMs;
    this.#pass();
    return bootMs;
  }

  wallMs(): number {
    return 0;
  }

  after(): never {
    throw new Error('nothing waits here');
  }

  #pass(): void {
    this.#nowMs += 1;
    this.#sleptMs += this.#sleepsMs.shift() ?? 0;
  }
}

test('the boot time of a claim is never later than the truth', () => {
  for (const sleepsMs of [[], [70_000], [0, 70_000], [30_000, 70_000]]) {
    const clock = new SlowClock(sleepsMs);
    const { bootMs, nowMs } = readClocks(clock);
    const sleptMs = sleepsMs.reduce((sum, ms) => sum + ms, 500);
    const claimedMs = clock.nowMs();
    const trueMs = claimedMs + sleptMs;
    const claimedBootMs = claimedMs + bootMs - nowMs;
    assert.ok(claimedBootMs <= trueMs, `${claimedBootMs}, in truth ${trueMs}`);
    const leastMs = claimedMs + 500 - 1;
    assert.ok(claimedBootMs >= leastMs, 'awake it lacks only the reading of a clock');
  }
});
