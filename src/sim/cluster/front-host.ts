import type { ByteString } from '../../base/bytes.ts';
import type { Journal } from '../../ports/journal.ts';
import type { Log } from '../../ports/log.ts';
import type { SignalName } from '../../ports/processes.ts';
import type { Sockets } from '../../ports/sockets.ts';
import type { SanlockSettings } from '../../sanlock/settings.ts';
import type { SimClock } from '../kernel/clock.ts';
import { type FatePlan, PROMPT, SimDisks, type SimStorage } from '../kernel/disk.ts';
import { MemoryJournal } from '../kernel/journal.ts';
import { QUIET } from '../kernel/log.ts';
import type { SimPeer } from '../kernel/peer.ts';
import { Watchers } from '../kernel/process.ts';
import { ProcessClock } from '../kernel/process-clock.ts';
import { NO_SOCKETS } from './daemon-ports.ts';
import { SimSanlock } from './sanlock.ts';

/** What the daemon did to the processes of its host. */
export interface DaemonAction {
  readonly atMs: number;
  readonly kind: SignalName | 'killpath';
  readonly pid: number;
  readonly text: string;
}

interface FrontHostSettings {
  readonly name: ByteString;
  readonly storage: SimStorage;
  readonly clock: SimClock;
  readonly plan?: FatePlan;
  readonly settings?: Partial<SanlockSettings>;
  readonly sockets?: Sockets;
  readonly journal?: Journal;
  /** Processes of an earlier daemon's time that have ended. */
  readonly ended?: ReadonlySet<number>;
  /** Of these, lease processes that were killed as well left no end record. */
  readonly withoutEndRecords?: boolean;
  /** Its lease processes are numbered from here. */
  readonly firstLeasePid?: number;
  readonly log?: Log;
  /** Clocks of its programs, where a test pauses or stops them. */
  readonly frontTime?: ProcessClock;
  readonly leaseTime?: ProcessClock;
}

/** One host and its daemon from start to end, for tests: it records what the daemon does. */
export class FrontHost {
  readonly actions: DaemonAction[] = [];
  /** The status with which the daemon ended in order. */
  ended: number | null = null;
  readonly #clock: SimClock;
  readonly #sanlock: SimSanlock;
  readonly #gone: Set<number>;
  readonly #watchers = new Watchers();

  constructor(of: FrontHostSettings) {
    const { clock, firstLeasePid } = of;
    this.#clock = clock;
    this.#gone = new Set(of.ended);
    this.#sanlock = new SimSanlock({
      world: clock,
      soon: (deliver) => clock.after(0, deliver),
      ...newPrograms(of),
      ...(firstLeasePid === undefined ? {} : { firstLeasePid }),
      endOfEarlier: (pid) => {
        const isRecorded = of.withoutEndRecords !== true && this.#gone.has(pid);
        return isRecorded ? { refusedUntilMs: null } : null;
      },
      processes: {
        isThere: (pid) => !this.#gone.has(pid),
        onceGone: (pid, gone) => this.#watchers.add(pid, gone),
        signal: (pid, signal) => this.#record(signal, pid),
      },
      killpath: (program, args) => this.#record('killpath', 0, [program, ...args].join(' ')),
      ended: (status) => {
        this.ended = status;
      },
    });
    this.#sanlock.start();
  }

  #record(kind: DaemonAction['kind'], pid: number, text = ''): void {
    this.actions.push({ atMs: this.#clock.nowMs(), kind, pid, text });
  }

  /** A client with this pid connects. */
  connect(pid: number, uid = 0): SimPeer {
    return this.#sanlock.connect(pid, uid);
  }

  /** A process that the daemon watches ends. */
  processEnds(pid: number): void {
    this.#gone.add(pid);
    this.#watchers.ended(pid);
  }

  /** SIGKILL of the daemon and its lease processes. */
  kill(): void {
    this.#sanlock.kill('killed');
  }

  /** SIGKILL of every lease process: the front learns it from its channel. */
  killLeaseProcesses(): void {
    this.#sanlock.killLeaseProcesses();
  }

  /** Those that run now never send a message again, and stay: as when stuck in the kernel. */
  freezeLeaseProcesses(): void {
    this.#sanlock.freezeLeaseProcesses();
  }
}

function newPrograms(of: FrontHostSettings) {
  const { name, storage, clock, plan = PROMPT } = of;
  const newClock = () => new ProcessClock(clock, { baseMs: clock.nowMs(), rate: 1 });
  const leaseClock = of.leaseTime ?? newClock();
  return {
    newDaemon: () => ({
      clock: of.frontTime ?? newClock(),
      settings: { ourHostName: name, ...of.settings },
      sockets: of.sockets ?? NO_SOCKETS,
      journal: of.journal ?? new MemoryJournal(),
      log: of.log ?? QUIET,
      random: () => 0.5,
    }),
    newLeaseProcess: () => ({
      clock: leaseClock,
      disks: new SimDisks({ host: name, storage, clock, plan }),
      random: () => 0.5,
    }),
  };
}
