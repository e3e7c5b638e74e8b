import { ERRNO } from '../../base/errno.ts';
import type { Log } from '../../ports/log.ts';
import type { SignalName } from '../../ports/processes.ts';
import type { Sockets } from '../../ports/sockets.ts';
import type { SimClock } from '../kernel/clock.ts';
import type { Dice } from '../kernel/dice.ts';
import { type FatePlan, type Io, type IoFate, SimDisks, type SimStorage } from '../kernel/disk.ts';
import { MemoryJournal } from '../kernel/journal.ts';
import type { SimPeer } from '../kernel/peer.ts';
import { Watchers } from '../kernel/process.ts';
import { ProcessClock } from '../kernel/process-clock.ts';
import { NO_SOCKETS, NOTHING_DAMAGED } from './daemon-ports.ts';
import { type DaemonSetup, SimSanlock } from './sanlock.ts';

/** A process that is gone already: the daemon learns of it in a moment. */
const GONE_MS = 0.01;
/** A refused write lands within a minute of its answer (docs/reliability.md). */
const LONGEST_REFUSED_MS = 59_000;

/** The other processes of the host, and what the daemon does to them. */
export interface HostProcesses {
  isAlive(pid: number): boolean;
  signalled(pid: number, signal: SignalName): void;
  killpath(args: readonly string[]): void;
  /** In order; every connection and lease process of the daemon is gone. */
  daemonEnded(): void;
}

/** A daemon dies in the middle of an event, after so many more things that it does. */
export interface PlannedCrash {
  readonly at: { readonly acts: number; readonly isBefore: boolean };
  readonly leaseProcesses: 'end' | 'killed';
  readonly crashed: () => void;
}

/** A host whose daemon can be killed and started again, with storage that hangs at times. */
export class SanlockHost {
  /** In traces, and of its disk operations. */
  readonly name: string;
  readonly hostName: string;
  readonly hostId: number;
  readonly journal = new MemoryJournal();
  readonly #clock: SimClock;
  readonly #dice: Dice;
  readonly #processes: HostProcesses;
  readonly #log: Log;
  readonly #watchdog: ((time: ProcessClock) => Sockets) | null;
  readonly #watchers = new Watchers();
  readonly #sanlock: SimSanlock;
  /** Of the running system. */
  #time: ProcessClock;
  /** Of all lease processes of the daemon that runs. */
  #leaseClock: ProcessClock | null = null;
  /** The way to the storage of the lease processes of the daemon that runs. */
  #path = { hungUntilMs: 0 };
  #killed: () => void = () => {};
  hungUntilMs = 0;
  /** Whether single operations are slow, lost or refused. */
  hasIoFaults = true;
  /** The share of writes that are refused, and land all the same. */
  refusesWrites = 0;

