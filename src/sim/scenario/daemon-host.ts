import { assert } from '../../base/assert.ts';
import { SECOND_MS } from '../../base/units.ts';
import type { SanlockCall } from '../../wire/sanlock/call.ts';
import { register } from '../../wire/sanlock/daemon-calls.ts';
import { killpath, release, restrict } from '../../wire/sanlock/lease-calls.ts';
import { RESTRICT_FLAGS } from '../../wire/sanlock/socket.ts';
import { type DaemonAction, FrontHost } from '../cluster/front-host.ts';
import type { SimClock } from '../kernel/clock.ts';
import { MemoryJournal } from '../kernel/journal.ts';
import { ProcessClock } from '../kernel/process-clock.ts';
import { type ClientProcess, type ProcessBehavior, SanlockConnection } from './client-process.ts';
import type { SharedDisks } from './shared-disks.ts';
import { logOf, type Timeline } from './timeline.ts';
import { HostWatchdog } from './watchdog.ts';

const ADMIN_PID = 900;
/** From a signal to the end of a process that obeys. */
const END_MS = 100;
/** Of each daemon, its lease processes are numbered from another hundred. */
const PIDS = 100;
/** The trace shows these as what the processes get. */
const HIDDEN = ['client.signalled', 'client.killpath'];

export interface DaemonSettings {
  readonly killGraceS: number;
  readonly useWatchdog: boolean;
  readonly watchdogFireTimeoutS: number;
}

/** Which programs do not run for a while. */
export type PausedProgram = 'sanlock' | 'lease-processes' | 'wdmd' | 'machine';

/** sanlock as it runs on a host: from its start to its end. */
interface Running {
  readonly front: FrontHost;
  readonly time: ProcessClock;
  readonly leaseTime: ProcessClock;
  readonly connections: SanlockConnection[];
  readonly firstLeasePid: number;
  actionsSeen: number;
  isEndSeen: boolean;
}

/** A machine with its sanlock, its wdmd and watchdog, and the processes that use leases. */
export class DaemonHost {
  readonly name: string;
  readonly hostId: number;
  readonly #clock: SimClock;
  readonly #timeline: Timeline;
  readonly #disks: SharedDisks;
  readonly #settings: DaemonSettings;
  readonly #processes = new Map<number, ClientProcess>();
  readonly #ended = new Set<number>();
  #machine: ProcessClock;
  #watchdog: HostWatchdog | null = null;
  #journal = new MemoryJournal();
  #running: Running | null = null;
  #nextLeasePid = 50_000;

  constructor(of: {
    readonly hostId: number;
    readonly clock: SimClock;
    readonly timeline: Timeline;
    readonly disks: SharedDisks;
    readonly settings: DaemonSettings;
  }) {
    this.hostId = of.hostId;
    this.name = `host${of.hostId}`;
    this.#clock = of.clock;
    this.#timeline = of.timeline;
    this.#disks = of.disks;
    this.#settings = of.settings;
    this.#machine = this.#newTime();
  }

  #newTime(): ProcessClock {
    return new ProcessClock(this.#clock, { baseMs: this.#clock.nowMs(), rate: 1 });
  }

