import { assert } from '../../base/assert.ts';
import { SECOND_MS } from '../../base/units.ts';
import { leaseTimes } from '../../lease/lease-times.ts';
import type { FromLeaseProcess, HeldLease, ToLeaseProcess } from '../../lease-process/messages.ts';
import type { SanlockProgram } from '../../programs/sanlock-program.ts';
import type { Incarnation } from '../invariants/claims.ts';
import { Violation } from '../invariants/violation.ts';
import { SimDisks } from '../kernel/disk.ts';
import type { ProcessClock } from '../kernel/process-clock.ts';
import { resourceAt } from './daemon-calls.ts';
import { FIRST_LEASE_PID } from './front-host.ts';
import type { Hardware } from './hardware.ts';
import { LeaseSeat } from './lease-process.ts';
import type { SiteWorld } from './site-world.ts';

/** What a dead host's last I/O may still take until the storage has all of it, or has dropped it. */
const LONGEST_LANDING_MS = 9000;

/** One membership of the daemon in the lockspace: a lease process from its `join` to its end. */
export interface Membership {
  readonly front: SanlockProgram;
  readonly incarnation: Incarnation;
  readonly seat: LeaseSeat;
  readonly time: ProcessClock;
  /** By resource. */
  readonly holds: Map<number, HeldLease>;
  /** The resource of each acquire sent to it, by the command's id, and of each of its holds. */
  readonly acquires: Map<number, number>;
  readonly resourceOfHold: Map<number, number>;
  /** Milliseconds of the running system at the last renewal known to have landed. */
  lastSuccessMs: number | null;
  /** The front let no more leases be granted. */
  isEnding: boolean;
}

interface Surroundings {
  readonly world: SiteWorld;
  readonly hardware: Hardware;
  readonly ioTimeoutS: number;
  /** The daemon that runs now and its own time; null = none. */
  readonly daemon: () => { readonly front: SanlockProgram; readonly time: ProcessClock } | null;
  readonly joined: () => void;
}

/** The lease processes of one machine, and what their messages say to the checker. */
export class Memberships {
  readonly #around: Surroundings;
  readonly #renewalFailMs: number;
  readonly #seats = new Map<number, LeaseSeat>();
  #current: Membership | null = null;
  #count = 0;
  #nextPid = FIRST_LEASE_PID;

  constructor(around: Surroundings) {
    this.#around = around;
    this.#renewalFailMs = leaseTimes(around.ioTimeoutS).renewalFailMs;
  }

  /** How many lease processes there have been. */
  get count(): number {
    return this.#count;
  }

  get current(): Membership | null {
    return this.#current;
  }

  /** The membership in which users may ask for leases. */
  get incarnation(): Incarnation | null {
    const membership = this.#current;
    if (membership === null || membership.lastSuccessMs === null) return null;
    return membership.front === this.#around.daemon()?.front ? membership.incarnation : null;
  }

  seat(pid: number): LeaseSeat | null {
    return this.#seats.get(pid) ?? null;
  }

