import type { FromLeaseProcess, ToLeaseProcess } from '../../lease-process/messages.ts';
import type { Log } from '../../ports/log.ts';
import type { Channel, Processes, SignalName } from '../../ports/processes.ts';
import type { Sockets } from '../../ports/sockets.ts';
import { SanlockProgram } from '../../programs/sanlock-program.ts';
import type { SimClock } from '../kernel/clock.ts';
import type { Dice } from '../kernel/dice.ts';
import { type FatePlan, SimDisks, type SimStorage } from '../kernel/disk.ts';
import { MemoryJournal } from '../kernel/journal.ts';
import { SimPeer } from '../kernel/peer.ts';
import { bind, find, type ProcessTable } from '../kernel/process.ts';
import { ProcessClock } from '../kernel/process-clock.ts';
import { NO_SOCKETS, SETTINGS } from './front-host.ts';
import { LeaseSeat, NOTHING_DAMAGED } from './lease-process.ts';

const FIRST_LEASE_PID = 50_000;

/** Who hears what the daemon does to the processes of its host. */
export interface HostProcesses {
  isAlive(pid: number): boolean;
  signalled(pid: number, signal: SignalName): void;
  killpath(args: readonly string[]): void;
  /** In order; every connection and lease process of the daemon is gone. */
  daemonEnded(): void;
}

interface Run {
  readonly program: SanlockProgram;
  readonly time: ProcessClock;
  readonly leaseTime: ProcessClock;
  readonly seats: LeaseSeat[];
  /** Processes that are bound to connections, or to what an earlier daemon left. */
  openWatches: number;
}

/** A host whose daemon can be killed and started again, with storage that hangs at times. */
export class SanlockHost {
  readonly name: string;
  readonly hostId: number;
  readonly journal = new MemoryJournal();
  readonly #clock: SimClock;
  readonly #storage: SimStorage;
  readonly #dice: Dice;
  readonly #others: HostProcesses;
  readonly #log: Log;
  readonly #watchdog: ((time: ProcessClock) => Sockets) | null;
  readonly #seats = new Map<number, LeaseSeat>();
  readonly #watchers = new Map<number, Set<() => void>>();
  #run: Run | null = null;
  #nextPid = FIRST_LEASE_PID;
  #nextFd = 5;
  hungUntilMs = 0;
  /** Whether single operations are slow, lost or refused. */
  hasIoFaults = true;

  constructor(of: {
    hostId: number;
    clock: SimClock;
    storage: SimStorage;
    dice: Dice;
    processes: HostProcesses;
    log?: Log;
    /** How it reaches a wdmd; without one it runs without a watchdog. */
    watchdog?: (time: ProcessClock) => Sockets;
  }) {
    this.hostId = of.hostId;
    this.name = `host${of.hostId}`;
    this.#clock = of.clock;
    this.#storage = of.storage;
    this.#dice = of.dice;
    this.#others = of.processes;
    this.#log = of.log ?? NOTHING_DAMAGED;
    this.#watchdog = of.watchdog ?? null;
  }

  get isRunning(): boolean {
    return this.#run !== null;
  }

  get openWatches(): number {
    return this.#run?.openWatches ?? 0;
  }

  start(): void {
    const clock = this.#clock;
    const time = new ProcessClock(clock, { baseMs: clock.nowMs(), rate: 1 });
    const seats: LeaseSeat[] = [];
    const program = new SanlockProgram({
      settings: {
        ...SETTINGS,
        ourHostName: this.name,
        useWatchdog: this.#watchdog !== null,
      },
      clock: time,
      sockets: this.#watchdog?.(time) ?? NO_SOCKETS,
      journal: this.journal,
      processes: this.#processes(),
      log: this.#log,
      random: () => this.#dice.next(),
      helperPid: 0,
      dumpLog: () => '',
      ended: () => this.#clock.after(0, () => this.#ended(program)),
    });
    this.#run = { program, time, leaseTime: time.sibling(), seats, openWatches: 0 };
    program.start();
  }

