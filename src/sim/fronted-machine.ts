import { SECOND_MS } from '../base/units.ts';
import * as calls from '../client/sanlock-daemon-calls.ts';
import { acquire, convert, release } from '../client/sanlock-lease-calls.ts';
import { SanlockProgram } from '../drive/sanlock-program.ts';
import { type LeaseTimes, leaseTimes } from '../lease/lease-times.ts';
import type { Channel, Processes, SignalName } from '../ports/processes.ts';
import type {
  FromLeaseProcess,
  LeaseCommand,
  LeaseCommandResult,
  ToLeaseProcess,
} from '../sanlock/lease-messages.ts';
import { RES_FLAGS } from '../wire/sanlock-socket.ts';
import type { Life } from './claims.ts';
import { type Computer, Hardware, type Software } from './computer.ts';
import {
  ECONNRESET,
  ENOSPC,
  isAsked,
  type Person,
  placeOf,
  refusal,
  resourceAt,
  resourceOf,
  results,
} from './daemon-talk.ts';
import type { Dice } from './dice.ts';
import { SimDisks } from './disk.ts';
import { FIRST_LEASE_PID, MemoryJournal, SETTINGS, SimPeer } from './front-host.ts';
import type { HostClock } from './host-clock.ts';
import { LeaseSeat, QUIET } from './lease-seat.ts';
import { SimWdmd } from './sim-wdmd.ts';
import type { Stay } from './stay.ts';
import { Users } from './users.ts';
import { Violation } from './violation.ts';
import type { World } from './world.ts';

const RETRY_JOIN_MS = 3000;

/**
 * A machine under the very daemon: front and lease process, users that are processes with
 * connections, signals that kill them, and a watchdog for all that does not end in time.
 */
export class FrontedMachine implements Computer, Software {
  readonly name: string;
  readonly hardware: Hardware;
  readonly #hostId: number;
  readonly #ioTimeoutS: number;
  readonly #times: LeaseTimes;
  readonly #world: World;
  readonly #dice: Dice;
  readonly #users: Users;
  /** The daemon's own time; null = it does not run. */
  #frontTime: HostClock | null = null;
  #front: SanlockProgram | null = null;
  #admin: SimPeer | null = null;
  /** Of this boot: each daemon learns from it what the one before left running. */
  #journal = new MemoryJournal();
  #wdmd: SimWdmd | null = null;
  readonly #hasWatchdog: boolean;
  readonly #watchers = new Map<number, (() => void)[]>();
  #stay: Stay | null = null;
  readonly #seats = new Map<number, LeaseSeat>();
  readonly #people = new Map<number, Person>();
  #stays = 0;
  #nextPid = 1000;
  #nextSeat = FIRST_LEASE_PID;
  #nextFd = 5;

  constructor(world: World, of: { hostId: number; ioTimeoutS: number }) {
    this.#world = world;
    this.#hostId = of.hostId;
    this.#ioTimeoutS = of.ioTimeoutS;
    this.#times = leaseTimes(of.ioTimeoutS);
    this.hardware = new Hardware(world, of, this);
    this.name = this.hardware.name;
    this.#dice = this.hardware.dice;
    this.#hasWatchdog = this.#dice.chance(0.7);
    this.#users = new Users(this, world, this.#dice.fork('users'));
  }

