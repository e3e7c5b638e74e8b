import type { Random } from '../../base/units.ts';
import {
  decodeFromLease,
  decodeToLease,
  encodeFromLease,
  encodeToLease,
} from '../../lease-process/message-parts.ts';
import type { FromLeaseProcess, ToLeaseProcess } from '../../lease-process/messages.ts';
import type { LeaseEnd } from '../../ports/processes.ts';
import { LeaseProgram } from '../../programs/lease-program.ts';
import type { SimDisks } from '../kernel/disk.ts';
import { QUIET } from '../kernel/log.ts';
import type { ProcessClock } from '../kernel/process-clock.ts';
import type { SiteWorld } from './site-world.ts';

/** What a lease process that starts is given. */
export interface LeaseProcessSetup {
  readonly clock: ProcessClock;
  readonly disks: SimDisks;
  readonly random: Random;
}

/**
 * A lease process: the program itself, on a clock and disks of its own. Its messages pass through
 * the bytes that they are between real processes.
 */
export class SimLeaseProcess {
  readonly clock: ProcessClock;
  readonly disks: SimDisks;
  readonly #program: LeaseProgram;
  #isAlive = true;

  constructor(setup: LeaseProcessSetup, send: (message: FromLeaseProcess) => void) {
    const { clock, disks, random } = setup;
    this.clock = clock;
    this.disks = disks;
    this.#program = new LeaseProgram({
      ...{ clock, disks, random, log: QUIET },
      send: (message) => send(decodeFromLease(encodeFromLease(message))),
    });
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  /** The kernel ends a process only when all it sent to a device is done. */
  get isGone(): boolean {
    return !this.#isAlive && this.disks.underWay === 0;
  }

  /** A message arrives: now, or when the process runs again. */
  receive(message: ToLeaseProcess): void {
    const arriving = decodeToLease(encodeToLease(message));
    this.clock.run(() => this.#program.receive(arriving));
  }

  /** SIGKILL: nothing of it runs any more; writes that it has sent to a device may still land. */
  end(): void {
    this.#isAlive = false;
    this.#program.close();
  }

  /** The kernel tells it, when it runs, that its front is gone; `ended` as of the program. */
  frontLost(ended: (end: LeaseEnd | null) => void): void {
    this.clock.run(() => this.#program.frontLost(ended));
  }

  /** It never sends a message again, and stays: as when stuck in the kernel. */
  freeze(): void {
    this.#program.close();
  }
}

/** The lease process of a membership does not run for so long. */
export function stall(
  world: Pick<SiteWorld, 'clock' | 'log'>,
  of: { readonly incarnation: { readonly label: string }; readonly process: SimLeaseProcess },
  forMs: number,
): void {
  const { clock } = of.process;
  world.log(of.incarnation.label, `lease process stalls for ${Math.round(forMs)} ms`);
  clock.pause();
  world.clock.after(forMs, () => clock.resume());
}
