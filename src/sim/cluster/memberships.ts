import { assert } from '../../base/assert.ts';
import { leaseTimes } from '../../lease/lease-times.ts';
import type { FromLeaseProcess, HeldLease, ToLeaseProcess } from '../../lease-process/messages.ts';
import type { Incarnation } from '../invariants/claims.ts';
import { Violation } from '../invariants/violation.ts';
import { SimDisks } from '../kernel/disk.ts';
import { LUN } from '../kernel/layout.ts';
import type { ProcessClock } from '../kernel/process-clock.ts';
import { resourceAt } from './daemon-calls.ts';
import type { Hardware } from './hardware.ts';
import type { LeaseProcessSetup, SimLeaseProcess } from './lease-process.ts';
import type { SimSanlock } from './sanlock.ts';
import type { SiteWorld } from './site-world.ts';

/** A dead host's last writes land within this time, or never. */
const LONGEST_LANDING_MS = 9000;

/**
 * One lease process of the lockspace, from its `join` to its end. A membership that is resumed goes
 * on in another lease process, of the same daemon or of its successor: the incarnation is the same.
 */
export interface Membership {
  /** Of the daemon that joined. */
  readonly daemon: ProcessClock;
  readonly incarnation: Incarnation;
  /** Of its lease process. */
  readonly pid: number;
  readonly process: SimLeaseProcess;
  /** By resource. */
  readonly holds: Map<number, HeldLease>;
  /** The resource of each acquire sent to it, by the command's id, and of each of its holds. */
  readonly acquires: Map<number, number>;
  readonly resourceOfHold: Map<number, number>;
  /** Boot time from which the last renewal that landed counts. */
  claimedBootMs: number | null;
  readonly isResumed: boolean;
  /** A resumed one grants nothing before a renewal of its own has landed. */
  mayGrant: boolean;
  /** The front has refused further grants. */
  isEnding: boolean;
}

interface Surroundings {
  readonly world: SiteWorld;
  readonly hardware: Hardware;
  readonly ioTimeoutS: number;
  readonly sanlock: SimSanlock;
  /** Whether wdmd has had a renewal of that daemon's claim; true without a watchdog. */
  readonly isArmed: (daemon: ProcessClock) => boolean;
  readonly joined: (isResumed: boolean) => void;
}

/** The memberships of one host, by the messages of its lease processes, for the checker. */
export class Memberships {
  readonly #around: Surroundings;
  readonly #renewalFailMs: number;
  readonly #labels = new Map<number, string>();
  #current: Membership | null = null;
  /** The newest one of this boot, ended or not: what a daemon that starts may resume. */
  #newest: Membership | null = null;
  #count = 0;

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

  /** The membership in which users may request leases. */
  get incarnation(): Incarnation | null {
    const membership = this.#current;
    if (membership === null || membership.claimedBootMs === null) return null;
    return membership.daemon === this.#around.sanlock.clock ? membership.incarnation : null;
  }

  /** A lease process starts: its disk operations carry the label of its membership. */
  newLeaseProcess(pid: number): LeaseProcessSetup {
    const { world, hardware } = this.#around;
    const clock = hardware.clock?.sibling();
    assert(clock !== undefined, 'only a running host starts processes');
    const label = `${hardware.name}.${++this.#count}`;
    this.#labels.set(pid, label);
    const disks = new SimDisks({
      host: label,
      storage: world.storage,
      clock: world.clock,
      plan: (io) => hardware.fate(io),
      at: clock,
    });
    const dice = hardware.dice.fork(label);
    return { clock, disks, random: () => dice.next() };
  }

  /** @param ended the lease processes: writes that they have sent to the disks land soon or never */
  powerLost(ended: readonly SimLeaseProcess[]): void {
    const { world, hardware } = this.#around;
    const membership = this.#current;
    this.#current = null;
    this.#newest = null;
    for (const { disks } of ended) {
      if (hardware.dice.chance(0.5)) disks.cut();
      else {
        const afterMs = hardware.dice.between(0, LONGEST_LANDING_MS);
        world.clock.after(afterMs, () => disks.cut());
      }
    }
    this.#labels.clear();
    if (membership === null) return;
    world.checker.claims.endAll(membership.incarnation);
    membership.incarnation.isOver = true;
    membership.process.clock.stop();
  }

  /** A message leaves the front for its lease process. */
  sentToLease(pid: number, message: ToLeaseProcess): void {
    if (message.kind === 'join') {
      this.#joins(pid, message);
      return;
    }
    const membership = this.#current;
    if (membership === null || membership.pid !== pid) return;
    if (message.kind === 'refuse') membership.isEnding = true;
    if (message.kind === 'run') this.#commanded(membership, message);
  }

