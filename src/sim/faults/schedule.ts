import { unreachable } from '../../base/assert.ts';
import { ERRNO } from '../../base/errno.ts';
import { SECOND_MS } from '../../base/units.ts';
import { REFUSED_LANDS_MS } from '../../lease/lease-times.ts';
import type { SimClock } from '../kernel/clock.ts';
import type { Dice } from '../kernel/dice.ts';
import type { Io, IoFate } from '../kernel/disk.ts';

/**
 * How one host's path to the storage behaves for a while. `stuck`: no operation moves until the
 * condition ends, then all come through, in any order; `cut`: each is refused at once; `uneven`:
 * prompt, but one in five takes almost the whole timeout.
 */
export type StorageCondition = 'prompt' | 'slow' | 'uneven' | 'flaky' | 'stuck' | 'cut';
export type StorageFaults = readonly [StorageCondition, ...StorageCondition[]];

export const STORAGE_FAULTS: StorageFaults = ['slow', 'uneven', 'flaky', 'stuck', 'cut'];
/** The share of the time that a refused write has to land: hosts' clocks differ a little. */
const MOST_LATE = 0.99;

/** The fate of each operation of one host, by its dice and the condition of the moment. */
export class FaultSchedule {
  readonly #clock: SimClock;
  readonly #dice: Dice;
  readonly #ioTimeoutMs: number;
  readonly #latencyMs: number;
  readonly #storageFaults: StorageFaults;
  /** The chance that a refused write lands all the same. */
  readonly #refusedWritesLand: number;
  #now: StorageCondition = 'prompt';
  #untilMs = 0;
  /** No more faults: the end of a run, where everything must come right. */
  #healed = false;

  constructor(of: {
    clock: SimClock;
    dice: Dice;
    ioTimeoutS: number;
    latencyMs: number;
    storageFaults: StorageFaults;
    refusedWritesLand: number;
  }) {
    this.#clock = of.clock;
    this.#dice = of.dice;
    this.#ioTimeoutMs = of.ioTimeoutS * SECOND_MS;
    this.#latencyMs = of.latencyMs;
    this.#storageFaults = of.storageFaults;
    this.#refusedWritesLand = of.refusedWritesLand;
    this.#change();
  }

  get now(): StorageCondition {
    return this.#now;
  }

  heal(): void {
    this.#healed = true;
    this.#now = 'prompt';
  }

  /** The fate of one operation. */
  fate(io: Io): IoFate {
    if (!this.#healed && this.#clock.nowMs() >= this.#untilMs) this.#change();
    const dice = this.#dice;
    switch (this.#now) {
      case 'prompt':
        return this.#prompt(io, { mostMs: this.#latencyMs });
      case 'slow':
        return this.#prompt(io, { mostMs: this.#ioTimeoutMs * 2 });
      case 'uneven':
        return this.#prompt(io, { mostMs: dice.chance(0.2) ? 0.75 * this.#ioTimeoutMs : 2 });
      case 'flaky':
        return this.#flaky(io);
      case 'stuck': {
        if (dice.chance(0.2)) return LOST;
        const landsInMs = this.#untilMs - this.#clock.nowMs() + dice.between(0, 100);
        return { landsInMs, answersInMs: landsInMs + dice.between(0, 10), errno: null };
      }
      case 'cut':
        return this.#refused(io, dice.between(0, 5));
      default:
        return unreachable(this.#now);
    }
  }

  #flaky(io: Io): IoFate {
    const dice = this.#dice;
    const throwOf = dice.next();
    if (throwOf < 0.1) return this.#refused(io, dice.between(0, 50));
    if (throwOf < 0.16)
      return { landsInMs: dice.between(0, 5), answersInMs: Infinity, errno: null };
    if (throwOf < 0.2) return LOST;
    if (throwOf < 0.3) {
      const landsInMs = dice.between(0, 3 * this.#ioTimeoutMs); // perhaps after its timeout
      return { landsInMs, answersInMs: landsInMs + 1, errno: null };
    }
    return this.#prompt(io, { mostMs: 20 });
  }

  /** A device that refuses a write may carry it out nevertheless: at once, or much later. */
  #refused(io: Io, answersInMs: number): IoFate {
    const dice = this.#dice;
    const refused = { landsInMs: 0, answersInMs, errno: ERRNO.EIO };
    if (!io.write || !dice.chance(this.#refusedWritesLand)) return refused;
    const laterMs = dice.next() ** 2 * MOST_LATE * REFUSED_LANDS_MS;
    return { ...refused, refusedLandsInMs: dice.chance(0.3) ? 0 : answersInMs + laterMs };
  }

  #prompt(io: Io, { mostMs }: { mostMs: number }): IoFate {
    const dice = this.#dice;
    const landsInMs = dice.between(0.05, mostMs);
    const answersInMs = landsInMs + dice.between(0.02, mostMs / 4);
    if (io.write || io.length <= 4096 || !dice.chance(0.5)) {
      return { landsInMs, answersInMs, errno: null };
    }
    const most = io.length > 65_536 ? 0.01 : 1; // where the used sectors are
    const torn = { at: dice.between(0, most), tailFirst: dice.chance(0.5) };
    return { landsInMs, answersInMs, errno: null, torn };
  }

  /** Prompt most of the time; a fault lasts a moment, a few timeouts, or longer than a claim. */
  #change(): void {
    const dice = this.#dice;
    const t = this.#ioTimeoutMs;
    this.#now =
      this.#now !== 'prompt' || dice.chance(0.4) ? 'prompt' : dice.pick(this.#storageFaults);
    const durations = [
      dice.between(0, t),
      dice.between(t, 6 * t),
      dice.between(6 * t, 40 * t),
    ] as const;
    const lasts = this.#now === 'prompt' ? dice.between(t, 30 * t) : dice.pick([...durations]);
    this.#untilMs = this.#clock.nowMs() + lasts;
  }
}

const LOST: IoFate = { landsInMs: Infinity, answersInMs: Infinity, errno: null };