  constructor(of: {
    hostId: number;
    /** `host1` of host id 1, unless said. */
    name?: string;
    /** That of its host lease; its name unless said. */
    hostName?: string;
    clock: SimClock;
    storage: SimStorage;
    dice: Dice;
    processes: HostProcesses;
    log?: Log;
    /** How it reaches a wdmd; without one it runs without a watchdog. */
    watchdog?: (time: ProcessClock) => Sockets;
  }) {
    const { clock, storage, dice } = of;
    this.hostId = of.hostId;
    this.name = of.name ?? `host${of.hostId}`;
    this.hostName = of.hostName ?? this.name;
    this.#clock = clock;
    this.#time = new ProcessClock(clock, { baseMs: clock.nowMs(), rate: 1 });
    this.#dice = dice;
    this.#processes = of.processes;
    this.#log = of.log ?? NOTHING_DAMAGED;
    this.#watchdog = of.watchdog ?? null;
    this.#sanlock = new SimSanlock({
      world: clock,
      soon: (deliver) => clock.after(0, deliver),
      newDaemon: () => this.#newDaemon(),
      newLeaseProcess: () => {
        const at = this.#leaseClock ?? this.#time.sibling();
        const path = this.#path;
        const plan: FatePlan = (io) => this.#fateOf(io, path.hungUntilMs);
        const disks = new SimDisks({ host: this.name, storage, clock, plan, at });
        return { clock: at, disks, random: () => dice.next() };
      },
      processes: {
        isThere: (pid) => this.#processes.isAlive(pid),
        onceGone: (pid, gone) => {
          if (this.#processes.isAlive(pid)) this.#watchers.add(pid, gone);
          else clock.after(GONE_MS, gone);
        },
        signal: (pid, signal) => this.#processes.signalled(pid, signal),
      },
      killpath: (_program, args) => this.#processes.killpath(args),
      ended: () => this.#ends(),
    });
  }

  get isRunning(): boolean {
    return this.#sanlock.clock !== null;
  }

  get openWatches(): number {
    return this.#sanlock.openWatches;
  }

  /** @param crash the end of that daemon; null: none of its own */
  start(crash: PlannedCrash | null = null): void {
    this.#sanlock.start(() => {
      if (crash !== null) this.crashAt(crash.at, crash.leaseProcesses, crash.crashed);
    });
  }

  /** The daemon that runs does not die by itself any more. */
  spare(): void {
    this.#sanlock.spare();
  }

  /** The end of the daemon that runs now. */
  onceKilled(killed: () => void): void {
    this.#killed = killed;
  }

  #newDaemon(): DaemonSetup {
    const clock = this.#time.sibling();
    this.#leaseClock = clock.sibling();
    this.#path = { hungUntilMs: 0 };
    return {
      clock,
      settings: { ourHostName: this.hostName, useWatchdog: this.#watchdog !== null },
      sockets: this.#watchdog?.(clock) ?? NO_SOCKETS,
      journal: this.journal,
      log: this.#log,
      random: () => this.#dice.next(),
    };
  }

  connect(pid: number): SimPeer {
    return this.#sanlock.connect(pid);
  }

  /** Something reaches the daemon: when it runs. */
  toDaemon(happen: () => void): void {
    this.#sanlock.toDaemon(happen);
  }

  /** @param leaseProcesses as in `SimSanlock.kill` */
  kill(leaseProcesses: 'end' | 'killed' = 'end'): void {
    if (!this.isRunning) return;
    this.#sanlock.kill(leaseProcesses);
    if (leaseProcesses === 'killed') this.#leaseClock?.stop();
    this.#watchers.clear();
    const killed = this.#killed;
    this.#killed = () => {};
    killed();
  }

  startSecond(): void {
    this.#sanlock.startSecond();
  }

  /** The daemon that runs dies in the middle of an event, after so many more things. */
  crashAt(
    at: { readonly acts: number; readonly isBefore: boolean },
    leaseProcesses: 'end' | 'killed',
    crashed: () => void,
  ): void {
    this.#sanlock.crashAt(at.acts, at.isBefore, () => {
      this.kill(leaseProcesses);
      crashed();
    });
  }

  /** What the lease processes that run send from now on moves only then; not what later ones send. */
  hangOwnPath(untilMs: number): void {
    this.#path.hungUntilMs = untilMs;
  }

  /** All programs of the host stop, and its monotonic clock with them. */
  suspend(forMs: number): void {
    const times = [this.#time, this.#sanlock.clock, this.#leaseClock];
    for (const time of times) time?.pause();
    this.#clock.after(forMs, () => {
      for (const time of times) time?.slept(forMs);
      for (const time of times) time?.resume();
    });
  }

  /** Everything of it ends; the next daemon is one of another boot, whose clocks show so much. */
  reboot(baseMs: number): void {
    this.#sanlock.powerLost();
    this.#time.stop();
    this.#leaseClock?.stop();
    this.#watchers.clear();
    this.#time = new ProcessClock(this.#clock, { baseMs, rate: 1 });
    this.journal.rebooted();
  }

  killLeaseProcesses(): void {
    this.#sanlock.killLeaseProcesses();
  }

  /** Short enough for the holders of a lost lease to be stopped in time. */
  pause(which: 'front' | 'lease', forMs: number): void {
    if (!this.isRunning) return;
    const clock = which === 'front' ? this.#sanlock.clock : this.#leaseClock;
    clock?.pause();
    this.#clock.after(forMs, () => clock?.resume());
  }

  processEnded(pid: number): void {
    this.#watchers.ended(pid);
  }

  /** In order: lease processes that it did not end go with it. */
  #ends(): void {
    const { clock } = this.#sanlock;
    this.#clock.after(0, () => {
      if (clock === null || this.#sanlock.clock !== clock) return;
      this.kill('killed');
      this.#processes.daemonEnded();
    });
  }

  #fateOf({ write }: Io, pathHungUntilMs: number): IoFate {
    const dice = this.#dice;
    const nowMs = this.#clock.nowMs();
    const waitMs = Math.max(0, this.hungUntilMs - nowMs, pathHungUntilMs - nowMs);
    const slow = this.hasIoFaults && dice.chance(0.02);
    const landsInMs = waitMs + (slow ? dice.between(0, 2500) : dice.between(0.1, 5));
    const isLate = this.hasIoFaults && dice.chance(0.002);
    const errno = this.hasIoFaults && waitMs === 0 && dice.chance(0.001) ? 5 : null;
    // Late, not lost: the kernel answers everything it was sent, or keeps the process.
    const answersInMs = landsInMs + (isLate ? dice.between(0, 15_000) : 0.1);
    const fate = { landsInMs, answersInMs, errno };
    if (!write || this.refusesWrites === 0 || !dice.chance(this.refusesWrites)) return fate;
    const refusedLandsInMs = answersInMs + dice.next() ** 2 * LONGEST_REFUSED_MS;
    return { ...fate, errno: ERRNO.EIO, refusedLandsInMs };
  }
}