  #commanded(membership: Membership, message: Extract<ToLeaseProcess, { kind: 'run' }>): void {
    const { command } = message;
    if (command.op === 'acquire' || command.op === 'recover') {
      membership.acquires.set(message.id, resourceAt(command.area.offset));
    }
    if (command.op !== 'acquire' && command.op !== 'convert') return;
    const { label } = membership.incarnation;
    if (!membership.mayGrant) {
      throw new Violation(9, `${label} is resumed, and would grant before its first renewal`);
    }
    if (!this.#around.isArmed(membership.daemon)) {
      throw new Violation(9, `${label} would grant before wdmd has its duty`);
    }
  }

  #joins(pid: number, { hostId, resume }: Extract<ToLeaseProcess, { kind: 'join' }>): void {
    const { world, sanlock } = this.#around;
    const { checker } = world;
    const label = this.#labels.get(pid) ?? '';
    const incarnation =
      resume === undefined ? this.#begins(label, hostId) : this.#resumes(label, resume.generation);
    checker.begin(label, incarnation);
    const daemon = sanlock.clock;
    const lease = sanlock.leaseProcess(pid);
    if (daemon === null || lease === null) return;
    const isResumed = resume !== undefined;
    this.#current = {
      daemon,
      incarnation,
      pid,
      process: lease.process,
      holds: new Map(),
      acquires: new Map(),
      resourceOfHold: new Map(),
      claimedBootMs: isResumed ? (this.#newest?.claimedBootMs ?? null) : null,
      isResumed,
      mayGrant: !isResumed,
      isEnding: false,
    };
    this.#newest = this.#current;
  }

  #begins(label: string, hostId: number): Incarnation {
    const membership = this.#current;
    const { claims } = this.#around.world.checker;
    const users = membership === null ? 0 : claims.countOf(membership.incarnation);
    if (users > 0)
      throw new Violation(9, `${label} joins while ${users} user(s) work by the last membership`);
    if (membership !== null) membership.incarnation.isOver = true;
    const incarnation: Incarnation = {
      label,
      hostId,
      generation: null,
      isOver: false,
      isExpired: () => this.#isExpired(incarnation),
    };
    return incarnation;
  }

  /** The users of the last membership work on by its leases. */
  #resumes(label: string, generation: bigint): Incarnation {
    const newest = this.#newest;
    if (newest === null) throw new Violation(8, `${label} resumes a membership of another boot`);
    const { incarnation } = newest;
    if (!newest.process.isGone) {
      throw new Violation(9, `${label} resumes while ${incarnation.label} may still write`);
    }
    if (incarnation.generation !== generation) {
      const what = `generation ${generation}, but ${incarnation.label} has`;
      throw new Violation(8, `${label} resumes ${what} ${incarnation.generation}`);
    }
    incarnation.isOver = false;
    return incarnation;
  }

  #isExpired(incarnation: Incarnation): boolean {
    const membership = this.#current;
    if (membership === null || membership.incarnation !== incarnation) return true;
    if (membership.claimedBootMs === null) return false;
    const bootMs = this.#around.hardware.clock?.bootMs() ?? Number.POSITIVE_INFINITY;
    return bootMs >= membership.claimedBootMs + this.#renewalFailMs;
  }

  /** A message leaves the lease process: the disk is now as it says. */
  sentToFront(pid: number, message: FromLeaseProcess): void {
    const membership = this.#current;
    if (membership === null || membership.pid !== pid) return;
    if (message.kind === 'joined') this.#joined(membership, message);
    if (message.kind === 'renewed') {
      membership.claimedBootMs = message.claimedBootMs;
      membership.mayGrant = true;
    }
    if (message.kind !== 'ran' || !message.result.ok) return;
    if (message.result.op === 'recover') {
      this.#recovered(membership, message.id, message.result.hold);
      return;
    }
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

  /** null: the front has to stop who works by it, or did not know yet that it had it. */
  #recovered(membership: Membership, command: number, hold: HeldLease | null): void {
    const { world } = this.#around;
    const { incarnation, acquires, holds, resourceOfHold } = membership;
    const resource = acquires.get(command);
    assert(resource !== undefined, 'an area that was asked for is recovered');
    const what = hold === null ? 'not held' : `held ${hold.shared ? 'shared' : 'exclusive'}`;
    world.log(incarnation.label, `R${resource} is recovered: ${what}`);
    holds.delete(resource);
    if (hold === null) return;
    holds.set(resource, hold);
    resourceOfHold.set(hold.number, resource);
    const device = world.storage.device(LUN);
    assert(device !== undefined, 'the leases are on a device');
    world.checker.recovered(incarnation, { resource, hold, device });
  }

  #joined(membership: Membership, message: Extract<FromLeaseProcess, { kind: 'joined' }>): void {
    const { world } = this.#around;
    const { incarnation } = membership;
    const { claims, hosts } = world.checker;
    membership.claimedBootMs = message.claimedBootMs;
    if (membership.isResumed) {
      hosts.resumed(incarnation, message.generation, world.storage.device(LUN));
      if (incarnation.isExpired()) {
        throw new Violation(9, `${incarnation.label} is resumed after its own expiry`);
      }
    }
    incarnation.generation = message.generation;
    const isLive = (other: Incarnation) =>
      !other.isOver && (!other.isExpired() || claims.countOf(other) > 0);
    hosts.joined(incarnation, isLive);
    const how = membership.isResumed ? 'resumed' : 'joined';
    world.log(
      incarnation.label,
      `${how} as ${incarnation.hostId}, generation ${message.generation}`,
    );
    this.#around.joined(membership.isResumed);
  }

  /** The daemon knows that the lease process is gone: it may drop the lockspace. */
  leaseProcessGone(pid: number): void {
    const { world, sanlock } = this.#around;
    const membership = this.#current;
    if (membership === null || membership.pid !== pid) return;
    const { incarnation } = membership;
    world.log(incarnation.label, 'lease process has ended');
    // It survived its daemon: the next one joins again only when its users are gone too.
    if (membership.daemon !== sanlock.clock) return;
    const still = world.checker.claims.countOf(incarnation);
    // Another lease process may go on with it. No other membership begins before its users' end.
    if (still > 0 && membership.isResumed) return;
    if (still > 0)
      throw new Violation(9, `${incarnation.label} was dropped with ${still} user(s) at work`);
    incarnation.isOver = true;
    this.#current = null;
  }
}
