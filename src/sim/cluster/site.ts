import { SECOND_MS } from '../../base/units.ts';
import { WATCHDOG_FIRE_MS } from '../../lease/lease-times.ts';
import type { LeaseCommand, LeaseCommandResult } from '../../lease-process/messages.ts';
import type { Timer } from '../../ports/clock.ts';
import { CrashPoint } from '../faults/crash-point.ts';
import { FaultSchedule } from '../faults/schedule.ts';
import type { Incarnation } from '../invariants/claims.ts';
import type { Dice } from '../kernel/dice.ts';
import type { Io, IoFate } from '../kernel/disk.ts';
import { HostClock } from '../kernel/host-clock.ts';
import type { World } from '../world.ts';

const WATCHDOG_TICK_MS = 10_000;

/** One host as the world deals with it: what befalls it, and what its users may ask for. */
export interface Site {
  readonly name: string;
  readonly hardware: Hardware;
  /** The membership in which users may ask for leases; null while there is none. */
  readonly incarnation: Incarnation | null;
  /** The administrator takes it out of the lockspace. */
  leave(): void;
  killProgram(): void;
  pauseProgram(forMs: number): void;
  /** Everything but the watchdog device stands still. */
  pauseAll(forMs: number): void;
  /** An exclusive lease is asked for, now. */
  want(incarnation: Incarnation, resource: number): void;
  /** A user's wish on its way; null when there is nobody to take it. */
  ask(command: LeaseCommand, answer: (result: LeaseCommandResult) => void): number | null;
  cancel(id: number): void;
  /** Whether a grant that reaches a user now is one it works by. */
  mayUse(incarnation: Incarnation): boolean;
}

/** What an administrator set up on a machine. */
export interface SiteSettings {
  readonly hostId: number;
  readonly hostName: string;
  readonly ioTimeoutS: number;
  /** The image of another machine that lives too: one name, one host id, two hosts. */
  readonly isClone: boolean;
}

/** What runs on a machine. */
export interface Software {
  powerOn(clock: HostClock): void;
  /** Everything ends this instant. */
  powerLost(): void;
}

/** Power, time, the path to the storage and the watchdog device of one host. */
export class Hardware {
  readonly name: string;
  readonly weather: FaultSchedule;
  readonly dice: Dice;
  readonly #world: World;
  readonly #software: Software;
  readonly #isClone: boolean;
  readonly #crashPoint: CrashPoint;
  /** Time of the running system; null = power is off. */
  #clock: HostClock | null = null;
  #watchdog: Timer | null = null;
  #watchdogMs = WATCHDOG_FIRE_MS;

  constructor(world: World, of: SiteSettings, software: Software) {
    this.#world = world;
    this.#software = software;
    this.#isClone = of.isClone;
    this.name = of.isClone ? `${of.hostId}'` : `${of.hostId}`;
    this.dice = world.dice.fork(`machine ${this.name}`);
    const { clock, options } = world;
    const dice = this.dice.fork('weather');
    this.weather = new FaultSchedule({
      ...of,
      latencyMs: options.latencyMs,
      storageFaults: options.storageFaults,
      refusedWritesLand: options.refusedWritesLand,
      clock,
      dice,
    });
    const crash = () => this.crash('at a disk access');
    this.#crashPoint = new CrashPoint(this.dice.fork('sniper'), clock, crash);
  }

  get clock(): HostClock | null {
    return this.#clock;
  }

  boot(): void {
    if (this.#isClone && this.#world.isQuiet) return; // it was found, and stays off
    const rate = 1 + this.dice.between(-1, 1) * this.#world.options.clockDrift;
    const baseMs = this.dice.between(10_000, 50_000_000);
    this.#clock = new HostClock(this.#world.clock, { baseMs, rate });
    this.#world.say(this.name, 'boots');
    this.#software.powerOn(this.#clock);
  }

  /** Power off: users end this instant; what is on its way to the disk lands soon or never. */
  crash(how: string): void {
    const clock = this.#clock;
    if (clock === null) return;
    this.#world.say(this.name, `is reset ${how}`);
    clock.stop();
    this.#clock = null;
    this.disarm();
    this.#watchdogMs = WATCHDOG_FIRE_MS;
    this.#software.powerLost();
    this.#world.clock.after(this.dice.between(10_000, this.#world.options.outageMs), () =>
      this.boot(),
    );
  }

  /** In the time of the running system; never, once it is reset. */
  after(delayMs: number, fire: () => void): void {
    this.#clock?.after(delayMs, fire);
  }

  /** The device is fed while the claim is good. */
  watch(claim: { readonly isGood: () => boolean; readonly isOver: () => boolean }): void {
    if (claim.isOver()) return;
    if (claim.isGood()) this.pet();
    this.after(this.dice.between(0.8, 1) * WATCHDOG_TICK_MS, () => this.watch(claim));
  }

  /** The machine is reset a minute from now, or what was set, unless it is petted again. */
  pet(): void {
    this.disarm();
    const reset = () => this.crash('by its watchdog');
    this.#watchdog = this.#world.clock.after(this.#watchdogMs, reset);
  }

  get watchdogS(): number {
    return this.#watchdogMs / SECOND_MS;
  }

  /** Pets, too. */
  setWatchdog(seconds: number): void {
    this.#watchdogMs = seconds * SECOND_MS;
    this.pet();
  }

  disarm(): void {
    this.#watchdog?.cancel();
    this.#watchdog = null;
  }

  /** One of the next accesses to a resource is the end of the machine. */
  armCrashPoint(): void {
    this.#crashPoint.arm();
  }

  /** A shot still aimed when the world has healed is not fired: recovery is to be undisturbed. */
  fate(io: Io): IoFate {
    const fate = this.weather.fate(io);
    return this.#world.traced(io, this.#world.isQuiet ? fate : this.#crashPoint.fate(io, fate));
  }
}
