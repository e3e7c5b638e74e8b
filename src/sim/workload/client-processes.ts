import { ERRNO } from '../../base/errno.ts';
import type { LeaseCommandResult } from '../../lease-process/messages.ts';
import type { SignalName } from '../../ports/processes.ts';
import * as calls from '../../wire/sanlock/daemon-calls.ts';
import { refusal, results } from '../cluster/daemon-calls.ts';
import type { SimPeer } from '../cluster/front-host.ts';
import type { Hardware } from '../cluster/site.ts';
import type { Life } from '../invariants/claims.ts';
import type { HostClock } from '../kernel/host-clock.ts';
import type { World } from '../world.ts';

const LONGEST_DYING_MS = 8000;
/** How long a process may work on after its daemon was killed: to beyond the watchdog's reset. */
const LONGEST_WORKING_ON_MS = 100_000;

/** A process that registered with the daemon for one lease. */
export interface Person {
  readonly pid: number;
  readonly peer: SimPeer;
  readonly resource: number;
  readonly life: Life;
  answer: ((result: LeaseCommandResult) => void) | null;
  isDying: boolean;
}

interface Surroundings {
  readonly world: World;
  readonly hardware: Hardware;
  /** Without one nothing may be stuck for ever: nobody would end it. */
  readonly hasWatchdog: boolean;
  readonly connect: (pid: number) => SimPeer;
  /** The daemon's own time; null = it does not run. */
  readonly daemonTime: () => HostClock | null;
}

/** The processes of one machine that work by leases: their wishes, the signals they get, their end. */
export class People {
  readonly #around: Surroundings;
  readonly #people = new Map<number, Person>();
  /** Of the daemon that runs now: whom to tell when a process is gone. */
  readonly #watchers = new Map<number, (() => void)[]>();
  #nextPid = 1000;

  constructor(around: Surroundings) {
    this.#around = around;
  }

  begin(life: Life, resource: number): Person {
    const pid = this.#nextPid++;
    const peer = this.#around.connect(pid);
    const person: Person = { pid, peer, resource, life, answer: null, isDying: false };
    this.#people.set(pid, person);
    this.#toDaemon(peer, calls.register().request);
    return person;
  }

  holder(life: Life, resource: number): Person | null {
    for (const person of this.#people.values()) {
      if (person.life === life && person.resource === resource) return person;
    }
    return null;
  }

  has(pid: number): boolean {
    return this.#people.has(pid);
  }

  onceGone(pid: number, told: () => void): void {
    this.#watchers.set(pid, [...(this.#watchers.get(pid) ?? []), told]);
  }

  say(person: Person, request: Uint8Array, heard: (result: number) => void): void {
    person.peer.onReceived = () => {
      for (const result of results(person.peer)) {
        person.answer = null;
        heard(result);
      }
    };
    person.answer = (result) => heard(result.ok ? 0 : -ERRNO.ECONNRESET);
    this.#toDaemon(person.peer, request);
  }

  /** The process dies in the middle of its wish. */
  cancel(pid: number): void {
    const person = this.#people.get(pid);
    if (person?.answer !== null && person !== undefined) this.die(person);
  }

  /** @returns whether there is such a process */
  signal(pid: number, signal: SignalName): boolean {
    const person = this.#people.get(pid);
    if (person !== undefined) this.#hit(person, signal);
    return person !== undefined;
  }

  #hit(person: Person, signal: SignalName): void {
    const { hardware, hasWatchdog } = this.#around;
    if (person.isDying && signal === 'SIGTERM') return;
    const fate = hardware.dice.next();
    if (signal === 'SIGTERM' && fate > 0.6) return; // deaf
    person.isDying = true;
    if (fate > 0.95 && hasWatchdog) return; // stuck in the kernel: only a reset ends it
    const withinMs = fate < 0.3 ? 200 : LONGEST_DYING_MS;
    hardware.after(hardware.dice.between(0, withinMs), () => this.die(person));
  }

  /** A process ends: first its work, then its connection. */
  die(person: Person): void {
    if (!this.#people.has(person.pid)) return;
    this.#gone(person);
    this.#around.daemonTime()?.run(() => person.peer.close());
  }

  #gone(person: Person): void {
    const { pid, life, resource, answer } = person;
    this.#people.delete(pid);
    for (const tell of this.#watchers.get(pid) ?? []) tell();
    this.#watchers.delete(pid);
    person.answer = null;
    const { claims } = this.#around.world.judge;
    const claim = claims.find(life, resource);
    if (claim !== null && this.holder(claim.life, resource) === null) claims.end(claim);
    person.peer.onReceived = () => {};
    answer?.(refusal('a process that died', -ERRNO.ECONNRESET));
  }

  /** All end this instant, and there is no daemon to hear of it. */
  powerLost(): void {
    this.#watchers.clear();
    for (const person of [...this.#people.values()]) this.#gone(person);
  }

  /** Nobody answers any more: a process in the middle of a wish cannot know how it ended. */
  daemonKilled(): void {
    const { hardware } = this.#around;
    this.#watchers.clear();
    for (const person of this.#people.values()) {
      person.answer = null;
      person.peer.closedByDaemon = true;
      if (hardware.dice.chance(0.5)) {
        hardware.after(hardware.dice.between(0, LONGEST_WORKING_ON_MS), () => this.die(person));
      }
    }
  }

  #toDaemon(peer: SimPeer, bytes: Uint8Array): void {
    this.#around.daemonTime()?.run(() => peer.send(bytes));
  }
}