  get life(): Life | null {
    const stay = this.#stay;
    if (stay === null || stay.front !== this.#front || stay.lastSuccessMs === null) return null;
    return stay.life;
  }

  powerOn(): void {
    this.#journal = new MemoryJournal();
    this.#startDaemon();
  }

  #startDaemon(): void {
    const time = this.hardware.clock?.sibling();
    if (time === undefined || this.#front !== null) return;
    this.#world.say(this.name, 'daemon starts');
    this.#frontTime = time;
    this.#wdmd = this.#wdmd?.forNext(time) ?? new SimWdmd(this.hardware, time);
    const dice = this.#dice.fork(`front ${this.#stays}`);
    this.#front = new SanlockProgram({
      settings: {
        ...SETTINGS,
        ourHostName: `host-${this.name}`,
        ioTimeoutS: this.#ioTimeoutS,
        useWatchdog: this.#hasWatchdog,
      },
      clock: time,
      sockets: this.#wdmd.sockets,
      journal: this.#journal,
      processes: this.#processes(),
      log: QUIET,
      random: () => dice.next(),
      helperPid: 0,
      dumpLog: () => '',
      ended: () => {},
    });
    this.#front.start();
    this.#admin = this.#connect(1);
    this.#keepJoined(this.#admin);
  }

  powerLost(): void {
    this.#users.stop();
    this.#frontTime?.stop();
    this.#front = null;
    this.#frontTime = null;
    this.#wdmd = null;
    this.#watchers.clear();
    for (const person of [...this.#people.values()]) this.#gone(person);
    const stay = this.#stay;
    this.#stay = null;
    for (const seat of this.#seats.values()) {
      seat.freeze();
      if (this.#dice.chance(0.5)) seat.disks.cut();
      else this.#world.clock.after(this.#dice.between(0, 9000), () => seat.disks.cut());
    }
    this.#seats.clear();
    if (stay === null) return;
    this.#world.judge.claims.endAll(stay.life);
    stay.life.isOver = true;
    stay.time.stop();
  }

  #connect(pid: number): SimPeer {
    const peer = new SimPeer();
    const front = this.#front;
    const fd = this.#nextFd++;
    this.#frontTime?.run(() => front?.accept(peer.connection(fd, pid)));
    return peer;
  }

  #toDaemon(peer: SimPeer, bytes: Uint8Array): void {
    this.#frontTime?.run(() => peer.send(bytes));
  }

  /** The administrator asks again and again: joined already is fine. */
  #keepJoined(admin: SimPeer): void {
    let asked = false;
    const ask = () => {
      if (this.#admin !== admin || this.#front === null) return;
      if (!asked) {
        asked = true; // first: a refusal comes at once
        this.#toDaemon(admin, calls.addLockspace(placeOf(this.#hostId)).request);
      }
      this.hardware.after(this.#dice.between(0.3, 1) * RETRY_JOIN_MS, ask);
    };
    admin.onReceived = () => {
      for (const result of results(admin)) {
        asked = false;
        if (!isAsked(result)) this.#world.say(this.name, `add_lockspace -> ${result}`);
      }
    };
    ask();
  }

  #processes(): Processes {
    return {
      // Messages of this kind are the only ones the front sends to a process it starts.
      startLeaseProcess: <Out, In>() => this.#startSeat().channel as unknown as Channel<Out, In>,
      signal: (pid, signal) => {
        const person = this.#people.get(pid);
        if (person !== undefined) this.#hit(person, signal);
        return person !== undefined;
      },
      startTime: (pid) => {
        const seat = this.#seats.get(pid);
        const isThere = seat === undefined ? this.#people.has(pid) : !seat.isGone;
        return isThere ? `${pid}` : null;
      },
      watch: (pid, gone) => {
        const time = this.#frontTime;
        const told = () => time?.run(gone);
        const seat = this.#seats.get(pid);
        if (seat === undefined) this.#watchers.set(pid, [...(this.#watchers.get(pid) ?? []), told]);
        seat?.onceGone(() => {
          this.#over(seat);
          told();
        });
        return { close: () => {} };
      },
      run: () => {},
    };
  }

  #startSeat(): LeaseSeat {
    const front = this.#frontTime;
    const power = this.hardware.clock;
    if (front === null || power === null) throw new Error('only a running daemon starts processes');
    const label = `${this.name}.${++this.#stays}`;
    const time = power.sibling();
    const disks = new SimDisks({
      host: label,
      storage: this.#world.storage,
      clock: this.#world.clock,
      plan: (io) => this.hardware.fate(io),
      at: time,
    });
    const dice = this.#dice.fork(label);
    const seat: LeaseSeat = new LeaseSeat({
      pid: this.#nextSeat++,
      world: this.#world.clock,
      front,
      own: time,
      disks,
      random: () => dice.next(),
      toLease: (message) => this.#ordered(seat, time, label, message),
      toFront: (message) => this.#said(seat, message),
    });
    this.#seats.set(seat.pid, seat);
    return seat;
  }

  /** What the front tells its lease process. */
  #ordered(seat: LeaseSeat, time: HostClock, label: string, message: ToLeaseProcess): void {
    const stay = this.#stay;
    if (message.kind === 'refuse' && stay?.seat === seat) stay.isEnding = true;
    if (message.kind !== 'join') return;
    const life: Life = {
      label,
      hostId: message.hostId,
      generation: null,
      isOver: false,
      isExpired: () => this.#isExpired(life),
    };
    this.#world.judge.begin(life);
    const users = stay === null ? 0 : this.#world.judge.claims.countOf(stay.life);
    if (users > 0)
      throw new Violation(9, `${label} joins while ${users} user(s) work by the last stay`);
    if (stay !== null) stay.life.isOver = true;
    if (this.#front === null) return;
    this.#stay = {
      front: this.#front,
      life,
      seat,
      time,
      holds: new Map(),
      lastSuccessMs: null,
      isEnding: false,
    };
  }

  #isExpired(life: Life): boolean {
    const stay = this.#stay;
    if (stay === null || stay.life !== life) return true;
    if (stay.lastSuccessMs === null) return false;
    const nowMs = this.hardware.clock?.nowMs() ?? Number.POSITIVE_INFINITY;
    return nowMs >= stay.lastSuccessMs + this.#times.renewalFailMs;
  }

  /** A message leaves the lease process: what it says is true on disk now. */
  #said(seat: LeaseSeat, message: FromLeaseProcess): void {
    const stay = this.#stay;
    if (stay === null || stay.seat !== seat) return;
    if (message.kind === 'joined') this.#joined(stay, message);
    if (message.kind === 'renewed') stay.lastSuccessMs = message.timestampS * SECOND_MS;
    if (message.kind !== 'ran' || !message.result.ok) return;
    const { result } = message;
    if (result.op !== 'acquire' && result.op !== 'convert') return;
    const isStepDown = result.op === 'convert' && result.hold.shared;
    if (!isStepDown && this.#isExpired(stay.life)) {
      throw new Violation(9, `${stay.life.label} was granted a lease after its own expiry`);
    }
    stay.holds.set(resourceAt(result.hold.offset), result.hold);
  }

  #joined(stay: Stay, message: Extract<FromLeaseProcess, { kind: 'joined' }>): void {
    const { life } = stay;
    life.generation = message.generation;
    stay.lastSuccessMs = message.timestampS * SECOND_MS;
    const { claims, hosts } = this.#world.judge;
    const isLive = (other: Life) =>
      !other.isOver && (!other.isExpired() || claims.countOf(other) > 0);
    hosts.joined(life, isLive);
    this.#world.say(life.label, `joined as ${life.hostId}, generation ${message.generation}`);
    this.#users.start();
  }

  /** The lease process is gone, and the daemon knows: it may forget the lockspace. */
  #over(seat: LeaseSeat): void {
    this.#seats.delete(seat.pid);
    const stay = this.#stay;
    if (stay === null || stay.seat !== seat) return;
    const { life } = stay;
    this.#world.say(life.label, 'lease process has ended');
    // Left behind by an earlier daemon: this one joins again only when its users are gone too.
    if (stay.front !== this.#front) return;
    const still = this.#world.judge.claims.countOf(life);
    if (still > 0)
      throw new Violation(9, `${life.label} was given up with ${still} user(s) at work`);
    life.isOver = true;
    this.#stay = null;
  }

  mayUse(): boolean {
    return true; // what the daemon answered is what a process works by
  }

  want(life: Life, resource: number): void {
    this.#users.acquire(life, resource, { shared: false });
  }

  ask(command: LeaseCommand, answer: (result: LeaseCommandResult) => void): number | null {
    const { life } = this;
    if (life === null) return null;
    if (command.op === 'acquire') {
      const person = this.#newPerson(life, resourceAt(command.area.offset));
      const flags = command.shared ? RES_FLAGS.SHARED : 0;
      const { ownerNowait, readLvb: lvb } = command;
      const call = acquire([resourceOf(person.resource, flags)], { ownerNowait, lvb });
      this.#say(person, call.request, (result) => {
        if (result !== 0) this.#die(person);
        answer(result === 0 ? this.#granted(person, 'acquire') : refusal('acquire', result));
      });
      return person.pid;
    }
    if (command.op !== 'release' && command.op !== 'convert') return null;
    const resource = resourceAt(command.hold.offset);
    const person = this.#holder(life, resource);
    if (person === null) return null;
    if (command.op === 'release') {
      this.#say(person, release([resourceOf(resource, 0)]).request, (result) => {
        this.#die(person);
        // Of a lockspace that is being given up nothing is written: its host lease ends soon.
        const stay = this.#stay?.life === life ? this.#stay : null;
        const isWritten = stay?.seat.isAlive === true && !stay.isEnding;
        const code = isWritten ? result : -ENOSPC;
        answer(code === 0 ? { ok: true, op: 'release' } : refusal('release', code));
      });
      return person.pid;
    }
    const { ownerNowait } = command;
    const wanted = resourceOf(resource, command.toShared ? RES_FLAGS.SHARED : 0);
    this.#say(person, convert(wanted, { ownerNowait }).request, (result) => {
      const granted = result === 0 ? this.#granted(person, 'convert') : refusal('convert', result);
      // Of a lost lease process: whatever it had written, its user takes it that it stepped down.
      if (granted.ok && granted.op === 'convert' && command.toShared) {
        answer({ ...granted, hold: { ...granted.hold, shared: true } });
      } else answer(granted);
    });
    return person.pid;
  }

  #granted(person: Person, op: 'acquire' | 'convert'): LeaseCommandResult {
    const hold = this.#stay?.life === person.life ? this.#stay.holds.get(person.resource) : null;
    if (hold) return op === 'acquire' ? { ok: true, op, hold, lvb: null } : { ok: true, op, hold };
    throw new Violation(9, `${person.life.label}: R${person.resource} granted without its lease`);
  }

  #newPerson(life: Life, resource: number): Person {
    const pid = this.#nextPid++;
    const peer = this.#connect(pid);
    const person: Person = { pid, peer, resource, life, answer: null, isDying: false };
    this.#people.set(pid, person);
    this.#toDaemon(peer, calls.register().request);
    return person;
  }

  #holder(life: Life, resource: number): Person | null {
    for (const person of this.#people.values()) {
      if (person.life === life && person.resource === resource) return person;
    }
    return null;
  }

  #say(person: Person, request: Uint8Array, heard: (result: number) => void): void {
    person.peer.onReceived = () => {
      for (const result of results(person.peer)) {
        person.answer = null;
        heard(result);
      }
    };
    person.answer = (result) => heard(result.ok ? 0 : -ECONNRESET);
    this.#toDaemon(person.peer, request);
  }

  /** The process dies in the middle of its wish. */
  cancel(id: number): void {
    const person = this.#people.get(id);
    if (person?.answer !== null && person !== undefined) this.#die(person);
  }

  #hit(person: Person, signal: SignalName): void {
    if (person.isDying && signal === 'SIGTERM') return;
    const fate = this.#dice.next();
    if (signal === 'SIGTERM' && fate > 0.6) return; // deaf
    person.isDying = true;
    if (fate > 0.95 && this.#hasWatchdog) return; // stuck in the kernel: only a reset ends it
    this.hardware.after(this.#dice.between(0, fate < 0.3 ? 200 : 8000), () => this.#die(person));
  }

  /** A process ends: first its work, then its connection. */
  #die(person: Person): void {
    if (!this.#people.has(person.pid)) return;
    this.#gone(person);
    this.#frontTime?.run(() => person.peer.close());
  }

  #gone(person: Person): void {
    const { pid, life, resource, answer } = person;
    this.#people.delete(pid);
    for (const tell of this.#watchers.get(pid) ?? []) tell();
    this.#watchers.delete(pid);
    person.answer = null;
    const { claims } = this.#world.judge;
    const claim = claims.find(life, resource);
    if (claim !== null && this.#holder(claim.life, resource) === null) claims.end(claim);
    person.peer.onReceived = () => {};
    answer?.(refusal('a process that died', -ECONNRESET));
  }

  leave(): void {
    const { life } = this;
    const admin = this.#admin;
    if (life === null || admin === null) return;
    this.#world.say(life.label, 'is asked to leave');
    const peer = this.#connect(2);
    this.#toDaemon(peer, calls.removeLockspace(placeOf(this.#hostId)).request);
  }

  pauseProgram(forMs: number): void {
    const stay = this.#stay;
    if (stay === null) return;
    this.#world.say(stay.life.label, `lease process stands still for ${Math.round(forMs)} ms`);
    stay.time.pause();
    this.#world.clock.after(forMs, () => stay.time.resume());
  }

  pauseAll(forMs: number): void {
    if (!this.#hasWatchdog) {
      this.pauseProgram(forMs); // nobody would stop its users in time
      return;
    }
    const times = [this.#frontTime, this.hardware.clock, this.#stay?.time ?? null];
    this.#world.say(this.name, `everything stands still for ${Math.round(forMs)} ms`);
    for (const time of times) time?.pause();
    this.#world.clock.after(forMs, () => {
      for (const time of times) time?.resume();
    });
  }

  /** The lease process is killed, or the daemon: then its processes work on until the reset. */
  killProgram(): void {
    const stay = this.#stay;
    if (stay === null) return;
    if (this.#dice.chance(0.7)) {
      this.#world.say(stay.life.label, 'lease process is killed');
      stay.seat.end();
      return;
    }
    this.#killDaemon();
  }

  /** Its lease processes go with it. A service manager starts it again after a while. */
  #killDaemon(): void {
    this.#world.say(this.name, 'daemon is killed');
    this.#front = null;
    this.#frontTime?.stop();
    this.#watchers.clear();
    for (const seat of this.#seats.values()) seat.end();
    for (const person of this.#people.values()) {
      // Nobody answers any more: a process in the middle of a wish cannot know how it ended.
      person.answer = null;
      person.peer.closedByDaemon = true;
      if (this.#dice.chance(0.5)) {
        this.hardware.after(this.#dice.between(0, 100_000), () => this.#die(person));
      }
    }
    this.hardware.after(this.#dice.between(100, 30_000), () => this.#startDaemon());
  }
}
