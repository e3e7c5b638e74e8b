import { SECOND_MS } from '../../base/units.ts';
import { WATCHDOG_FIRE_MS } from '../../lease/lease-times.ts';
import type { Timer } from '../../ports/clock.ts';
import type { WatchdogDriver } from '../cluster/wdmd.ts';
import type { HostClock } from './host-clock.ts';

/** The watchdog device of a machine: resets it unless it is petted in time. */
export class SimWatchdog implements WatchdogDriver {
  readonly #machine: HostClock;
  readonly #reset: () => void;
  #fireMs = WATCHDOG_FIRE_MS;
  #timer: Timer | null = null;

  constructor(machine: HostClock, reset: () => void) {
    this.#machine = machine;
    this.#reset = reset;
  }

  get watchdogS(): number {
    return this.#fireMs / SECOND_MS;
  }

  after(delayMs: number, fire: () => void): void {
    this.#machine.after(delayMs, fire);
  }

  /** Pets, too. */
  setWatchdog(seconds: number): void {
    this.#fireMs = seconds * SECOND_MS;
    this.pet();
  }

  pet(): void {
    this.disarm();
    this.#timer = this.#machine.after(this.#fireMs, this.#reset);
  }

  disarm(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }
}