  connect(pid: number): SimPeer {
    const run = this.#run;
    const peer = new SimPeer((happen) => this.#clock.after(0, () => run?.time.run(happen)));
    const fd = this.#nextFd++;
    run?.time.run(() => run.program.accept(peer.connection(fd, pid)));
    return peer;
  }

  /** Something reaches the daemon: when it runs. */
  toDaemon(happen: () => void): void {
    this.#run?.time.run(happen);
  }

  kill(): void {
    const run = this.#run;
    if (run === null) return;
    this.#run = null;
    run.time.stop();
    for (const seat of run.seats) seat.end();
    run.leaseTime.stop();
    this.#watchers.clear();
  }

  killLeaseProcesses(): void {
    for (const seat of this.#run?.seats ?? []) if (seat.isAlive) seat.end();
  }

  /** Short enough for the holders of a lost lease to be stopped in time. */
  pause(which: 'front' | 'lease', forMs: number): void {
    const run = this.#run;
    if (run === null) return;
    const time = which === 'front' ? run.time : run.leaseTime;
    time.pause();
    this.#clock.after(forMs, () => time.resume());
  }

  processEnded(pid: number): void {
    const watchers = this.#watchers.get(pid);
    this.#watchers.delete(pid);
    for (const gone of watchers ?? []) gone();
  }

  /** In order: what it did not end by itself goes with it. */
  #ended(program: SanlockProgram): void {
    if (this.#run?.program !== program) return;
    this.kill();
    this.#others.daemonEnded();
  }

  readonly #plan: FatePlan = () => {
    const dice = this.#dice;
    const waitMs = Math.max(0, this.hungUntilMs - this.#clock.nowMs());
    const slow = this.hasIoFaults && dice.chance(0.02);
    const landsInMs = waitMs + (slow ? dice.between(0, 2500) : dice.between(0.1, 5));
    const isLate = this.hasIoFaults && dice.chance(0.002);
    const errno = this.hasIoFaults && waitMs === 0 && dice.chance(0.001) ? 5 : null;
    // Late, not lost: the kernel answers everything it was sent, or keeps the process.
    const answersInMs = landsInMs + (isLate ? dice.between(0, 15_000) : 0.1);
    return { landsInMs, answersInMs, errno };
  };

  #processes(): Processes {
    const table: ProcessTable = {
      isThere: (pid) => {
        const seat = this.#seats.get(pid);
        return seat === undefined ? this.#others.isAlive(pid) : !seat.isGone;
      },
      onceGone: (pid, told) => this.#onceGone(pid, told),
      signal: (pid, signal) => this.#others.signalled(pid, signal),
    };
    return {
      // Messages of this kind are the only ones the front sends to a process it starts.
      startLeaseProcess: <Out, In>() => this.#startLease() as unknown as Channel<Out, In>,
      peerOf: ({ peerPid }) => (peerPid === null ? null : bind(table, peerPid, this.#opened())),
      find: (pid, identity) => {
        const process = find(table, { pid, identity });
        return process === null ? null : bind(table, pid, this.#opened());
      },
      run: (_program, args) => this.#others.killpath(args),
    };
  }

  /** @returns what counts it out again */
  #opened(): () => void {
    const run = this.#run;
    if (run === null) return () => {};
    run.openWatches++;
    return () => run.openWatches--;
  }

  #onceGone(pid: number, gone: () => void): void {
    const run = this.#run;
    const told = () => run?.time.run(gone);
    const seat = this.#seats.get(pid);
    if (seat !== undefined) seat.onceGone(told);
    else if (!this.#others.isAlive(pid)) this.#clock.after(0.01, told);
    else {
      const watchers = this.#watchers.get(pid) ?? new Set();
      watchers.add(told);
      this.#watchers.set(pid, watchers);
    }
  }

  #startLease(): Channel<ToLeaseProcess, FromLeaseProcess> {
    const run = this.#run;
    if (run === null) throw new Error('no daemon runs');
    const { name: host } = this;
    const disks = new SimDisks({
      ...{ host, storage: this.#storage, clock: this.#clock, plan: this.#plan, at: run.leaseTime },
    });
    const pid = this.#nextPid++;
    const random = () => this.#dice.next();
    const world = this.#clock;
    const seat = new LeaseSeat({ pid, world, front: run.time, own: run.leaseTime, disks, random });
    this.#seats.set(pid, seat);
    run.seats.push(seat);
    return seat.channel;
  }
}
