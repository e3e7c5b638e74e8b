import { SECOND_MS } from '../../base/units.ts';
import { type LeaseTimes, leaseTimes } from '../../lease/lease-times.ts';
import type {
  FromLeaseProcess,
  LeaseCommand,
  LeaseCommandResult,
} from '../../lease-process/messages.ts';
import { LeaseProgram } from '../../programs/lease-program.ts';
import type { Life } from '../invariants/claims.ts';
import { Violation } from '../invariants/violation.ts';
import type { Dice } from '../kernel/dice.ts';
import { SimDisks } from '../kernel/disk.ts';
import type { HostClock } from '../kernel/host-clock.ts';
import { Users } from '../workload/users.ts';
import type { World } from '../world.ts';
import { LOCKSPACE, LUN } from './layout.ts';
import { QUIET } from './lease-process.ts';
import { type Computer, Hardware, type Installation, type Software } from './site.ts';

const LEAVE_PATIENCE_MS = 60_000;

/** One stay: everything of it goes away together. */
interface Stay {
  readonly life: Life;
  readonly program: LeaseProgram;
  readonly programClock: HostClock;
  readonly disks: SimDisks;
  readonly answers: Map<number, (result: LeaseCommandResult) => void>;
  /** Our monotonic milliseconds at the last renewal known to have landed; null = not joined. */
  lastSuccessMs: number | null;
  /** No user starts anything any more; those that remain are being killed. */
  isEnding: boolean;
  nextId: number;
}

/**
 * A machine with one lease process (the very program), a watchdog, and a simple front: it lets
 * users ask, kills them at own expiry, and is reset when they do not die in time.
 */
export class Machine implements Computer, Software {
  readonly name: string;
  readonly hardware: Hardware;
  readonly #hostId: number;
  readonly #hostName: string;
  readonly #world: World;
  readonly #dice: Dice;
  readonly #times: LeaseTimes;
  readonly #ioTimeoutS: number;
  readonly #users: Users;
  #stays = 0;
  #stay: Stay | null = null;

  constructor(world: World, of: Installation) {
    this.#world = world;
    this.#hostId = of.hostId;
    this.#hostName = of.hostName;
    this.#ioTimeoutS = of.ioTimeoutS;
    this.#times = leaseTimes(of.ioTimeoutS);
    this.hardware = new Hardware(world, of, this);
    this.name = this.hardware.name;
    this.#dice = this.hardware.dice;
    this.#users = new Users(this, world, this.#dice.fork('users'));
  }

  get life(): Life | null {
    const stay = this.#stay;
    if (stay === null || stay.lastSuccessMs === null || stay.isEnding) return null;
    return stay.life;
  }

  powerOn(): void {
    this.#join();
  }

  powerLost(): void {
    this.#users.stop();
    const stay = this.#stay;
    this.#stay = null;
    if (stay === null) return;
    this.#world.judge.claims.endAll(stay.life);
    stay.life.isOver = true;
    stay.program.close();
    stay.programClock.stop();
    if (this.#dice.chance(0.5)) stay.disks.cut();
    else this.#world.clock.after(this.#dice.between(0, 9000), () => stay.disks.cut());
  }

  #join(): void {
    const { clock } = this.hardware;
    if (clock === null || this.#stay !== null) return;
    const life = this.#newLife();
    const programClock = clock.sibling();
    const disks = new SimDisks({
      host: life.label,
      storage: this.#world.storage,
      clock: this.#world.clock,
      plan: (io) => this.hardware.fate(io),
      at: programClock,
    });
    const dice = this.#dice.fork(life.label);
    const program = new LeaseProgram({
      clock: programClock,
      disks,
      random: () => dice.next(),
      log: QUIET,
      send: (message) => this.#sent(stay, message),
    });
    const stay: Stay = {
      life,
      program,
      programClock,
      disks,
      answers: new Map(),
      lastSuccessMs: null,
      isEnding: false,
      nextId: 1,
    };
    this.#stay = stay;
    const name = this.#dice.chance(0.7) ? this.#hostName : `host-${life.label}`;
    program.receive({
      kind: 'join',
      lockspaceName: LOCKSPACE,
      hostId: life.hostId,
      path: LUN,
      offset: 0,
      hostName: name,
      ioTimeoutS: this.#ioTimeoutS,
      renewalReadExtendMs: this.#times.ioTimeoutMs,
      sharedRetries: 8,
    });
  }

  #newLife(): Life {
    const life: Life = {
      label: `${this.name}.${++this.#stays}`,
      hostId: this.#chooseHostId(),
      generation: null,
      isOver: false,
      isExpired: () => this.#stay?.life !== life || this.#isExpired(this.#stay),
    };
    this.#world.judge.begin(life);
    return life;
  }