  start(): LeaseSeat {
    const { world, hardware } = this.#around;
    const front = this.#around.daemon()?.time;
    const power = hardware.clock;
    if (front === undefined || power === null)
      throw new Error('only a running daemon starts processes');
    const label = `${hardware.name}.${++this.#count}`;
    const time = power.sibling();
    const disks = new SimDisks({
      host: label,
      storage: world.storage,
      clock: world.clock,
      plan: (io) => hardware.fate(io),
      at: time,
    });
    const dice = hardware.dice.fork(label);
    const seat: LeaseSeat = new LeaseSeat({
      pid: this.#nextPid++,
      world: world.clock,
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

  onceGone(seat: LeaseSeat, told: () => void): void {
    seat.onceGone(() => {
      this.#over(seat);
      told();
    });
  }

  /** The daemon is killed, and its lease processes go with it. */
  endAll(): void {
    for (const seat of this.#seats.values()) seat.end();
  }

  /** What the lease processes have sent to the disks lands soon or never. */
  powerLost(): void {
    const { world, hardware } = this.#around;
    const membership = this.#current;
    this.#current = null;
    for (const seat of this.#seats.values()) {
      seat.freeze();
      if (hardware.dice.chance(0.5)) seat.disks.cut();
      else {
        const afterMs = hardware.dice.between(0, LONGEST_LANDING_MS);
        world.clock.after(afterMs, () => seat.disks.cut());
      }
    }
    this.#seats.clear();
    if (membership === null) return;
    world.checker.claims.endAll(membership.incarnation);
    membership.incarnation.isOver = true;
    membership.time.stop();
  }

  /** What the front tells its lease process. */
  #ordered(seat: LeaseSeat, time: ProcessClock, label: string, message: ToLeaseProcess): void {
    const { checker } = this.#around.world;
    const membership = this.#current;
    if (message.kind === 'refuse' && membership?.seat === seat) membership.isEnding = true;
    if (message.kind === 'run' && message.command.op === 'acquire' && membership?.seat === seat) {
      membership.acquires.set(message.id, resourceAt(message.command.area.offset));
    }
    if (message.kind !== 'join') return;
    const incarnation: Incarnation = {
      label,
      hostId: message.hostId,
      generation: null,
      isOver: false,
      isExpired: () => this.#isExpired(incarnation),
    };
    checker.begin(incarnation);
    const users = membership === null ? 0 : checker.claims.countOf(membership.incarnation);
    if (users > 0)
      throw new Violation(9, `${label} joins while ${users} user(s) work by the last membership`);
    if (membership !== null) membership.incarnation.isOver = true;
    const front = this.#around.daemon()?.front;
    if (front === undefined) return;
    this.#current = {
      front,
      incarnation,
      seat,
      time,
      holds: new Map(),
      acquires: new Map(),
      resourceOfHold: new Map(),
      lastSuccessMs: null,
      isEnding: false,
    };
  }

  #isExpired(incarnation: Incarnation): boolean {
    const membership = this.#current;
    if (membership === null || membership.incarnation !== incarnation) return true;
    if (membership.lastSuccessMs === null) return false;
    const nowMs = this.#around.hardware.clock?.nowMs() ?? Number.POSITIVE_INFINITY;
    return nowMs >= membership.lastSuccessMs + this.#renewalFailMs;
  }

  /** A message leaves the lease process: what it says is true on disk now. */
  #said(seat: LeaseSeat, message: FromLeaseProcess): void {
    const membership = this.#current;
    if (membership === null || membership.seat !== seat) return;
    if (message.kind === 'joined') this.#joined(membership, message);
    if (message.kind === 'renewed') membership.lastSuccessMs = message.timestampS * SECOND_MS;
    if (message.kind !== 'ran' || !message.result.ok) return;
    const { result } = message;
    if (result.op !== 'acquire' && result.op !== 'convert') return;
    const isStepDown = result.op === 'convert' && result.hold.shared;
    if (!isStepDown && this.#isExpired(membership.incarnation)) {
      throw new Violation(
        9,
        `${membership.incarnation.label} was granted a lease after its own expiry`,
      );
    }
    const { hold } = result;
    const acquired = membership.acquires.get(message.id);
    if (acquired !== undefined) membership.resourceOfHold.set(hold.number, acquired);
    const resource = membership.resourceOfHold.get(hold.number);
    assert(resource !== undefined, 'only a lease that was acquired is converted');
    membership.holds.set(resource, hold);
  }

  #joined(membership: Membership, message: Extract<FromLeaseProcess, { kind: 'joined' }>): void {
    const { world } = this.#around;
    const { incarnation } = membership;
    incarnation.generation = message.generation;
    membership.lastSuccessMs = message.timestampS * SECOND_MS;
    const { claims, hosts } = world.checker;
    const isLive = (other: Incarnation) =>
      !other.isOver && (!other.isExpired() || claims.countOf(other) > 0);
    hosts.joined(incarnation, isLive);
    world.log(
      incarnation.label,
      `joined as ${incarnation.hostId}, generation ${message.generation}`,
    );
    this.#around.joined();
  }

  /** The lease process is gone, and the daemon knows: it may forget the lockspace. */
  #over(seat: LeaseSeat): void {
    const { world } = this.#around;
    this.#seats.delete(seat.pid);
    const membership = this.#current;
    if (membership === null || membership.seat !== seat) return;
    const { incarnation } = membership;
    world.log(incarnation.label, 'lease process has ended');
    // Left behind by an earlier daemon: this one joins again only when its users are gone too.
    if (membership.front !== this.#around.daemon()?.front) return;
    const still = world.checker.claims.countOf(incarnation);
    if (still > 0)
      throw new Violation(9, `${incarnation.label} was given up with ${still} user(s) at work`);
    incarnation.isOver = true;
    this.#current = null;
  }
}
