import { assert } from '../../base/assert.ts';
import type { Random } from '../../base/units.ts';
import type { FromLeaseProcess, ToLeaseProcess } from '../../lease-process/messages.ts';
import type { Journal } from '../../ports/journal.ts';
import type { Log } from '../../ports/log.ts';
import type { Channel, LeaseEnd, Processes } from '../../ports/processes.ts';
import type { Sockets } from '../../ports/sockets.ts';
import { SanlockProgram } from '../../programs/sanlock-program.ts';
import { DEFAULTS, type SanlockSettings } from '../../sanlock/settings.ts';
import type { SimClock } from '../kernel/clock.ts';
import { QUIET } from '../kernel/log.ts';
import { SimPeer } from '../kernel/peer.ts';
import { bind, find, type ProcessTable } from '../kernel/process.ts';
import type { ProcessClock } from '../kernel/process-clock.ts';
import { DaemonActs } from './daemon-acts.ts';
import { LeaseChannel } from './lease-channel.ts';
import type { LeaseProcessSetup, SimLeaseProcess } from './lease-process.ts';

/** Above every pid of a client process. */
export const FIRST_LEASE_PID = 50_000;

/** What a daemon that starts is given. */
export interface DaemonSetup {
  readonly clock: ProcessClock;
  /** The others are the defaults, without a watchdog. */
  readonly settings: Partial<SanlockSettings> & Pick<SanlockSettings, 'ourHostName'>;
  readonly sockets: Sockets;
  readonly journal: Journal;
  readonly log: Log;
  readonly random: Random;
}

/** What the daemons of a host are given, and what they do to the rest of the host. */
export interface SanlockSetup {
  readonly world: SimClock;
  /** Runs in a moment of the running system: when a socket delivers what it kept. */
  readonly soon: (deliver: () => void) => void;
  readonly newDaemon: () => DaemonSetup;
  readonly newLeaseProcess: (pid: number) => LeaseProcessSetup;
  readonly firstLeasePid?: number;
  /** The end record of a lease process that is none of these daemons'. */
  readonly endOfEarlier?: (pid: number) => LeaseEnd | null;
  /** The processes of the host that are not the daemon's own. */
  readonly processes: ProcessTable;
  /** The daemon runs a client's killpath program. */
  readonly killpath: (program: string, args: readonly string[]) => void;
  /** The daemon ends in order. */
  readonly ended: (status: number) => void;
  /** Each message as it leaves its sender, and that a lease process is gone. */
  readonly sentToFront?: (pid: number, message: FromLeaseProcess) => void;
  readonly sentToLease?: (pid: number, message: ToLeaseProcess) => void;
  readonly leaseProcessGone?: (pid: number) => void;
}

interface Running {
  readonly program: SanlockProgram;
  readonly clock: ProcessClock;
  readonly acts: DaemonActs;
  /** Of its own lease processes. */
  readonly firstLeasePid: number;
  /** Processes that are bound to connections, or that survived an earlier daemon. */
  openWatches: number;
}

/**
 * The sanlock daemon of one host, front and lease processes: the programs themselves over simulated
 * disks, sockets and time. It can be killed and started again.
 */
export class SimSanlock {
  readonly #setup: SanlockSetup;
  readonly #leaseProcesses = new Map<number, LeaseChannel>();
  /** Of these: processes whose end a daemon knows. */
  readonly #knownGone = new Set<number>();
  #running: Running | null = null;
  #nextPid: number;
  #nextFd = 5;

  constructor(setup: SanlockSetup) {
    this.#setup = setup;
    this.#nextPid = setup.firstLeasePid ?? FIRST_LEASE_PID;
  }

  /** Of the daemon that runs: each start has its own; null = none runs. */
  get clock(): ProcessClock | null {
    return this.#running?.clock ?? null;
  }

  get openWatches(): number {
    return this.#running?.openWatches ?? 0;
  }

