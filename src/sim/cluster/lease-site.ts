import { unreachable } from '../../base/assert.ts';
import { SECOND_MS } from '../../base/units.ts';
import { type LeaseTimes, leaseTimes } from '../../lease/lease-times.ts';
import type {
  FromLeaseProcess,
  LeaseCommand,
  LeaseCommandResult,
} from '../../lease-process/messages.ts';
import type { Incarnation } from '../invariants/claims.ts';
import { Violation } from '../invariants/violation.ts';
import type { Dice } from '../kernel/dice.ts';
import { SimDisks } from '../kernel/disk.ts';
import { LOCKSPACE, LUN } from '../kernel/layout.ts';
import { Hardware, type Software } from './hardware.ts';
import { SimLeaseProcess, stall } from './lease-process.ts';
import type { Site } from './site.ts';
import type { SiteSettings, SiteUsers, SiteWorld } from './site-world.ts';

const LEAVE_PATIENCE_MS = 60_000;

/** One membership, from the start of its lease process to the end. */
interface Membership {
  readonly incarnation: Incarnation;
  readonly process: SimLeaseProcess;
  readonly answers: Map<number, (result: LeaseCommandResult) => void>;
  /** Monotonic milliseconds of the host at the last renewal that landed; null = not joined. */
  lastSuccessMs: number | null;
  /** No user sends a request any more; those that remain are being killed. */
  isEnding: boolean;
  nextId: number;
}

/**
 * A host with a lease process, a watchdog and, instead of the front, the least that is safe: it
 * passes on requests, kills the users at own expiry, and is reset when they do not end in time.
 */
export class LeaseSite implements Site, Software {
  readonly name: string;
  readonly hardware: Hardware;
  readonly #hostId: number;
  readonly #hostName: string;
  readonly #world: SiteWorld;
  readonly #dice: Dice;
  readonly #times: LeaseTimes;
  readonly #ioTimeoutS: number;
  readonly #users: SiteUsers;
  #memberships = 0;
  #membership: Membership | null = null;

  constructor(world: SiteWorld, of: SiteSettings, users: SiteUsers) {
    this.#users = users;
    this.#world = world;
    this.#hostId = of.hostId;
    this.#hostName = of.hostName;
    this.#ioTimeoutS = of.ioTimeoutS;
    this.#times = leaseTimes(of.ioTimeoutS);
    this.hardware = new Hardware(world, of, this);
    this.name = this.hardware.name;
    this.#dice = this.hardware.dice;
  }

  get incarnation(): Incarnation | null {
    const membership = this.#membership;
    if (membership === null || membership.lastSuccessMs === null || membership.isEnding)
      return null;
    return membership.incarnation;
  }

  powerOn(): void {
    this.#join();
  }

  powerLost(): void {
    this.#users.stop();
    const membership = this.#membership;
    this.#membership = null;
    if (membership === null) return;
    this.#world.checker.claims.endAll(membership.incarnation);
    membership.incarnation.isOver = true;
    membership.process.end();
    membership.process.clock.stop();
    if (this.#dice.chance(0.5)) membership.process.disks.cut();
    else this.#world.clock.after(this.#dice.between(0, 9000), () => membership.process.disks.cut());
  }

  #join(): void {
    const host = this.hardware.clock;
    if (host === null || this.#membership !== null) return;
    const incarnation = this.#newIncarnation();
    const clock = host.sibling();
    const disks = new SimDisks({
      host: incarnation.label,
      storage: this.#world.storage,
      clock: this.#world.clock,
      plan: (io) => this.hardware.fate(io),
      at: clock,
    });
    const dice = this.#dice.fork(incarnation.label);
    const lease = new SimLeaseProcess({ clock, disks, random: () => dice.next() }, (message) =>
      this.#sent(membership, message),
    );
    const membership: Membership = {
      incarnation,
      process: lease,
      answers: new Map(),
      lastSuccessMs: null,
      isEnding: false,
      nextId: 1,
    };
    this.#membership = membership;
    const name = this.#dice.chance(0.7) ? this.#hostName : `host-${incarnation.label}`;
    lease.receive({
      kind: 'join',
      lockspaceName: LOCKSPACE,
      hostId: incarnation.hostId,
      path: LUN,
      offset: 0,
      hostName: name,
      ioTimeoutS: this.#ioTimeoutS,
      renewalReadExtendMs: this.#times.ioTimeoutMs,
      sharedRetries: 8,
    });
  }

  #newIncarnation(): Incarnation {
    const incarnation: Incarnation = {
      label: `${this.name}.${++this.#memberships}`,
      hostId: this.#chooseHostId(),
      generation: null,
      isOver: false,
      isExpired: () =>
        this.#membership?.incarnation !== incarnation || this.#isExpired(this.#membership),
    };
    this.#world.checker.begin(incarnation.label, incarnation);
    return incarnation;
  }

