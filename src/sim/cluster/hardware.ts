import { CrashPoint } from '../faults/crash-point.ts';
import { FaultSchedule } from '../faults/schedule.ts';
import type { Dice } from '../kernel/dice.ts';
import type { Io, IoFate } from '../kernel/disk.ts';
import { ProcessClock } from '../kernel/process-clock.ts';
import { SimWatchdog } from '../kernel/watchdog.ts';
import type { SiteSettings, SiteWorld } from './site-world.ts';
import { describeWrite } from './write-text.ts';

/** A daemon renews its claim at the watchdog so often, at least. */
const WATCHDOG_TICK_MS = 10_000;

/** What runs on a host. */
export interface Software {
  powerOn(clock: ProcessClock): void;
  /** Everything ends this instant. */
  powerLost(): void;
}

/** Power, time, the path to the storage and the watchdog device of one host. */
export class Hardware {
  readonly name: string;
  readonly dice: Dice;
  readonly storageFaults: FaultSchedule;
  readonly watchdog: SimWatchdog;
  readonly #world: SiteWorld;
  readonly #software: Software;
  readonly #isClone: boolean;
  readonly #crashPoint: CrashPoint;
  /** Time of the running system; null = power is off. */
  #clock: ProcessClock | null = null;

  constructor(world: SiteWorld, of: SiteSettings, software: Software) {
    this.#world = world;
    this.#software = software;
    this.#isClone = of.isClone;
    this.name = of.isClone ? `${of.hostId}'` : `${of.hostId}`;
    this.dice = world.dice.fork(`machine ${this.name}`);
    const { clock, options } = world;
    const dice = this.dice.fork('weather');
    this.storageFaults = new FaultSchedule({
      ...of,
      latencyMs: options.latencyMs,
      storageFaults: options.storageFaults,
      refusedWritesLand: options.refusedWritesLand,
      clock,
      dice,
    });
    this.watchdog = new SimWatchdog(clock, () => this.crash('by its watchdog'));
    const crash = () => this.crash('at a disk access');
    this.#crashPoint = new CrashPoint(this.dice.fork('sniper'), clock, crash);
  }

  get clock(): ProcessClock | null {
    return this.#clock;
  }

  boot(): void {
    if (this.#isClone && this.#world.isQuiet) return; // an administrator has found it: it stays off
    const rate = 1 + this.dice.between(-1, 1) * this.#world.options.clockDrift;
    const baseMs = this.dice.between(10_000, 50_000_000);
    this.#clock = new ProcessClock(this.#world.clock, { baseMs, rate });
    this.#world.log(this.name, 'boots');
    this.#software.powerOn(this.#clock);
  }

  /** Power off: users end this instant; writes on their way to the disk land soon or never. */
  crash(how: string): void {
    const clock = this.#clock;
    if (clock === null) return;
    this.#world.log(this.name, `is reset ${how}`);
    clock.stop();
    this.#clock = null;
    this.watchdog.powerLost();
    this.#software.powerLost();
    this.#world.clock.after(this.dice.between(10_000, this.#world.options.outageMs), () =>
      this.boot(),
    );
  }

  /** In the time of the running system; never, once the host is reset. */
  after(delayMs: number, fire: () => void): void {
    this.#clock?.after(delayMs, fire);
  }

  /** Pings the watchdog as long as the claim is good. */
  watch(claim: { readonly isGood: () => boolean; readonly isOver: () => boolean }): void {
    if (claim.isOver()) return;
    if (claim.isGood()) this.watchdog.ping();
    this.after(this.dice.between(0.8, 1) * WATCHDOG_TICK_MS, () => this.watch(claim));
  }

  /** One of the next accesses to a resource is the end of the host. */
  armCrashPoint(): void {
    this.#crashPoint.arm();
  }

  /** A crash point that is still armed at the end of the run does nothing: recovery is undisturbed. */
  fate(io: Io): IoFate {
    const world = this.#world;
    const scheduled = this.storageFaults.fate(io);
    const fate = world.isQuiet ? scheduled : this.#crashPoint.fate(io, scheduled);
    if (io.write) world.log(io.host, describeWrite(io, fate));
    return fate;
  }
}
