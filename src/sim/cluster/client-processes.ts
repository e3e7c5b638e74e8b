import { ERRNO } from '../../base/errno.ts';
import type { LeaseCommandResult } from '../../lease-process/messages.ts';
import type { SignalName } from '../../ports/processes.ts';
import * as calls from '../../wire/sanlock/daemon-calls.ts';
import type { Incarnation } from '../invariants/claims.ts';
import type { SimPeer } from '../kernel/peer.ts';
import type { ProcessClock } from '../kernel/process-clock.ts';
import { refusal, results } from './daemon-calls.ts';
import type { Hardware } from './hardware.ts';
import type { SiteWorld } from './site-world.ts';

const LONGEST_DYING_MS = 8000;
/** How long a process may work on after its daemon was killed: to beyond the watchdog's reset. */
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
  /** Without one nothing may be stuck for ever: nobody would end it. */
  readonly hasWatchdog: boolean;
  readonly connect: (pid: number) => SimPeer;
  /** The daemon's own time; null = it does not run. */
  readonly daemonTime: () => ProcessClock | null;
}

/** The processes of one machine that work by leases: their wishes, the signals they get, their end. */
export class ClientProcesses {
  readonly #around: Surroundings;
  readonly #clients = new Map<number, ClientProcess>();
  /** Of the daemon that runs now: whom to tell when a process is gone. */
  readonly #watchers = new Map<number, (() => void)[]>();
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

  onceGone(pid: number, told: () => void): void {
    this.#watchers.set(pid, [...(this.#watchers.get(pid) ?? []), told]);
  }

  say(client: ClientProcess, request: Uint8Array, heard: (result: number) => void): void {
    client.peer.onReceived = () => {
      for (const result of results(client.peer)) {
        client.answer = null;
        heard(result);
      }
    };
    client.answer = (result) => heard(result.ok ? 0 : -ERRNO.ECONNRESET);
    this.#toDaemon(client.peer, request);
  }

  /** The process dies in the middle of its wish. */
  cancel(pid: number): void {
    const client = this.#clients.get(pid);
    if (client?.answer !== null && client !== undefined) this.die(client);
  }

  /** @returns whether there is such a process */
  signal(pid: number, signal: SignalName): boolean {
    const client = this.#clients.get(pid);
    if (client !== undefined) this.#hit(client, signal);
    return client !== undefined;
  }

  #hit(client: ClientProcess, signal: SignalName): void {
    const { hardware, hasWatchdog } = this.#around;
    if (client.isDying && signal === 'SIGTERM') return;
    const fate = hardware.dice.next();
    if (signal === 'SIGTERM' && fate > 0.6) return; // deaf
    client.isDying = true;
    if (fate > 0.95 && hasWatchdog) return; // stuck in the kernel: only a reset ends it
    const withinMs = fate < 0.3 ? 200 : LONGEST_DYING_MS;
    hardware.after(hardware.dice.between(0, withinMs), () => this.die(client));
  }

  /** A process ends: first its work, then its connection. */
  die(client: ClientProcess): void {
    if (!this.#clients.has(client.pid)) return;
    this.#gone(client);
    this.#around.daemonTime()?.run(() => client.peer.close());
  }

  #gone(client: ClientProcess): void {
    const { pid, incarnation, resource, answer } = client;
    this.#clients.delete(pid);
    for (const tell of this.#watchers.get(pid) ?? []) tell();
    this.#watchers.delete(pid);
    client.answer = null;
    const { claims } = this.#around.world.checker;
    const claim = claims.find(incarnation, resource);
    if (claim !== null && this.holder(claim.incarnation, resource) === null) claims.end(claim);
    client.peer.onReceived = () => {};
    answer?.(refusal('a process that died', -ERRNO.ECONNRESET));
  }

  /** All end this instant, and there is no daemon to hear of it. */
  powerLost(): void {
    this.#watchers.clear();
    for (const client of [...this.#clients.values()]) this.#gone(client);
  }

  /** Nobody answers any more: a process in the middle of a wish cannot know how it ended. */
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
    this.#around.daemonTime()?.run(() => peer.send(bytes));
  }
}
