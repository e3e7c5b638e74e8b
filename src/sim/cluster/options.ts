import { STORAGE_FAULTS, type StorageFaults } from '../faults/schedule.ts';
import type { StrayKind } from '../faults/stray-sectors.ts';
import { Dice } from '../kernel/dice.ts';

export interface WorldOptions {
  readonly seed: number;
  readonly hosts: number;
  readonly resources: number;
  /** Events of the world until its end. */
  readonly steps: number;
  /** Between two requests of one host's users, on average. */
  readonly pauseMs: number;
  /** The slowest answer of the storage while it has no fault. */
  readonly latencyMs: number;
  /** The faults that a host's path to the storage may have. */
  readonly storageFaults: StorageFaults;
  /** The chance that the storage carries out a write which it refused. */
  readonly refusedWritesLand: number;
  /** The longest time between two stray sectors; 0 = there are none. */
  readonly straysMs: number;
  readonly strayKind: StrayKind;
  /** The chance that a user sends the owner a request to release, and does not acquire. */
  readonly requests: number;
  /** The chance that a host is configured, by mistake, with the host id of another. */
  readonly mistakenIds: number;
  /** So many of the hosts, the last ones, are images of the first ones: same host id and name. */
  readonly clones: number;
  /** Programs stall or die by themselves, not only with their host. */
  readonly stalls: boolean;
  /** The share of hosts that run the whole sanlock daemon; the others run a lease process alone. */
  readonly daemons: number;
  /** The longest time between two faults of one host. */
  readonly faultIntervalMs: number;
  /** The longest time for which a host that was reset stays off. */
  readonly outageMs: number;
  /** The chance that the sanlock daemon is killed when wdmd stalls. */
  readonly killWithLag: number;
  /** The longest time from a start of the sanlock daemon to its death by a crash; 0 = no crashes. */
  readonly crashesMs: number;
  /** How much faster or slower a host's clock may run: 0.0001 = 100 ppm. */
  readonly clockDrift: number;
  /** Run directories fill up at times; the journal of a killed daemon is damaged at times. */
  readonly journals: 'sound' | 'full' | 'damaged';
  /** Keep every line of the trace, not only the last ones. */
  readonly traceAll: boolean;
}

/** The options of a seed, where `wanted` does not set them. */
export function optionsOf(seed: number, wanted: Partial<WorldOptions> = {}): WorldOptions {
  const dice = new Dice(seed, 'options');
  return {
    seed,
    hosts: 2 + dice.below(5),
    resources: dice.pick([1, 1, 2, 3]),
    steps: 20_000,
    pauseMs: dice.pick([20, 200, 2000]),
    latencyMs: dice.pick([2, 20, 300]),
    storageFaults: STORAGE_FAULTS,
    refusedWritesLand: dice.pick([0, 0.3, 0.6]),
    mistakenIds: dice.pick([0, 0, 0.15]),
    faultIntervalMs: dice.pick([20_000, 80_000, 300_000]),
    daemons: dice.pick([0, 0.5, 1]),
    outageMs: dice.pick([60_000, 60_000, 600_000]),
    killWithLag: 0.2,
    clones: 0,
    stalls: true,
    clockDrift: 0.0001,
    straysMs: dice.pick([0, 5000, 60_000]),
    strayKind: 'any',
    requests: dice.pick([0, 0.06]),
    journals: dice.pick(['sound', 'sound', 'full', 'damaged']),
    crashesMs: dice.pick([0, 0, 30_000, 150_000]),
    traceAll: false,
    ...wanted,
  };
}
