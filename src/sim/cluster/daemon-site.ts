import { assert } from '../../base/assert.ts';
import { ERRNO } from '../../base/errno.ts';
import { leaseTimes } from '../../lease/lease-times.ts';
import type { LeaseCommand, LeaseCommandResult } from '../../lease-process/messages.ts';
import * as calls from '../../wire/sanlock/daemon-calls.ts';
import { acquire, convert, release, request } from '../../wire/sanlock/lease-calls.ts';
import { RES_FLAGS } from '../../wire/sanlock/socket.ts';
import type { Incarnation } from '../invariants/claims.ts';
import { Violation } from '../invariants/violation.ts';
import type { Dice } from '../kernel/dice.ts';
import { MemoryJournal } from '../kernel/journal.ts';
import { QUIET } from '../kernel/log.ts';
import type { SimPeer } from '../kernel/peer.ts';
import type { ProcessTable } from '../kernel/process.ts';
import { type ClientProcess, ClientProcesses } from './client-processes.ts';
import { isAdded, placeOf, refusal, resourceAt, resourceOf, results } from './daemon-calls.ts';
import { NOTHING_DAMAGED } from './daemon-ports.ts';
import { Hardware, type Software } from './hardware.ts';
import { stall } from './lease-process.ts';
import { Memberships } from './memberships.ts';
import { type DaemonSetup, SimSanlock } from './sanlock.ts';
import type { Site } from './site.ts';
import type { SiteSettings, SiteUsers, SiteWorld } from './site-world.ts';
import { SimWdmd } from './wdmd.ts';

/** The run directory is full or has room for so long, in worlds where it fills up. */
const LONGEST_FULL_MS = 60_000;
const LONGEST_ROOM_MS = 120_000;
const DAMAGE_CHANCE = 0.9;
const RETRY_JOIN_MS = 3000;
/** A daemon that starts late has stopped the users of an earlier claim within this time. */
const STOPPED_MS = 100_000;
/** A daemon that dies in the middle of an event does at most so many more things before. */
const MOST_ACTS = 40;
const LONG_DOWN_MS = 400_000;
/** After a longer one the watchdog device has fired in any case. */
const LONGEST_WDMD_LAG_MS = 60_000;

/**
 * A host with the whole sanlock daemon: front and lease process, users that are processes with
 * connections, signals that kill them, and a watchdog for those that do not end in time.
 */
export class DaemonSite implements Site, Software {
  readonly name: string;
  readonly hardware: Hardware;
  readonly #hostId: number;
  readonly #hostName: string;
  readonly #ioTimeoutS: number;
  readonly #world: SiteWorld;
  readonly #dice: Dice;
  readonly #users: SiteUsers;
  readonly #sanlock: SimSanlock;
  #admin: SimPeer | null = null;
  /** Of this boot: each daemon learns from it which processes survived the one before. */
  #journal = new MemoryJournal();
  #wdmd: SimWdmd | null = null;
  readonly #wdmdDice: Dice;
  readonly #crashDice: Dice;
  readonly #hasWatchdog: boolean;
  readonly #memberships: Memberships;
  readonly #clients: ClientProcesses;

