import { ERRNO } from '../../base/errno.ts';
import type { LeaseCommandResult } from '../../lease-process/messages.ts';
import type { SignalName } from '../../ports/processes.ts';
import * as calls from '../../wire/sanlock/daemon-calls.ts';
import type { Incarnation } from '../invariants/claims.ts';
import type { SimPeer } from '../kernel/peer.ts';
import { Watchers } from '../kernel/process.ts';
import type { ProcessClock } from '../kernel/process-clock.ts';
import { refusal, results } from './daemon-calls.ts';
import type { Hardware } from './hardware.ts';
import type { SiteWorld } from './site-world.ts';

const LONGEST_DYING_MS = 8000;
/** A process may work on for so long after its daemon was killed: beyond the watchdog's reset. */
const LONGEST_WORKING_ON_MS = 100_000;

/** A process that registered with the daemon for one lease. */
export interface ClientProcess {
  readonly pid: number;
  readonly peer: SimPeer;
  readonly resource: number;
  readonly incarnation: Incarnation;
  answer: ((result: LeaseCommandResult) => void) | null;
  isDying: boolean;
}

interface Surroundings {
  readonly world: SiteWorld;
  readonly hardware: Hardware;
  /** Without one no process hangs for ever in the kernel: nothing would end it. */
  readonly hasWatchdog: boolean;
  readonly connect: (pid: number) => SimPeer;
  /** The clock of the daemon; null = it does not run. */
  readonly daemonClock: () => ProcessClock | null;
}

/** The processes of one host that use leases: their requests, the signals they get, their ends. */
export class ClientProcesses {
  readonly #around: Surroundings;
  readonly #clients = new Map<number, ClientProcess>();
  /** Of the daemon that runs now. */
  readonly #watchers = new Watchers();
  #nextPid = 1000;

  constructor(around: Surroundings) {
    this.#around = around;
  }

  begin(incarnation: Incarnation, resource: number): ClientProcess {
    const pid = this.#nextPid++;
    const peer = this.#around.connect(pid);
    const client: ClientProcess = {
      pid,
      peer,
      resource,
      incarnation,
      answer: null,
      isDying: false,
    };
    this.#clients.set(pid, client);
    this.#toDaemon(peer, calls.register().request);
    return client;
  }

  holder(incarnation: Incarnation, resource: number): ClientProcess | null {
    for (const client of this.#clients.values()) {
      if (client.incarnation === incarnation && client.resource === resource) return client;
    }
    return null;
  }

  has(pid: number): boolean {
    return this.#clients.has(pid);
  }

  onceGone(pid: number, gone: () => void): void {
    this.#watchers.add(pid, gone);
  }

  call(client: ClientProcess, request: Uint8Array, answered: (result: number) => void): void {
    client.peer.onReceived = () => {
      for (const result of results(client.peer)) {
        client.answer = null;
        answered(result);
      }
    };
    client.answer = (result) => answered(result.ok ? 0 : -ERRNO.ECONNRESET);
    this.#toDaemon(client.peer, request);
  }

  /** The process dies before its request is answered. */
  cancel(pid: number): void {
    const client = this.#clients.get(pid);
    if (client?.answer !== null && client !== undefined) this.die(client);
  }

  /** @returns whether there is such a process */
  signal(pid: number, signal: SignalName): boolean {
    const client = this.#clients.get(pid);
    if (client !== undefined) this.#signalled(client, signal);
    return client !== undefined;
  }

  #signalled(client: ClientProcess, signal: SignalName): void {
    const { hardware, hasWatchdog } = this.#around;
    if (client.isDying && signal === 'SIGTERM') return;
    const fate = hardware.dice.next();
    if (signal === 'SIGTERM' && fate > 0.6) return; // it ignores SIGTERM
    client.isDying = true;
    if (fate > 0.95 && hasWatchdog) return; // it hangs in the kernel: only a reset ends it
    const withinMs = fate < 0.3 ? 200 : LONGEST_DYING_MS;
    hardware.after(hardware.dice.between(0, withinMs), () => this.die(client));
  }

  /** A process ends: first its work, then its connection. */
  die(client: ClientProcess): void {
    if (!this.#clients.has(client.pid)) return;
    this.#gone(client);
    this.#around.daemonClock()?.run(() => client.peer.close());
  }

  #gone(client: ClientProcess): void {
    const { pid, incarnation, resource, answer } = client;
    this.#clients.delete(pid);
    this.#watchers.ended(pid);
    client.answer = null;
    const { claims } = this.#around.world.checker;
    const claim = claims.find(incarnation, resource);
    if (claim !== null && this.holder(claim.incarnation, resource) === null) claims.end(claim);
    client.peer.onReceived = () => {};
    answer?.(refusal('a process that died', -ERRNO.ECONNRESET));
  }

  /** All end this instant, and no daemon runs that could know. */
  powerLost(): void {
    this.#watchers.clear();
    for (const client of [...this.#clients.values()]) this.#gone(client);
  }

  /** No answer comes any more: a process with a request under way cannot know its outcome. */
  daemonKilled(): void {
    const { hardware } = this.#around;
    this.#watchers.clear();
    for (const client of this.#clients.values()) {
      client.answer = null;
      client.peer.closedByDaemon = true;
      if (hardware.dice.chance(0.5)) {
        hardware.after(hardware.dice.between(0, LONGEST_WORKING_ON_MS), () => this.die(client));
      }
    }
  }

  #toDaemon(peer: SimPeer, bytes: Uint8Array): void {
    this.#around.daemonClock()?.run(() => peer.send(bytes));
  }
}
