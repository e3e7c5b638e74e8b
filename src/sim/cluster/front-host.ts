import type { ByteString } from '../../base/bytes.ts';
import type { FromLeaseProcess, ToLeaseProcess } from '../../lease-process/messages.ts';
import type { Journal } from '../../ports/journal.ts';
import type { Log } from '../../ports/log.ts';
import type { Channel, Processes, SignalName } from '../../ports/processes.ts';
import type { Sockets } from '../../ports/sockets.ts';
import { SanlockProgram } from '../../programs/sanlock-program.ts';
import { DEFAULTS, type SanlockSettings } from '../../sanlock/settings.ts';
import type { SimClock } from '../kernel/clock.ts';
import { type FatePlan, PROMPT, SimDisks, type SimStorage } from '../kernel/disk.ts';
import { MemoryJournal } from '../kernel/journal.ts';
import { QUIET } from '../kernel/log.ts';
import { SimPeer } from '../kernel/peer.ts';
import { bind, find, type ProcessTable } from '../kernel/process.ts';
import { ProcessClock } from '../kernel/process-clock.ts';
import { LeaseSeat } from './lease-process.ts';

/** The defaults, without a watchdog. */
export const SETTINGS: typeof DEFAULTS = { ...DEFAULTS, useWatchdog: false };

/** Above every pid a test's clients use. */
export const FIRST_LEASE_PID = 50_000;

/** What the daemon did to the processes of its host. */
export interface DaemonAction {
  readonly atMs: number;
  readonly kind: SignalName | 'killpath';
  readonly pid: number;
  readonly text: string;
}

/** One host: the very front and lease process programs over simulated disks, sockets and time. */
export class FrontHost {
  readonly deeds: DaemonAction[] = [];
  ended: number | null = null;
  readonly #clock: SimClock;
  readonly #frontTime: ProcessClock;
  readonly #leaseTime: ProcessClock;
  readonly #program: SanlockProgram;
  readonly #leases = new Map<number, LeaseSeat>();
  readonly #gone: Set<number>;
  readonly #watchers = new Map<number, (() => void)[]>();
  #nextFd = 5;
  #nextPid: number;

  constructor(of: {
    name: ByteString;
    storage: SimStorage;
    clock: SimClock;
    plan?: FatePlan;
    settings?: Partial<SanlockSettings>;
    sockets?: Sockets;
    journal?: Journal;
    /** Processes of an earlier daemon's time that have ended. */
    ended?: ReadonlySet<number>;
    /** Its lease processes are numbered from here. */
    firstLeasePid?: number;
    log?: Log;
    /** Times of its programs, where they are not the world's. */
    frontTime?: ProcessClock;
    leaseTime?: ProcessClock;
  }) {
    this.#clock = of.clock;
    this.#gone = new Set(of.ended);
    this.#nextPid = of.firstLeasePid ?? FIRST_LEASE_PID;
    this.#frontTime = of.frontTime ?? worldClock(of.clock);
    this.#leaseTime = of.leaseTime ?? worldClock(of.clock);
    const { name, storage, clock, plan = PROMPT } = of;
    const journal = of.journal ?? new MemoryJournal();
    this.#program = new SanlockProgram({
      journal,
      settings: { ...SETTINGS, ourHostName: name, ...of.settings },
      clock: this.#frontTime,
      sockets: of.sockets ?? NO_SOCKETS,
      processes: this.#processes(() => new SimDisks({ host: name, storage, clock, plan })),
      log: of.log ?? QUIET,
      random: () => 0.5,
      helperPid: 0,
      dumpLog: () => '',
      ended: (status) => {
        this.ended = status;
      },
    });
    this.#program.start();
  }

  /** A client with this pid connects. */
  connect(pid: number): SimPeer {
    const peer = new SimPeer((happen) => this.#clock.after(0, () => this.#frontTime.run(happen)));
    this.#program.accept(peer.connection(this.#nextFd++, pid));
    return peer;
  }

  /** A process that the daemon watches ends. */
  processEnds(pid: number): void {
    this.#gone.add(pid);
    const told = this.#watchers.get(pid) ?? [];
    this.#watchers.delete(pid);
    for (const tell of told) tell();
  }

  /** SIGKILL of every lease process: the front learns it from its channel. */
  killLeaseProcesses(): void {
    for (const lease of [...this.#leases.values()]) lease.end();
  }

  /** Those that run now never say anything again, and stay: as when stuck in the kernel. */
  freezeLeaseProcesses(): void {
    for (const lease of this.#leases.values()) lease.freeze();
  }

  #processes(disks: () => SimDisks): Processes {
    const record = (kind: DaemonAction['kind'], pid: number, text = ''): void => {
      this.deeds.push({ atMs: this.#clock.nowMs(), kind, pid, text });
    };
    const table: ProcessTable = {
      isThere: (pid) => !this.#gone.has(pid),
      onceGone: (pid, told) => {
        this.#watchers.set(pid, [...(this.#watchers.get(pid) ?? []), told]);
      },
      signal: (pid, signal) => record(signal, pid),
    };
    return {
      // Messages of this kind are the only ones the front sends to a process it starts.
      startLeaseProcess: <Out, In>() => this.#start(disks()) as unknown as Channel<Out, In>,
      peerOf: ({ peerPid }) => (peerPid === null || peerPid <= 0 ? null : bind(table, peerPid)),
      find: (pid, identity) => find(table, { pid, identity }),
      run: (program, args) => record('killpath', 0, [program, ...args].join(' ')),
    };
  }

  #start(disks: SimDisks): Channel<ToLeaseProcess, FromLeaseProcess> {
    const clock = this.#clock;
    const pid = this.#nextPid++;
    const random = () => 0.5;
    const times = { front: this.#frontTime, own: this.#leaseTime };
    const seat = new LeaseSeat({ pid, world: clock, ...times, disks, random });
    this.#leases.set(pid, seat);
    return seat.channel;
  }
}

function worldClock(clock: SimClock): ProcessClock {
  return new ProcessClock(clock, { baseMs: clock.nowMs(), rate: 1 });
}

export const NO_SOCKETS: Sockets = {
  listen: () => ({ close: () => {} }),
  connect: (_path, _timeoutMs, answer) => answer({ ok: false, errno: 111 }),
};