  #say(text: string): void {
    this.#timeline.say(this.name, text);
  }

  start(): void {
    assert(this.#running === null, `sanlock of ${this.name} does not run yet`);
    const time = this.#machine.sibling();
    const leaseTime = this.#machine.sibling();
    const firstLeasePid = this.#nextLeasePid;
    this.#nextLeasePid += PIDS;
    const front = new FrontHost({
      ...{ name: this.name, clock: this.#clock, storage: this.#disks.storage },
      ...{ plan: this.#disks.plan, settings: this.#settings },
      ...{ journal: this.#journal, ended: this.#ended, firstLeasePid },
      ...{ frontTime: time, leaseTime },
      log: logOf(this.#timeline, { host: this.name, program: 'sanlock', hidden: HIDDEN }),
      ...(this.#settings.useWatchdog ? { sockets: this.#wdmd().socketsOf(time) } : {}),
    });
    const connections: SanlockConnection[] = [];
    const seen = { actionsSeen: 0, isEndSeen: false };
    this.#running = { front, time, leaseTime, connections, firstLeasePid, ...seen };
  }

  /** Another program that has the watchdog opened, and stays connected. */
  startWdmdClient(name: string, fireTimeoutS: number): void {
    this.#wdmd().startClient(this.#machine, { name, fireTimeoutS });
  }

  #wdmd(): HostWatchdog {
    this.#watchdog ??= new HostWatchdog({
      ...{ host: this.name, timeline: this.#timeline, machine: this.#machine },
      fires: () => this.powerCut(),
    });
    return this.#watchdog;
  }

  /** SIGKILL of sanlock, and of its lease processes where they are not stuck on a device. */
  kill(of: { readonly leaseProcessesStay: boolean }): void {
    this.#say('sanlock is killed');
    this.#end(of);
    this.#watchdog?.daemonEnded();
  }

  #end(of: { readonly leaseProcessesStay: boolean }): void {
    const running = this.#running;
    if (running === null) return;
    this.#running = null;
    running.time.stop();
    running.leaseTime.stop();
    if (!of.leaseProcessesStay) this.leaseProcessesEnd(running.firstLeasePid);
    for (const connection of running.connections) connection.lost();
  }

  /** Those of the daemon whose lease processes are numbered from there; else of all before. */
  leaseProcessesEnd(first: number | null = null): void {
    for (let pid = first ?? 50_000; pid < (first ?? this.#nextLeasePid - PIDS) + PIDS; pid++) {
      if (this.#running !== null && pid >= this.#running.firstLeasePid) return;
      this.#ended.add(pid);
      this.#running?.front.processEnds(pid);
    }
  }

  killLeaseProcesses(): void {
    this.#say('the lease processes are killed');
    this.#running?.front.killLeaseProcesses();
  }

  killWdmd(): void {
    this.#say('wdmd is killed');
    this.#wdmd().killWdmd();
  }

  startWdmd(): void {
    this.#wdmd().startWdmd();
  }

  /** Everything on the machine ends; the next start is another boot. */
  powerCut(): void {
    this.#end({ leaseProcessesStay: false });
    this.#processes.clear();
    this.#watchdog?.powerLost();
    this.#watchdog = null;
    this.#machine.stop();
    this.#machine = this.#newTime();
    this.#journal = new MemoryJournal();
    this.#ended.clear();
  }

  /** Stops programs; what reaches them meanwhile happens when they run again. */
  pause(which: PausedProgram): ProcessClock[] {
    const running = this.#running;
    const clocks: ProcessClock[] = [];
    const isAll = which === 'machine';
    if (isAll) clocks.push(this.#machine);
    if (running !== null && (isAll || which === 'sanlock')) clocks.push(running.time);
    if (running !== null && (isAll || which === 'lease-processes')) clocks.push(running.leaseTime);
    if (this.#watchdog !== null && (isAll || which === 'wdmd')) {
      clocks.push(this.#watchdog.wdmdTime);
    }
    for (const clock of clocks) clock.pause();
    return clocks;
  }

  /** A process connects, registers and says how it wants to be stopped. */
  startProcess(pid: number, behavior: ProcessBehavior, restriction: string | undefined): void {
    const connection = this.#connect(pid);
    this.#processes.set(pid, { pid, behavior, connection });
    connection.call(register(), () => {});
    if (behavior.killpath !== null) {
      const program = { path: behavior.killpath, args: '' };
      connection.call(killpath(program, { appendPid: true }), () => {});
    }
    if (restriction !== undefined) {
      const { SIGKILL, SIGTERM } = RESTRICT_FLAGS;
      connection.call(restrict(restriction === 'SIGKILL' ? SIGKILL : SIGTERM), () => {});
    }
  }

  /** A call of a client process, or of an administrator's command. */
  call(call: SanlockCall<number>, pid: number | null, answered: (result: string) => void): void {
    const client = pid === null ? undefined : this.#processes.get(pid);
    assert(pid === null || client !== undefined, `process ${pid} runs on ${this.name}`);
    if (client === undefined && this.#running === null) {
      answered('no sanlock answers');
      return;
    }
    const connection = client?.connection ?? this.#connect(ADMIN_PID);
    connection.call(call, (result) => {
      answered(result === null ? 'sanlock is gone' : `${result}`);
    });
  }

  #connect(pid: number): SanlockConnection {
    const running = this.#running;
    assert(running !== null, `sanlock runs on ${this.name}`);
    const { front, time } = running;
    const connection = new SanlockConnection(front.connect(pid), (happen) => time.run(happen));
    running.connections.push(connection);
    return connection;
  }

  processEnds(pid: number): void {
    const client = this.#processes.get(pid);
    if (client === undefined) return;
    this.#say(`process ${pid} ends`);
    this.#processes.delete(pid);
    this.#ended.add(pid);
    client.connection.close();
    this.#running?.time.run(() => this.#running?.front.processEnds(pid));
  }

  /** Actions of the daemon on processes since the last call, and whether it has ended. */
  poll(): void {
    const running = this.#running;
    if (running === null) return;
    const actions = running.front.actions;
    while (running.actionsSeen < actions.length) {
      const action = actions[running.actionsSeen++];
      if (action !== undefined) this.#acted(action);
    }
    if (running.front.ended === null || running.isEndSeen) return;
    running.isEndSeen = true;
    this.#say(`sanlock ends, status ${running.front.ended}`);
    this.#end({ leaseProcessesStay: false });
    this.#watchdog?.daemonEnded();
  }

  #acted(action: DaemonAction): void {
    const { kind, text } = action;
    if (kind === 'killpath') {
      this.#say(`sanlock runs ${text}`);
      this.#killpathRuns(Number(text.split(' ').at(-1)));
      return;
    }
    const subject = `process ${action.pid}`;
    this.#timeline.repeat(this.name, { subject, key: kind, text: `${kind} to ${action.pid}` });
    const behavior = this.#processes.get(action.pid)?.behavior;
    if (behavior === undefined || behavior.isStuck) return;
    const endMs = kind === 'SIGKILL' ? END_MS : (behavior.sigtermS ?? Infinity) * SECOND_MS;
    if (endMs === Infinity) return;
    this.#machine.after(Math.max(endMs, END_MS), () => this.processEnds(action.pid));
  }

  #killpathRuns(pid: number): void {
    const client = this.#processes.get(pid);
    if (client === undefined) return;
    if (client.behavior.killpathDoes === 'end') {
      this.#machine.after(END_MS, () => this.processEnds(pid));
    }
    if (client.behavior.killpathDoes === 'release') {
      this.call(release([], { all: true }), pid, (result) =>
        this.#say(`${pid} release of all -> ${result}`),
      );
    }
  }
}
