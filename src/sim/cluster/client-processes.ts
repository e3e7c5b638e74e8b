import { ERRNO } from '../../base/errno.ts';
import type { SignalName } from '../../ports/processes.ts';
import * as calls from '../../wire/sanlock/daemon-calls.ts';
import type { Incarnation } from '../invariants/claims.ts';
import type { Dice } from '../kernel/dice.ts';
import type { SimPeer } from '../kernel/peer.ts';
import { Watchers } from '../kernel/process.ts';
import type { ProcessClock } from '../kernel/process-clock.ts';
import { results } from './daemon-calls.ts';
import type { Hardware } from './hardware.ts';
import type { SiteWorld } from './site-world.ts';

const LONGEST_DYING_MS = 8000;
/** A process may work on for so long after its daemon was killed: beyond the watchdog's reset. */
const LONGEST_WORKING_ON_MS = 100_000;

/** After the start of a daemon, a client that connects again does so within this time. */
const LONGEST_RECONNECT_MS = 10_000;

/** A process that registered with the daemon for one lease. */
export interface ClientProcess {
  readonly pid: number;
  peer: SimPeer;
  readonly resource: number;
  readonly incarnation: Incarnation;
  /** Its request that is not answered yet. */
  request: { readonly bytes: Uint8Array; readonly answered: (result: number) => void } | null;
  /** Whether it connects again to the next daemon, and repeats a request that was cut. */
  readonly isPersevering: boolean;
  /** A request of it was sent to a later daemon once more. */
  hasRepeated: boolean;
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
  readonly #perseverance: Dice;
  #nextPid = 1000;

  constructor(around: Surroundings) {
    this.#around = around;
    this.#perseverance = around.hardware.dice.fork('perseverance');
  }

  begin(incarnation: Incarnation, resource: number): ClientProcess {
    const pid = this.#nextPid++;
    const peer = this.#around.connect(pid);
    const client: ClientProcess = {
      pid,
      peer,
      resource,
      incarnation,
      request: null,
      isPersevering: this.#perseverance.chance(0.6),
      hasRepeated: false,
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

  call(client: ClientProcess, bytes: Uint8Array, answered: (result: number) => void): void {
    client.request = { bytes, answered };
    this.#send(client);
  }

  /** The request of the client, once more where a daemon was killed before it answered. */
  #send(client: ClientProcess): void {
    const { request, peer } = client;
    if (request === null) return;
    peer.onReceived = () => {
      for (const result of results(peer)) {
        client.request = null;
        request.answered(result);
      }
    };
    this.#toDaemon(peer, request.bytes);
  }

  /** The process dies before its request is answered. */
  cancel(pid: number): void {
    const client = this.#clients.get(pid);
    if (client !== undefined && client.request !== null) this.die(client);
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
    const { pid, incarnation, resource, request } = client;
    this.#clients.delete(pid);
    this.#watchers.ended(pid);
    client.request = null;
    const { claims } = this.#around.world.checker;
    const claim = claims.find(incarnation, resource);
    if (claim !== null && this.holder(claim.incarnation, resource) === null) claims.end(claim);
    client.peer.onReceived = () => {};
    request?.answered(-ERRNO.ECONNRESET);
  }

  /** All end this instant, and no daemon runs that could know. */
  powerLost(): void {
    this.#watchers.clear();
    for (const client of [...this.#clients.values()]) this.#gone(client);
  }

  /** A process with a request under way cannot know its outcome: it repeats it, or ends. */
  daemonKilled(): void {
    const { hardware } = this.#around;
    this.#watchers.clear();
    for (const client of this.#clients.values()) {
      client.peer.closedByDaemon = true;
      const isAtALoss = client.request !== null && !client.isPersevering;
      if (hardware.dice.chance(0.5) || isAtALoss) {
        hardware.after(hardware.dice.between(0, LONGEST_WORKING_ON_MS), () => this.die(client));
      }
    }
  }

  /** A daemon was started again. */
  daemonStarted(): void {
    const daemon = this.#around.daemonClock();
    for (const client of this.#clients.values()) {
      if (!client.isPersevering) continue;
      this.#around.hardware.after(this.#perseverance.between(0, LONGEST_RECONNECT_MS), () => {
        const isSame = daemon !== null && this.#around.daemonClock() === daemon;
        if (isSame && this.#clients.has(client.pid)) this.#connectAgain(client);
      });
    }
  }

  #connectAgain(client: ClientProcess): void {
    client.peer = this.#around.connect(client.pid);
    this.#toDaemon(client.peer, calls.register().request);
    client.hasRepeated ||= client.request !== null;
    this.#send(client);
  }

  #toDaemon(peer: SimPeer, bytes: Uint8Array): void {
    this.#around.daemonClock()?.run(() => peer.send(bytes));
  }
}