  /** @param begun is called before the daemon does anything */
  start(begun: () => void = () => {}): void {
    assert(this.#running === null, 'no daemon runs yet');
    const { settings, clock, sockets, journal, log, random } = this.#setup.newDaemon();
    const acts = new DaemonActs();
    const program = new SanlockProgram({
      settings: { ...DEFAULTS, useWatchdog: false, ...settings },
      clock,
      sockets: acts.sockets(sockets),
      journal: acts.journal(journal),
      processes: acts.processes(this.#processes()),
      log,
      random,
      helperPid: 0,
      dumpLog: () => '',
      ended: (status) => this.#setup.ended(status),
    });
    this.#running = { program, clock, acts, firstLeasePid: this.#nextPid, openWatches: 0 };
    begun();
    program.start();
  }

  /**
   * The daemon that runs now dies in the middle of an event: it does so many more things, and of
   * the last one perhaps only the part before.
   * @param killed has to call `kill`; it is called in the same instant, and never for a later daemon
   */
  crashAt(left: number, isBefore: boolean, killed: () => void): void {
    const running = this.#running;
    const happen = () =>
      this.#setup.world.after(0, () => {
        if (this.#running === running) killed();
      });
    running?.acts.crashAt({ left, isBefore, happen });
  }

  /** What `crashAt` planned does not happen any more. */
  spare(): void {
    this.#running?.acts.spare();
  }

  /**
   * Beside a daemon that serves the socket: it must end at once, and leave the journal and the
   * lease processes to that one.
   */
  startSecond(): void {
    const running = this.#running;
    assert(running !== null, 'a first daemon serves');
    let isServing = true;
    const untouched = () => {
      throw new Error('a second daemon leaves everything to the first');
    };
    const program = new SanlockProgram({
      settings: { ...DEFAULTS, ourHostName: 'second' },
      clock: running.clock.sibling(),
      sockets: {
        listen: () => {
          isServing = false;
          throw new Error('another daemon answers');
        },
        connect: untouched,
      },
      journal: { load: untouched, append: untouched, replace: untouched, forget: untouched },
      processes: { ...this.#processes(), startLeaseProcess: untouched, find: untouched },
      ...{ log: QUIET, random: () => 0.5, helperPid: 0, dumpLog: () => '', ended: () => {} },
    });
    try {
      program.start();
    } catch (error) {
      if (isServing) throw error;
    }
    assert(!isServing, 'a second daemon asks first whether another one serves');
  }

  /**
   * SIGKILL.
   * @param leaseProcesses how they end with it: by themselves, as it is gone, or killed
   */
  kill(leaseProcesses: 'end' | 'killed'): void {
    this.#running?.clock.stop();
    this.#running?.acts.end();
    this.#running = null;
    for (const lease of this.#leaseProcesses.values()) {
      // What was refused may land for a minute more: the next daemon has to expect it.
      lease.process.disks.forgetRefused(Infinity);
      lease.isAlone = true;
      if (leaseProcesses === 'killed') lease.end();
      else lease.frontLost();
    }
  }

  /** SIGKILL of every lease process: a front that runs learns it from its channels. */
  killLeaseProcesses(): void {
    for (const lease of this.#leaseProcesses.values()) lease.end();
  }

  /** They never send a message again, and stay: as when stuck in the kernel. */
  freezeLeaseProcesses(): void {
    for (const lease of this.#leaseProcesses.values()) lease.freeze();
  }

  /**
   * Nothing of the daemon runs any more.
   * @returns the lease processes whose end no daemon knows: their writes may still land
   */
  powerLost(): SimLeaseProcess[] {
    this.#running?.clock.stop();
    this.#running?.acts.end();
    this.#running = null;
    this.freezeLeaseProcesses();
    for (const pid of this.#knownGone) this.#leaseProcesses.delete(pid);
    const ended = [...this.#leaseProcesses.values()].map(({ process }) => process);
    this.#leaseProcesses.clear();
    this.#knownGone.clear();
    return ended;
  }

  leaseProcess(pid: number): LeaseChannel | null {
    return this.#leaseProcesses.get(pid) ?? null;
  }

  /** A client with this pid connects. */
  connect(pid: number, uid = 0): SimPeer {
    const running = this.#running;
    const peer = new SimPeer((deliver) => this.#setup.soon(() => running?.clock.run(deliver)));
    const fd = this.#nextFd++;
    running?.clock.run(() => {
      running.program.accept(running.acts.connection(peer.connection(fd, pid, uid)));
    });
    return peer;
  }

  /** Something reaches the daemon: when it runs. */
  toDaemon(happen: () => void): void {
    this.#running?.clock.run(happen);
  }

  #processes(): Processes {
    const table = this.#table();
    return {
      // Messages of this kind are the only ones the front sends to a process it starts.
      startLeaseProcess: <Out, In>() => this.#startLease(table) as unknown as Channel<Out, In>,
      peerOf: ({ peerPid }) => {
        return peerPid === null || peerPid <= 0 ? null : bind(table, peerPid, this.#opened());
      },
      find: (pid, identity) => {
        const process = find(table, { pid, identity });
        return process === null ? null : bind(table, pid, this.#opened());
      },
      endOfLease: (pid, identity) => (identity === `${pid}` ? this.#endOfLease(pid) : null),
      forgetEnds: () => {
        for (const lease of this.#leaseProcesses.values()) lease.endRecord = null;
      },
      run: (program, args) => this.#setup.killpath(program, args),
    };
  }

  #endOfLease(pid: number): LeaseEnd | null {
    return this.leaseProcess(pid)?.endRecord ?? this.#setup.endOfEarlier?.(pid) ?? null;
  }

  #table(): ProcessTable {
    const { processes, leaseProcessGone } = this.#setup;
    return {
      isThere: (pid) => {
        const lease = this.leaseProcess(pid);
        return lease === null ? processes.isThere(pid) : !lease.process.isGone;
      },
      onceGone: (pid, gone) => {
        const running = this.#running;
        const atFront = () => running?.clock.run(gone);
        const lease = this.leaseProcess(pid);
        if (lease === null) {
          processes.onceGone(pid, atFront);
          return;
        }
        lease.onceGone(() => {
          this.#knownGone.add(pid);
          leaseProcessGone?.(pid);
          atFront();
        });
      },
      signal: (pid, signal) => {
        const lease = this.leaseProcess(pid);
        if (lease === null) processes.signal(pid, signal);
        else lease.end();
      },
    };
  }

  /** @returns what counts it out again */
  #opened(): () => void {
    const running = this.#running;
    if (running === null) return () => {};
    running.openWatches++;
    return () => running.openWatches--;
  }

  #startLease(table: ProcessTable): Channel<ToLeaseProcess, FromLeaseProcess> {
    const running = this.#running;
    assert(running !== null, 'a running daemon starts lease processes');
    const pid = this.#nextPid++;
    const lease = new LeaseChannel({
      ...{ pid, table, world: this.#setup.world, front: running.clock },
      setup: this.#setup.newLeaseProcess(pid),
      sent: (message) => this.#setup.sentToFront?.(pid, message),
      received: (message) => {
        if (message.kind === 'join') this.#joins(running, message);
        this.#setup.sentToLease?.(pid, message);
      },
    });
    this.#leaseProcesses.set(pid, lease);
    return lease.channel;
  }

  #joins(
    running: Running,
    { ioTimeoutS, resume }: Extract<ToLeaseProcess, { kind: 'join' }>,
  ): void {
    if (resume !== undefined) this.#checkGone(running);
    else for (const lease of this.#leaseProcesses.values()) lease.relyOnDevice(ioTimeoutS);
  }

  /** A membership goes on when no lease process of an earlier daemon can write any more. */
  #checkGone({ firstLeasePid }: Running): void {
    for (const [pid, lease] of this.#leaseProcesses) {
      assert(pid >= firstLeasePid || lease.process.isGone, `lease process ${pid} may still write`);
    }
  }
}
