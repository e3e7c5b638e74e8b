import { SECOND_MS } from '../../base/units.ts';
import { leaseTimes } from '../../lease/lease-times.ts';
import type { PaxosHold } from '../../lease/paxos-hold.ts';
import type { FromLeaseProcess, ToLeaseProcess } from '../../lease-process/messages.ts';
import type { SanlockProgram } from '../../programs/sanlock-program.ts';
import type { Life } from '../invariants/claims.ts';
import { Violation } from '../invariants/violation.ts';
import { SimDisks } from '../kernel/disk.ts';
import type { HostClock } from '../kernel/host-clock.ts';
import type { World } from '../world.ts';
import { resourceAt } from './daemon-calls.ts';
import { FIRST_LEASE_PID } from './front-host.ts';
import { LeaseSeat } from './lease-process.ts';
import type { Hardware } from './site.ts';

/** What a dead host's last I/O may still take until the storage has all of it, or has dropped it. */
const LONGEST_LANDING_MS = 9000;

/** One stay of the daemon in the lockspace: a lease process from its `join` to its end. */
export interface Stay {
  readonly front: SanlockProgram;
  readonly life: Life;
  readonly seat: LeaseSeat;
  readonly time: HostClock;
  readonly holds: Map<number, PaxosHold>;
  /** Milliseconds of the running system at the last renewal known to have landed. */
  lastSuccessMs: number | null;
  /** The front let no more leases be granted. */
  isEnding: boolean;
}

interface Surroundings {
  readonly world: World;
  readonly hardware: Hardware;
  readonly ioTimeoutS: number;
  /** The daemon that runs now and its own time; null = none. */
  readonly daemon: () => { readonly front: SanlockProgram; readonly time: HostClock } | null;
  readonly joined: () => void;
}

/** The lease processes of one machine, and what their messages say to the judge. */
export class Stays {
  readonly #around: Surroundings;
  readonly #renewalFailMs: number;
  readonly #seats = new Map<number, LeaseSeat>();
  #current: Stay | null = null;
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

  get current(): Stay | null {
    return this.#current;
  }

  /** The stay in which users may ask for leases. */
  get life(): Life | null {
    const stay = this.#current;
    if (stay === null || stay.lastSuccessMs === null) return null;
    return stay.front === this.#around.daemon()?.front ? stay.life : null;
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
    const stay = this.#current;
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
    if (stay === null) return;
    world.judge.claims.endAll(stay.life);
    stay.life.isOver = true;
    stay.time.stop();
  }

  /** What the front tells its lease process. */
  #ordered(seat: LeaseSeat, time: HostClock, label: string, message: ToLeaseProcess): void {
    const { judge } = this.#around.world;
    const stay = this.#current;
    if (message.kind === 'refuse' && stay?.seat === seat) stay.isEnding = true;
    if (message.kind !== 'join') return;
    const life: Life = {
      label,
      hostId: message.hostId,
      generation: null,
      isOver: false,
      isExpired: () => this.#isExpired(life),
    };
    judge.begin(life);
    const users = stay === null ? 0 : judge.claims.countOf(stay.life);
    if (users > 0)
      throw new Violation(9, `${label} joins while ${users} user(s) work by the last stay`);
    if (stay !== null) stay.life.isOver = true;
    const front = this.#around.daemon()?.front;
    if (front === undefined) return;
    const holds = new Map<number, PaxosHold>();
    this.#current = { front, life, seat, time, holds, lastSuccessMs: null, isEnding: false };
  }

  #isExpired(life: Life): boolean {
    const stay = this.#current;
    if (stay === null || stay.life !== life) return true;
    if (stay.lastSuccessMs === null) return false;
    const nowMs = this.#around.hardware.clock?.nowMs() ?? Number.POSITIVE_INFINITY;
    return nowMs >= stay.lastSuccessMs + this.#renewalFailMs;
  }

  /** A message leaves the lease process: what it says is true on disk now. */
  #said(seat: LeaseSeat, message: FromLeaseProcess): void {
    const stay = this.#current;
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
    const { world } = this.#around;
    const { life } = stay;
    life.generation = message.generation;
    stay.lastSuccessMs = message.timestampS * SECOND_MS;
    const { claims, hosts } = world.judge;
    const isLive = (other: Life) =>
      !other.isOver && (!other.isExpired() || claims.countOf(other) > 0);
    hosts.joined(life, isLive);
    world.say(life.label, `joined as ${life.hostId}, generation ${message.generation}`);
    this.#around.joined();
  }

  /** The lease process is gone, and the daemon knows: it may forget the lockspace. */
  #over(seat: LeaseSeat): void {
    const { world } = this.#around;
    this.#seats.delete(seat.pid);
    const stay = this.#current;
    if (stay === null || stay.seat !== seat) return;
    const { life } = stay;
    world.say(life.label, 'lease process has ended');
    // Left behind by an earlier daemon: this one joins again only when its users are gone too.
    if (stay.front !== this.#around.daemon()?.front) return;
    const still = world.judge.claims.countOf(life);
    if (still > 0)
      throw new Violation(9, `${life.label} was given up with ${still} user(s) at work`);
    life.isOver = true;
    this.#current = null;
  }
}