  constructor(world: SiteWorld, of: SiteSettings, users: SiteUsers) {
    this.#users = users;
    this.#world = world;
    this.#hostId = of.hostId;
    this.#hostName = of.hostName;
    this.#ioTimeoutS = of.ioTimeoutS;
    this.hardware = new Hardware(world, of, this);
    this.name = this.hardware.name;
    this.#dice = this.hardware.dice;
    this.#wdmdDice = this.#dice.fork('wdmd');
    this.#crashDice = this.#dice.fork('crashes');
    this.#hasWatchdog = this.#dice.chance(0.7);
    this.#sanlock = new SimSanlock({
      world: world.clock,
      soon: (deliver) => this.hardware.after(0, deliver),
      newDaemon: () => this.#newDaemon(),
      newLeaseProcess: (pid) => this.#memberships.newLeaseProcess(pid),
      processes: this.#processes(),
      killpath: () => {},
      ended: () => {},
      sentToFront: (pid, message) => this.#memberships.sentToFront(pid, message),
      sentToLease: (pid, message) => this.#memberships.sentToLease(pid, message),
      leaseProcessGone: (pid) => this.#memberships.leaseProcessGone(pid),
    });
    this.#memberships = new Memberships({
      world,
      hardware: this.hardware,
      ioTimeoutS: of.ioTimeoutS,
      sanlock: this.#sanlock,
      isArmed: (daemon) => !this.#hasWatchdog || this.#wdmd?.isFedBy(daemon) === true,
      joined: (isResumed) => {
        if (isResumed) this.#users.resume();
        else this.#users.start();
      },
    });
    this.#clients = new ClientProcesses({
      world,
      hardware: this.hardware,
      hasWatchdog: this.#hasWatchdog,
      connect: (pid) => this.#sanlock.connect(pid),
      daemonClock: () => this.#sanlock.clock,
    });
  }

  get incarnation(): Incarnation | null {
    return this.#memberships.incarnation;
  }

  powerOn(): void {
    this.#journal = new MemoryJournal();
    this.#fillRunDirectory(this.#journal);
    this.#startDaemon();
  }

  #fillRunDirectory(journal: MemoryJournal): void {
    if (this.#world.options.journals !== 'full') return;
    const dice = this.#dice.fork(`run directory ${this.#memberships.count}`);
    const turn = (): void => {
      journal.full = !this.#world.isQuiet && !journal.full;
      const forMs = journal.full ? LONGEST_FULL_MS : LONGEST_ROOM_MS;
      this.hardware.after(dice.between(0.1, 1) * forMs, turn);
    };
    this.hardware.after(dice.between(0.1, 1) * LONGEST_ROOM_MS, turn);
  }

  #startDaemon(): void {
    if (this.hardware.clock === null || this.#sanlock.clock !== null) return;
    this.#world.log(this.name, 'daemon starts');
    this.#sanlock.start();
    this.#clients.daemonStarted();
    this.#admin = this.#sanlock.connect(1);
    this.#keepJoined(this.#admin);
    this.#crashLater();
  }

  /** It dies again and again, each time in the middle of something. */
  #crashLater(): void {
    const { crashesMs } = this.#world.options;
    const daemon = this.#sanlock.clock;
    if (crashesMs === 0) return;
    const dice = this.#crashDice;
    // Without a watchdog nothing else stops the users of a claim that it could not resume.
    const leastMs = this.#hasWatchdog ? 0 : STOPPED_MS;
    this.hardware.after(leastMs + dice.between(0.01, 1) * crashesMs, () => {
      if (daemon === null || this.#sanlock.clock !== daemon || this.#world.isQuiet) return;
      const acts = dice.below(MOST_ACTS);
      this.#world.log(this.name, `daemon has ${acts} acts left`);
      this.#sanlock.crashAt(acts, dice.chance(0.5), () => {
        this.#killDaemon();
      });
    });
  }

  #newDaemon(): DaemonSetup {
    const host = this.hardware.clock;
    assert(host !== null, 'a daemon starts on a host that is on');
    const clock = host.sibling();
    if (this.#wdmd === null) {
      const { watchdog } = this.hardware;
      this.#wdmd = new SimWdmd({ host, watchdog, time: clock.sibling() });
      this.#lagNow(this.#wdmd);
    }
    const dice = this.#dice.fork(`front ${this.#memberships.count}`);
    return {
      clock,
      settings: {
        ourHostName: this.#hostName,
        ioTimeoutS: this.#ioTimeoutS,
        useWatchdog: this.#hasWatchdog,
      },
      sockets: this.#wdmd.socketsOf(clock),
      journal: this.#journal,
      log: this.#world.options.journals === 'damaged' ? QUIET : NOTHING_DAMAGED,
      random: () => dice.next(),
    };
  }

  /** wdmd stalls again and again. */
  #lagNow(wdmd: SimWdmd): void {
    const afterMs = this.#wdmdDice.between(0.02, 1) * this.#world.options.faultIntervalMs;
    this.hardware.after(afterMs, () => {
      if (this.#wdmd !== wdmd || this.#world.isQuiet) return;
      if (this.#sanlock.clock !== null && this.#wdmdDice.chance(this.#world.options.killWithLag)) {
        this.#world.log(this.name, 'has no memory left');
        this.#killDaemon();
        this.#lagAtExpiry(wdmd);
      } else this.#lag(wdmd, this.#wdmdDice.between(0, 1) ** 2 * LONGEST_WDMD_LAG_MS);
      this.#lagNow(wdmd);
    });
  }

  /** wdmd stalls around the expiry of the claim of a killed daemon: the case that wdmd is for. */
  #lagAtExpiry(wdmd: SimWdmd): void {
    const aliveMs = leaseTimes(this.#ioTimeoutS).renewalFailMs;
    const earliestMs = Math.max(0, aliveMs - LONGEST_WDMD_LAG_MS);
    this.hardware.after(this.#wdmdDice.between(earliestMs, aliveMs), () => {
      this.#lag(wdmd, this.#wdmdDice.between(0, LONGEST_WDMD_LAG_MS));
    });
  }

  #lag(wdmd: SimWdmd, forMs: number): void {
    this.#world.log(this.name, `wdmd stalls for ${Math.round(forMs)} ms`);
    wdmd.pause();
    this.#world.clock.after(forMs, () => wdmd.resume());
  }

  powerLost(): void {
    this.#users.stop();
    const ended = this.#sanlock.powerLost();
    this.#wdmd?.powerLost();
    this.#wdmd = null;
    this.#clients.powerLost();
    this.#memberships.powerLost(ended);
  }

  /** The administrator adds the lockspace again and again: that it is added is no error. */
  #keepJoined(admin: SimPeer): void {
    let isUnderWay = false;
    const add = () => {
      if (this.#admin !== admin || this.#sanlock.clock === null) return;
      if (!isUnderWay) {
        isUnderWay = true; // before the call: a refusal comes at once
        this.#sanlock.toDaemon(() => admin.send(calls.addLockspace(placeOf(this.#hostId)).request));
      }
      this.hardware.after(this.#dice.between(0.3, 1) * RETRY_JOIN_MS, add);
    };
    admin.onReceived = () => {
      for (const result of results(admin)) {
        isUnderWay = false;
        if (!isAdded(result)) this.#world.log(this.name, `add_lockspace -> ${result}`);
      }
    };
    add();
  }

  /** Client processes. */
  #processes(): ProcessTable {
    return {
      isThere: (pid) => this.#clients.has(pid),
      onceGone: (pid, gone) => this.#clients.onceGone(pid, gone),
      signal: (pid, signal) => this.#clients.signal(pid, signal),
    };
  }

  mayUse(): boolean {
    return true; // a process works by what the daemon answered
  }

  run(
    command: LeaseCommand,
    answer: (result: LeaseCommandResult) => void,
    resource?: number,
  ): number | null {
    const { incarnation } = this;
    if (incarnation === null) return null;
    if (command.op === 'acquire') {
      const resource = resourceAt(command.area.offset);
      if (this.#clients.holder(incarnation, resource) !== null) {
        // One that was cut off by the end of a daemon may still have it: a second one would share.
        answer(refusal('acquire', -ERRNO.EBUSY));
        return null;
      }
      const client = this.#clients.begin(incarnation, resource);
      const flags = command.shared ? RES_FLAGS.SHARED : 0;
      const { ownerNowait, readLvb: lvb } = command;
      const call = acquire([resourceOf(client.resource, flags)], { ownerNowait, lvb });
      this.#clients.call(client, call.request, (result) => {
        if (result !== 0) this.#clients.die(client);
        answer(result === 0 ? this.#granted(client, 'acquire') : refusal('acquire', result));
      });
      return client.pid;
    }
    if (command.op === 'request') {
      this.#request(command, answer);
      return null;
    }
    if (command.op !== 'release' && command.op !== 'convert') return null;
    const client = resource === undefined ? null : this.#clients.holder(incarnation, resource);
    if (resource === undefined || client === null) return null;
    if (client.peer.closedByDaemon) {
      // Its connection died with an earlier daemon: it can release its lease only by its end.
      if (command.op === 'release') this.#clients.die(client);
      answer(refusal(command.op, -ERRNO.ENOTCONN));
      return client.pid;
    }
    if (command.op === 'release') {
      this.#clients.call(client, release([resourceOf(resource, 0)]).request, (result) => {
        this.#clients.die(client);
        // Nothing is written in a lockspace that is being left: its host lease ends soon.
        const { current } = this.#memberships;
        const membership = current?.incarnation === incarnation ? current : null;
        const isServed = membership?.process.isAlive === true && !membership.isEnding;
        // A process whose own request to release it was cut may share it still.
        const isWritten = isServed && this.#clients.holder(incarnation, resource) === null;
        const code = isWritten ? result : -ERRNO.ENOSPC;
        answer(code === 0 ? { ok: true, op: 'release' } : refusal('release', code));
      });
      return client.pid;
    }
    const { ownerNowait } = command;
    const wanted = resourceOf(resource, command.toShared ? RES_FLAGS.SHARED : 0);
    this.#clients.call(client, convert(wanted, { ownerNowait }).request, (result) => {
      const granted = result === 0 ? this.#granted(client, 'convert') : refusal('convert', result);
      // Whatever a lost lease process had written, its user counts itself a sharer.
      if (granted.ok && granted.op === 'convert' && command.toShared) {
        answer({ ...granted, hold: { ...granted.hold, shared: true } });
      } else answer(granted);
    });
    return client.pid;
  }

  #request(
    command: Extract<LeaseCommand, { op: 'request' }>,
    answer: (result: LeaseCommandResult) => void,
  ): void {
    const { forceMode, nextLver } = command;
    const peer = this.#sanlock.connect(3);
    peer.onReceived = () => {
      for (const result of results(peer)) {
        const owner = { ownerId: 0, ownerGeneration: 0n }; // the socket does not carry it
        const done = { ok: true, op: 'request', ...owner } as const;
        answer(result === 0 ? done : refusal('request', result));
        this.hardware.after(0, () => this.#sanlock.toDaemon(() => peer.close()));
      }
    };
    const resource = resourceOf(resourceAt(command.area.offset), 0);
    this.#sanlock.toDaemon(() => peer.send(request(resource, { forceMode, nextLver }).request));
  }

  #granted(client: ClientProcess, op: 'acquire' | 'convert'): LeaseCommandResult {
    const { current } = this.#memberships;
    const hold =
      current?.incarnation === client.incarnation ? current.holds.get(client.resource) : null;
    if (hold) return op === 'acquire' ? { ok: true, op, hold, lvb: null } : { ok: true, op, hold };
    if (client.hasRepeated && current?.incarnation !== client.incarnation) {
      this.#clients.die(client); // its request reached a later membership
      return refusal(op, -ERRNO.ECONNRESET);
    }
    throw new Violation(
      9,
      `${client.incarnation.label}: R${client.resource} granted without its lease`,
    );
  }

  cancel(id: number): void {
    this.#clients.cancel(id);
  }

  leave(): void {
    const { incarnation } = this;
    const admin = this.#admin;
    if (incarnation === null || admin === null) return;
    this.#world.log(incarnation.label, 'is asked to leave');
    const peer = this.#sanlock.connect(2);
    this.#sanlock.toDaemon(() => peer.send(calls.removeLockspace(placeOf(this.#hostId)).request));
  }

  pauseProgram(forMs: number): void {
    const membership = this.#memberships.current;
    if (membership !== null) stall(this.#world, membership, forMs);
  }

  pauseAll(forMs: number): void {
    if (!this.#hasWatchdog) {
      this.pauseProgram(forMs); // nothing would stop its users in time
      return;
    }
    const { clock } = this.hardware;
    const lease = this.#memberships.current?.process.clock ?? null;
    const times = [this.#sanlock.clock, clock, lease, this.#wdmd];
    this.#world.log(this.name, `everything stalls for ${Math.round(forMs)} ms`);
    for (const time of times) time?.pause();
    this.#world.clock.after(forMs, () => {
      for (const time of times) time?.resume();
    });
  }

  /** Kills the lease process, or the daemon: then its clients work on until the reset. */
  killProgram(): void {
    const membership = this.#memberships.current;
    if (membership === null) return;
    if (this.#dice.chance(0.7)) {
      this.#world.log(membership.incarnation.label, 'lease process is killed');
      this.#sanlock.leaseProcess(membership.pid)?.end();
      return;
    }
    this.#killDaemon();
  }

  /** Its lease processes end, or are killed too. A service manager starts the daemon again after a while. */
  #killDaemon(): void {
    this.#world.log(this.name, 'daemon is killed');
    const dice = this.#dice.fork(`damage ${this.#memberships.count}`);
    // Not without a watchdog: nothing else stops users that the next daemon cannot know of.
    const mayBeDamaged = this.#world.options.journals === 'damaged' && this.#hasWatchdog;
    const isDamaged = mayBeDamaged && dice.chance(DAMAGE_CHANCE);
    if (isDamaged) this.#journal.damage(dice);
    this.#sanlock.kill(this.#crashDice.chance(0.7) ? 'end' : 'killed');
    this.#clients.daemonKilled();
    this.#wdmd?.daemonKilled();
    // Long: until an administrator does. Without a watchdog only the next daemon stops its users.
    const isLong = this.#wdmdDice.chance(0.4);
    const moreMs = isLong && this.#hasWatchdog ? LONG_DOWN_MS : 0;
    this.hardware.after(this.#dice.between(100, 30_000) + moreMs, () => this.#startDaemon());
  }
}
