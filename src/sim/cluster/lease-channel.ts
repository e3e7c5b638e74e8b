import { leaseTimes } from '../../lease/lease-times.ts';
import type { FromLeaseProcess, ToLeaseProcess } from '../../lease-process/messages.ts';
import type { Channel, LeaseEnd } from '../../ports/processes.ts';
import type { SimClock } from '../kernel/clock.ts';
import { bind, type ProcessTable } from '../kernel/process.ts';
import type { ProcessClock } from '../kernel/process-clock.ts';
import { type LeaseProcessSetup, SimLeaseProcess } from './lease-process.ts';

/** Messages between two processes take a moment, and come in order. */
const MESSAGE_MS = 0.01;
const POLL_MS = 50;

/** A host that joins after a crash watches its own name first (spec 10 §5.2). */
function rejoinMs(ioTimeoutS: number): number {
  const { joinSettleMs, ownNameWatchMs } = leaseTimes(ioTimeoutS);
  return joinSettleMs + ownNameWatchMs;
}

/** A lease process that a front started, and the front's channel to it. */
export class LeaseChannel {
  readonly process: SimLeaseProcess;
  readonly channel: Channel<ToLeaseProcess, FromLeaseProcess>;
  readonly #world: SimClock;
  readonly #front: ProcessClock;
  #deliver: (message: FromLeaseProcess) => void = () => {};
  #closed: () => void = () => {};
  #isOpen = true;
  /** Left by a process whose front was killed; null: none. */
  endRecord: LeaseEnd | null = null;
  /** The next lease process of this lockspace writes no sooner after the end of this one. */
  #rejoinMs = 0;
  /** Its front was killed: no front was told what was refused to it. */
  isAlone = false;

  /** `sent` and `received` see each message of the lease process as it leaves its sender. */
  constructor(of: {
    readonly pid: number;
    readonly world: SimClock;
    readonly front: ProcessClock;
    /** Where the front finds the process. */
    readonly table: ProcessTable;
    readonly setup: LeaseProcessSetup;
    readonly sent: (message: FromLeaseProcess) => void;
    readonly received: (message: ToLeaseProcess) => void;
  }) {
    const { world } = of;
    this.#world = world;
    this.#front = of.front;
    this.process = new SimLeaseProcess(of.setup, (message) => {
      of.sent(message);
      world.after(MESSAGE_MS, () => this.#atFront(() => this.#deliver(message)));
    });
    const send = (message: ToLeaseProcess): void => {
      of.received(message);
      if (message.kind === 'join') this.#rejoinMs = rejoinMs(message.ioTimeoutS);
      world.after(MESSAGE_MS, () => this.process.receive(message));
    };
    this.channel = {
      process: bind(of.table, of.pid),
      send,
      sendNewest: send,
      onMessage: (handler) => {
        this.#deliver = handler;
      },
      onClosed: (handler) => {
        this.#closed = handler;
      },
      kill: () => {
        this.#isOpen = false;
        if (this.process.isAlive) {
          // A process that runs has said until when its writes may land: the front must wait.
          const { clock, disks } = this.process;
          disks.forgetRefused(clock.isPaused ? this.#rejoinMs : Infinity);
        }
        this.end();
      },
    };
  }

  /** SIGKILL of the lease process: the front learns of it when the process is gone. */
  end(): void {
    if (!this.process.isAlive) return;
    this.process.end();
    this.onceGone(() => {
      this.#atFront(() => {
        this.#isOpen = false;
        this.#closed();
      });
    });
  }

  /**
   * Its front was killed: the process ends by itself, and leaves an end record. Where the answer to
   * a write is lost, the kernel ends it when nothing is under way any more.
   */
  frontLost(): void {
    this.process.frontLost((end) => {
      if (this.process.isAlive) this.endRecord = end;
      this.end();
    });
    this.#endWhenIdle();
  }

  /**
   * A membership begins that goes on with none: of what was refused to this process nothing is
   * known there. It lands before the new one writes, or never, as docs/reliability.md has it.
   */
  relyOnDevice(ioTimeoutS: number): void {
    if (this.isAlone) this.process.disks.forgetRefused(rejoinMs(ioTimeoutS));
  }

  #endWhenIdle(): void {
    this.#world.after(POLL_MS, () => {
      if (!this.process.isAlive) return;
      const { clock, disks } = this.process;
      if (disks.underWay === 0 && !clock.isPaused) this.end();
      else this.#endWhenIdle();
    });
  }

  /** The process never sends a message again, and stays: as when stuck in the kernel. */
  freeze(): void {
    this.#isOpen = false;
    this.process.freeze();
  }

  onceGone(gone: () => void): void {
    if (this.process.isGone) {
      this.#world.after(MESSAGE_MS, gone);
      return;
    }
    this.#world.after(POLL_MS, () => this.onceGone(gone));
  }

  #atFront(happen: () => void): void {
    this.#front.run(() => {
      if (this.#isOpen) happen();
    });
  }
}