  #chooseHostId(): number {
    const { isQuiet, options } = this.#world;
    if (isQuiet || !this.#dice.chance(options.mistakenIds)) return this.#hostId;
    return 1 + this.#dice.below(options.hosts);
  }

  #isExpired(membership: Membership): boolean {
    if (membership.lastSuccessMs === null) return false;
    return membership.process.clock.nowMs() >= membership.lastSuccessMs + this.#times.renewalFailMs;
  }

  /** A message leaves the lease process; it arrives when the host runs. */
  #sent(membership: Membership, message: FromLeaseProcess): void {
    if (message.kind === 'ran' && isGrant(message.result) && this.#isExpired(membership)) {
      throw new Violation(
        9,
        `${membership.incarnation.label} was granted a lease after its own expiry`,
      );
    }
    if (message.kind === 'joined') this.#joined(membership, message);
    // The watchdog is pinged for what is on disk, whenever the message arrives.
    if (message.kind === 'renewed') membership.lastSuccessMs = message.timestampS * SECOND_MS;
    this.hardware.clock?.run(() => this.#arrived(membership, message));
  }

  #joined(membership: Membership, message: Extract<FromLeaseProcess, { kind: 'joined' }>): void {
    membership.incarnation.generation = message.generation;
    membership.lastSuccessMs = message.timestampS * SECOND_MS;
    const { claims, hosts } = this.#world.checker;
    const isLive = (other: Incarnation) =>
      !other.isOver && (!other.isExpired() || claims.countOf(other) > 0);
    hosts.joined(membership.incarnation, isLive);
    this.#world.log(
      membership.incarnation.label,
      `joined as ${membership.incarnation.hostId}, generation ${message.generation}`,
    );
  }

  #arrived(membership: Membership, message: FromLeaseProcess): void {
    if (this.#membership !== membership) return;
    switch (message.kind) {
      case 'joined':
        this.hardware.watch({
          isGood: () => !this.#isExpired(membership),
          isOver: () => this.#membership !== membership,
        });
        this.#checkExpiry(membership);
        this.#users.start();
        return;
      case 'joinFailed':
        this.#world.log(membership.incarnation.label, `could not join: ${message.error.code}`);
        this.#over(membership);
        return;
      case 'renewalFailed':
        if (message.overwritten) this.#expire(membership, 'its host lease was overwritten');
        return;
      case 'ran': {
        const answer = membership.answers.get(message.id);
        membership.answers.delete(message.id);
        if (message.result.ok && message.result.op === 'request') {
          const hostIds = [message.result.ownerId]; // unchecked: the program has to check its range
          membership.process.receive({ kind: 'announce', hostIds, event: null });
        }
        answer?.(message.result);
        return;
      }
      case 'left':
        this.#world.log(
          membership.incarnation.label,
          message.released ? 'left' : 'ended without release',
        );
        this.#over(membership);
        return;
      case 'renewed':
      case 'hosts':
      case 'lagged':
      case 'leaveUnsure':
      case 'finished':
        return;
      default:
        unreachable(message);
    }
  }

  run(command: LeaseCommand, answer: (result: LeaseCommandResult) => void): number | null {
    const membership = this.#membership;
    if (membership === null || this.incarnation === null) return null;
    const id = membership.nextId++;
    membership.answers.set(id, answer);
    membership.process.receive({ kind: 'run', id, command });
    return id;
  }

  /** As in the front, a grant that comes after the lockspace was lost is dropped. */
  mayUse(incarnation: Incarnation): boolean {
    return this.incarnation === incarnation && !incarnation.isExpired();
  }

  cancel(id: number): void {
    const membership = this.#membership;
    membership?.process.receive({ kind: 'cancel', id });
  }

  #checkExpiry(membership: Membership): void {
    this.hardware.after(SECOND_MS, () => {
      if (this.#membership !== membership || membership.isEnding) return;
      if (this.#isExpired(membership)) this.#expire(membership, 'expired');
      else this.#checkExpiry(membership);
    });
  }

  #expire(membership: Membership, why: string): void {
    if (membership.isEnding) return;
    this.#world.log(membership.incarnation.label, why);
    this.#end(membership);
  }

  /** Users end first, then the host lease; the watchdog ends users that do not end by themselves. */
  #end(membership: Membership): void {
    membership.isEnding = true;
    membership.process.receive({ kind: 'refuse' });
    this.#users.stop();
    const patient = this.#dice.chance(0.8);
    const finish = () => {
      if (this.#membership !== membership || membership.incarnation.isOver) return;
      const wait = patient && membership.answers.size > 0 && !this.#isExpired(membership);
      if (wait || this.#world.checker.claims.countOf(membership.incarnation) > 0) {
        this.hardware.after(200, finish);
        return;
      }
      this.hardware.watchdog.disarm();
      membership.process.receive({ kind: 'leave', release: true });
      this.hardware.after(LEAVE_PATIENCE_MS, () => {
        if (this.#membership === membership) this.killProgram();
      });
    };
    this.#killUsers(membership);
    finish();
  }

  #killUsers(membership: Membership): void {
    const { claims } = this.#world.checker;
    for (const claim of claims.heldBy(membership.incarnation)) {
      const fate = this.#dice.next();
      if (fate > 0.9) continue; // it hangs in the kernel: only a reset ends it
      const forMs = fate < 0.6 ? this.#dice.between(0, 5000) : this.#dice.between(0, 45_000);
      this.hardware.after(forMs, () => claims.end(claim));
    }
  }

  leave(): void {
    const membership = this.#membership;
    if (membership === null || membership.lastSuccessMs === null || membership.isEnding) return;
    this.#world.log(membership.incarnation.label, 'is asked to leave');
    this.#end(membership);
  }

  pauseProgram(forMs: number): void {
    const membership = this.#membership;
    if (membership !== null) stall(this.#world, membership, forMs);
  }

  pauseAll(forMs: number): void {
    const { clock } = this.hardware;
    this.pauseProgram(forMs);
    clock?.pause();
    this.#world.clock.after(forMs, () => clock?.resume());
  }

  /** The lease process dies. Another one starts only when all it sent has landed or is lost. */
  killProgram(): void {
    const membership = this.#membership;
    if (membership === null || membership.incarnation.isOver) return;
    this.#world.log(membership.incarnation.label, 'lease process is gone');
    membership.process.end();
    membership.process.clock.stop();
    membership.incarnation.isOver = true;
    membership.isEnding = true;
    membership.answers.clear();
    this.#users.stop();
    this.#killUsers(membership);
    this.#overWhenGone(membership);
  }

  #overWhenGone(membership: Membership): void {
    if (this.#membership !== membership) return;
    if (
      this.#world.checker.claims.countOf(membership.incarnation) > 0 ||
      membership.process.disks.underWay > 0
    ) {
      this.hardware.after(500, () => this.#overWhenGone(membership));
      return;
    }
    this.hardware.watchdog.disarm();
    this.#over(membership);
  }

  /** The membership is over. The next begins when no write of this one can reach the disk. */
  #over(membership: Membership): void {
    membership.incarnation.isOver = true;
    membership.process.end();
    membership.process.clock.stop();
    const rejoin = () => {
      if (this.#membership !== membership) return;
      if (membership.process.disks.underWay > 0) {
        this.hardware.after(500, rejoin);
        return;
      }
      this.#membership = null;
      this.hardware.watchdog.disarm();
      this.#join();
    };
    this.hardware.after(this.#dice.between(100, 30_000), rejoin);
  }
}

function isGrant(result: LeaseCommandResult): boolean {
  if (!result.ok) return false;
  return result.op === 'acquire' || (result.op === 'convert' && !result.hold.shared);
}