  #chooseHostId(): number {
    const { isQuiet, options } = this.#world;
    if (isQuiet || !this.#dice.chance(options.mistakenIds)) return this.#hostId;
    return 1 + this.#dice.below(options.hosts);
  }

  #isExpired(stay: Stay): boolean {
    if (stay.lastSuccessMs === null) return false;
    return stay.programClock.nowMs() >= stay.lastSuccessMs + this.#times.renewalFailMs;
  }

  /** A message leaves the program; it reaches us when our side runs. */
  #sent(stay: Stay, message: FromLeaseProcess): void {
    if (message.kind === 'ran' && isGrant(message.result) && this.#isExpired(stay)) {
      throw new Violation(9, `${stay.life.label} was granted a lease after its own expiry`);
    }
    if (message.kind === 'joined') this.#joined(stay, message);
    // The watchdog is fed for what is on disk, whenever we come to hear of it.
    if (message.kind === 'renewed') stay.lastSuccessMs = message.timestampS * SECOND_MS;
    this.hardware.clock?.run(() => this.#heard(stay, message));
  }

  #joined(stay: Stay, message: Extract<FromLeaseProcess, { kind: 'joined' }>): void {
    stay.life.generation = message.generation;
    stay.lastSuccessMs = message.timestampS * SECOND_MS;
    const { claims, hosts } = this.#world.judge;
    const isLive = (other: Life) =>
      !other.isOver && (!other.isExpired() || claims.countOf(other) > 0);
    hosts.joined(stay.life, isLive);
    this.#world.say(
      stay.life.label,
      `joined as ${stay.life.hostId}, generation ${message.generation}`,
    );
  }

  #heard(stay: Stay, message: FromLeaseProcess): void {
    if (this.#stay !== stay) return;
    switch (message.kind) {
      case 'joined':
        this.hardware.watch({
          isGood: () => !this.#isExpired(stay),
          isOver: () => this.#stay !== stay,
        });
        this.#checkExpiry(stay);
        this.#users.start();
        return;
      case 'joinFailed':
        this.#world.say(stay.life.label, `could not join: ${message.error.code}`);
        this.#over(stay);
        return;
      case 'renewalFailed':
        if (message.overwritten) this.#expire(stay, 'its host lease was overwritten');
        return;
      case 'ran': {
        const answer = stay.answers.get(message.id);
        stay.answers.delete(message.id);
        if (message.result.ok && message.result.op === 'request') {
          const hostIds = [message.result.ownerId]; // as it is: the program has to bound it
          stay.programClock.run(() =>
            stay.program.receive({ kind: 'announce', hostIds, event: null }),
          );
        }
        answer?.(message.result);
        return;
      }
      case 'left':
        this.#world.say(stay.life.label, message.released ? 'left' : 'ended without release');
        this.#over(stay);
        return;
      default:
        return;
    }
  }

  ask(command: LeaseCommand, answer: (result: LeaseCommandResult) => void): number | null {
    const stay = this.#stay;
    if (stay === null || this.life === null) return null;
    const id = stay.nextId++;
    stay.answers.set(id, answer);
    stay.programClock.run(() => stay.program.receive({ kind: 'run', id, command }));
    return id;
  }

  want(life: Life, resource: number): void {
    this.#users.acquire(life, resource, { shared: false });
  }

  /** Like the front: a grant that reaches a lockspace already given up is dropped. */
  mayUse(life: Life): boolean {
    return this.life === life && !life.isExpired();
  }

  cancel(id: number): void {
    const stay = this.#stay;
    stay?.programClock.run(() => stay.program.receive({ kind: 'cancel', id }));
  }

  #checkExpiry(stay: Stay): void {
    this.hardware.after(SECOND_MS, () => {
      if (this.#stay !== stay || stay.isEnding) return;
      if (this.#isExpired(stay)) this.#expire(stay, 'expired');
      else this.#checkExpiry(stay);
    });
  }

  #expire(stay: Stay, why: string): void {
    if (stay.isEnding) return;
    this.#world.say(stay.life.label, why);
    this.#end(stay);
  }

  /** Users go first, then the host lease; whoever does not die is ended by the watchdog. */
  #end(stay: Stay): void {
    stay.isEnding = true;
    stay.programClock.run(() => stay.program.receive({ kind: 'refuse' }));
    this.#users.stop();
    const patient = this.#dice.chance(0.8);
    const finish = () => {
      if (this.#stay !== stay || stay.life.isOver) return;
      const wait = patient && stay.answers.size > 0 && !this.#isExpired(stay);
      if (wait || this.#world.judge.claims.countOf(stay.life) > 0) {
        this.hardware.after(200, finish);
        return;
      }
      this.hardware.disarm();
      stay.programClock.run(() => stay.program.receive({ kind: 'leave', release: true }));
      this.hardware.after(LEAVE_PATIENCE_MS, () => {
        if (this.#stay === stay) this.killProgram();
      });
    };
    this.#killUsers(stay);
    finish();
  }

  #killUsers(stay: Stay): void {
    const { claims } = this.#world.judge;
    for (const claim of this.#world.claimsOf(stay.life)) {
      const fate = this.#dice.next();
      if (fate > 0.9) continue; // stuck in the kernel: only a reset ends it
      const forMs = fate < 0.6 ? this.#dice.between(0, 5000) : this.#dice.between(0, 45_000);
      this.hardware.after(forMs, () => claims.end(claim));
    }
  }

  leave(): void {
    const stay = this.#stay;
    if (stay === null || stay.lastSuccessMs === null || stay.isEnding) return;
    this.#world.say(stay.life.label, 'is asked to leave');
    this.#end(stay);
  }

  pauseProgram(forMs: number): void {
    const stay = this.#stay;
    if (stay === null) return;
    this.#world.say(stay.life.label, `lease process stands still for ${Math.round(forMs)} ms`);
    stay.programClock.pause();
    this.#world.clock.after(forMs, () => stay.programClock.resume());
  }

  pauseAll(forMs: number): void {
    const { clock } = this.hardware;
    this.pauseProgram(forMs);
    clock?.pause();
    this.#world.clock.after(forMs, () => clock?.resume());
  }

  /** The lease process dies; what it sent may still land, and only then may another one begin. */
  killProgram(): void {
    const stay = this.#stay;
    if (stay === null || stay.life.isOver) return;
    this.#world.say(stay.life.label, 'lease process is gone');
    stay.program.close();
    stay.programClock.stop();
    stay.life.isOver = true;
    stay.isEnding = true;
    stay.answers.clear();
    this.#users.stop();
    this.#killUsers(stay);
    this.#buryWhenDead(stay);
  }

  #buryWhenDead(stay: Stay): void {
    if (this.#stay !== stay) return;
    if (this.#world.judge.claims.countOf(stay.life) > 0 || stay.disks.underWay > 0) {
      this.hardware.after(500, () => this.#buryWhenDead(stay));
      return;
    }
    this.hardware.disarm();
    this.#over(stay);
  }

  /** The program is done. A new stay begins when nothing of this one can still reach the disk. */
  #over(stay: Stay): void {
    stay.life.isOver = true;
    stay.program.close();
    stay.programClock.stop();
    const rejoin = () => {
      if (this.#stay !== stay) return;
      if (stay.disks.underWay > 0) {
        this.hardware.after(500, rejoin);
        return;
      }
      this.#stay = null;
      this.hardware.disarm();
      this.#join();
    };
    this.hardware.after(this.#dice.between(100, 30_000), rejoin);
  }
}

function isGrant(result: LeaseCommandResult): boolean {
  if (!result.ok) return false;
  return result.op === 'acquire' || (result.op === 'convert' && !result.hold.shared);
}
