import { assert } from '../../base/assert.ts';
import type { Random } from '../../base/units.ts';
import type { FromLeaseProcess, ToLeaseProcess } from '../../lease-process/messages.ts';
import type { Log } from '../../ports/log.ts';
import type { Channel } from '../../ports/processes.ts';
import { LeaseProgram } from '../../programs/lease-program.ts';
import type { SimClock } from '../kernel/clock.ts';
import type { SimDisks } from '../kernel/disk.ts';
import { QUIET } from '../kernel/log.ts';
import { bind } from '../kernel/process.ts';
import type { ProcessClock } from '../kernel/process-clock.ts';

/** Messages between two processes take a moment, and come in order. */
const MESSAGE_MS = 0.01;
const LOOK_MS = 50;

/** Of a daemon in a world where no file is ever damaged: what one wrote, the next one reads. */
export const NOTHING_DAMAGED: Log = {
  ...QUIET,
  error: (event) => assert(event !== 'holders.unknown', 'the journal of holders is whole'),
};

/** The very program of a lease process, and the front's channel to it. */
export class LeaseSeat {
  readonly pid: number;
  readonly disks: SimDisks;
  readonly channel: Channel<ToLeaseProcess, FromLeaseProcess>;
  readonly #world: SimClock;
  readonly #front: ProcessClock;
  readonly #program: LeaseProgram;
  #hear: (message: FromLeaseProcess) => void = () => {};
  #closed: () => void = () => {};
  #isOpen = true;
  #isAlive = true;

  constructor(of: {
    readonly pid: number;
    readonly world: SimClock;
    readonly front: ProcessClock;
    readonly own: ProcessClock;
    readonly disks: SimDisks;
    readonly random: Random;
    /** Sees each message as it leaves its sender. */
    readonly toFront?: (message: FromLeaseProcess) => void;
    readonly toLease?: (message: ToLeaseProcess) => void;
  }) {
    this.pid = of.pid;
    this.disks = of.disks;
    this.#world = of.world;
    this.#front = of.front;
    const { own, world, disks, random } = of;
    this.#program = new LeaseProgram({
      clock: own,
      disks,
      random,
      log: QUIET,
      send: (message) => {
        of.toFront?.(message);
        world.after(MESSAGE_MS, () => this.#atFront(() => this.#hear(message)));
      },
    });
    const send = (message: ToLeaseProcess): void => {
      of.toLease?.(message);
      world.after(MESSAGE_MS, () => own.run(() => this.#program.receive(message)));
    };
    this.channel = {
      process: bind(
        {
          isThere: () => !this.isGone,
          onceGone: (_pid, told) => this.onceGone(told),
          signal: () => this.end(),
        },
        of.pid,
      ),
      send,
      sendNewest: send,
      onMessage: (handler) => {
        this.#hear = handler;
      },
      onClosed: (handler) => {
        this.#closed = handler;
      },
      kill: () => {
        this.#isOpen = false;
        if (this.#isAlive) this.disks.forgetRefused();
        this.end();
      },
    };
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get isGone(): boolean {
    return !this.#isAlive && this.disks.underWay === 0;
  }

  /** SIGKILL: nothing of it runs any more; what it sent to a device may still land. */
  end(): void {
    if (!this.#isAlive) return;
    this.#isAlive = false;
    this.#program.close();
    this.onceGone(() => {
      this.#atFront(() => {
        this.#isOpen = false;
        this.#closed();
      });
    });
  }

  /** It never says anything again, and stays: as when stuck in the kernel. */
  freeze(): void {
    this.#isOpen = false;
    this.#program.close();
  }

  /** The kernel lets a process go only when all it sent to a device is done. */
  onceGone(happen: () => void): void {
    if (this.isGone) {
      this.#world.after(MESSAGE_MS, happen);
      return;
    }
    this.#world.after(LOOK_MS, () => this.onceGone(happen));
  }

  #atFront(happen: () => void): void {
    this.#front.run(() => {
      if (this.#isOpen) happen();
    });
  }
}
