import { ERRNO } from '../../base/errno.ts';
import { register } from '../../wire/sanlock/daemon-calls.ts';
import * as leases from '../../wire/sanlock/lease-calls.ts';
import { RES_FLAGS } from '../../wire/sanlock/socket.ts';
import type { ClientLink } from '../cluster/client-link.ts';
import { resourceOf } from '../cluster/daemon-calls.ts';
import type { SanlockHost } from '../cluster/sanlock-host.ts';
import { checkInquiry } from '../invariants/client-checks.ts';
import type { ClaimingClient, ClientClaims, Holding } from '../invariants/client-claims.ts';
import type { SimClock } from '../kernel/clock.ts';
import type { Dice } from '../kernel/dice.ts';

/** A request whose answer never came. */
interface Cut {
  readonly op: 'acquire' | 'release' | 'convert';
  readonly holding: Holding;
  /** Of a conversion. */
  readonly toShared: boolean;
}

/** A process of the host whose daemon dies. */
export interface LeaseUser extends ClaimingClient {
  readonly host: SanlockHost;
  link: ClientLink;
  request: Cut | null;
  /** It connects to the next daemon, as programs that are made for it do. */
  readonly isPersevering: boolean;
  readonly obeysTerm: boolean;
  /** It does not know in which mode it has one of its leases: it works by the weaker one. */
  isUnsure: boolean;
}

interface UsersWorld {
  readonly clock: SimClock;
  readonly dice: Dice;
  readonly claims: ClientClaims<LeaseUser>;
  readonly areas: number;
  /** Nothing may be lost: the answers of the next daemon are those of the one before. */
  readonly isSmooth: boolean;
  connect(host: SanlockHost, pid: number): ClientLink;
  log(text: string): void;
}

const FIRST_PID = 100;
const LONGEST_RECONNECT_MS = 3000;
const LONGEST_DYING_MS = 2000;
const VALUE_BYTES = 512;

/** The processes of one host that hold leases while its daemon dies and is started again. */
export class ResumptionUsers {
  readonly #world: UsersWorld;
  readonly #host: SanlockHost;
  readonly #again: Dice;
  #nextPid = FIRST_PID;
  /** What the value block of each area may be; null: nobody knows any more. */
  readonly values = new Map<number, Set<number> | null>();
  /** Processes that the daemon stopped. */
  stopped = 0;

  constructor(world: UsersWorld, host: SanlockHost) {
    this.#world = world;
    this.#host = host;
    this.#again = world.dice.fork('again');
  }

  get #users(): LeaseUser[] {
    return this.#world.claims.of(this.#host);
  }

  begin(): LeaseUser {
    const { dice, claims } = this.#world;
    const pid = this.#nextPid++;
    const user: LeaseUser = {
      ...{ pid, host: this.#host, isAlive: true, isKnown: true, underWay: 0, request: null },
      ...{ holdings: [], releases: new Set(), isUnsure: false },
      isPersevering: dice.chance(0.6),
      obeysTerm: dice.chance(0.5),
      link: this.#world.connect(this.#host, pid),
    };
    claims.clients.set(pid, user);
    user.link.call(register(), this.#world.clock.nowMs());
    return user;
  }

  /** One of them requests something. */
  act(): void {
    const { dice, areas } = this.#world;
    const users = this.#users;
    const user = users[dice.below(users.length)];
    if (user === undefined || user.underWay > 0 || !user.link.isOpen) return;
    const holding = user.holdings[dice.below(user.holdings.length)];
    if (holding === undefined || dice.chance(0.3)) {
      const area = dice.below(areas);
      if (user.holdings.some((one) => one.area === area)) return;
      const shared = dice.chance(0.4);
      const value = !shared && dice.chance(0.5);
      this.#acquire(user, { area, name: `R${area}`, shared, persistent: false, value });
      return;
    }
    const what = dice.next();
    if (what < 0.35) this.#release(user, holding);
    else if (what < 0.6) this.#convert(user, holding);
    else if (what < 0.9 && holding.value && !holding.shared) this.#setValue(user, holding.area);
    else this.#inquire(user);
  }

  #call(
    user: LeaseUser,
    request: Cut | null,
    call: Parameters<ClientLink['call']>[0],
    answered: (result: number) => void,
  ): void {
    const world = this.#world;
    const what = `pid ${user.pid} ${call.name} ${request?.holding.name ?? ''}`;
    world.log(what);
    user.underWay++;
    user.request = request;
    user.link.call(call, world.clock.nowMs(), ({ data }) => {
      world.log(`${what} -> ${data}`);
      user.underWay--;
      user.request = null;
      if (user.isAlive) answered(data);
    });
  }

  #acquire(user: LeaseUser, holding: Holding): void {
    const { dice, claims } = this.#world;
    const flags = holding.shared ? RES_FLAGS.SHARED : 0;
    const options = { ownerNowait: dice.chance(0.7), lvb: holding.value };
    const call = leases.acquire([resourceOf(holding.area, flags)], options);
    this.#call(user, { op: 'acquire', holding, toShared: false }, call, (result) => {
      if (result === 0) claims.grant(user, holding);
    });
  }

  /** It works no more by what it asks to release. */
  #release(user: LeaseUser, holding: Holding): void {
    const at = user.holdings.indexOf(holding);
    if (at >= 0) user.holdings.splice(at, 1);
    const call = leases.release([resourceOf(holding.area, 0)]);
    this.#call(user, { op: 'release', holding, toShared: false }, call, (result) => {
      if (result !== 0) this.values.set(holding.area, null);
    });
  }

  /** Who steps down works as a sharer from now on. */
  #convert(
    user: LeaseUser,
    holding: Holding,
    toShared = !holding.shared,
    isRepetition = false,
  ): void {
    const { dice, claims } = this.#world;
    if (toShared) holding.shared = true;
    const resource = resourceOf(holding.area, toShared ? RES_FLAGS.SHARED : 0);
    const call = leases.convert(resource, { ownerNowait: dice.chance(0.7) });
    this.#call(user, { op: 'convert', holding, toShared }, call, (result) => {
      const isDone = result === 0 || (isRepetition && result === -ERRNO.EALREADY);
      if (isDone) holding.shared = toShared;
      else if (isRepetition) user.isUnsure = true;
      else if (toShared) holding.shared = false;
      claims.check(user, holding);
    });
  }

  #setValue(user: LeaseUser, area: number): void {
    const value = 1 + this.#world.dice.below(255);
    const block = new Uint8Array(VALUE_BYTES).fill(value);
    const before = this.values.get(area) ?? (this.values.has(area) ? null : new Set([0]));
    if (before !== null) this.values.set(area, new Set(before).add(value));
    this.#call(user, null, leases.setLvb(resourceOf(area, 0), block), (result) => {
      if (result === 0 && before !== null) this.values.set(area, new Set([value]));
    });
  }

  #inquire(user: LeaseUser): void {
    const { clock, isSmooth } = this.#world;
    user.underWay++;
    user.link.call(leases.inquire(), clock.nowMs(), (header, body) => {
      user.underWay--;
      if (isSmooth && !user.isUnsure) checkInquiry(user, header, body);
    });
  }

  /** The daemon is gone: what was not answered never will be. */
  daemonDied(): void {
    const { clock, dice } = this.#world;
    for (const user of this.#users) {
      user.link.isOver = true;
      user.link.unanswered.splice(0);
      user.isKnown = false;
      user.underWay = 0;
      if (dice.chance(0.2)) clock.after(dice.between(0, 20_000), () => this.end(user));
    }
  }

  daemonStarted(): void {
    const { clock, dice } = this.#world;
    for (const user of this.#users) {
      if (!user.isPersevering) continue;
      clock.after(dice.between(0, LONGEST_RECONNECT_MS), () => this.#connectAgain(user));
    }
  }

  #connectAgain(user: LeaseUser): void {
    if (!user.isAlive || user.isKnown || !this.#host.isRunning) return;
    this.#world.log(`pid ${user.pid} connects again`);
    user.link = this.#world.connect(this.#host, user.pid);
    user.link.call(register(), this.#world.clock.nowMs());
    user.isKnown = true;
    const { request } = user;
    if (request !== null) this.#repeat(user, request);
    else this.#takeBack(user);
  }

  #repeat(user: LeaseUser, { op, holding, toShared }: Cut): void {
    // Who cannot know whether its release was done may as well want the lease again.
    const isWanted = op === 'release' && this.#again.chance(0.4);
    if (op === 'acquire' || isWanted) this.#acquire(user, holding);
    else if (op === 'release') this.#release(user, holding);
    else this.#convert(user, holding, toShared, true);
  }

  /** It names one of its leases, as it has it: the next daemon lets it go on. */
  #takeBack(user: LeaseUser): void {
    const { dice, isSmooth, clock } = this.#world;
    const holding = user.holdings[dice.below(user.holdings.length)];
    if (holding === undefined || dice.chance(0.5)) return;
    const flags = holding.shared ? RES_FLAGS.SHARED : 0;
    const call = leases.acquire([resourceOf(holding.area, flags)], { lvb: holding.value });
    user.underWay++;
    user.link.call(call, clock.nowMs(), ({ data }) => {
      this.#world.log(`pid ${user.pid} takes back ${holding.name} -> ${data}`);
      user.underWay--;
      if (!user.isAlive || data === 0 || data === -ERRNO.EEXIST) return;
      if (isSmooth) throw new Error(`pid ${user.pid} cannot have ${holding.name} back: ${data}`);
      this.end(user);
    });
  }

  /** A signal takes a moment: the process may be in the kernel. */
  signalled(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
    const { claims, clock, dice } = this.#world;
    const user = claims.clients.get(pid);
    this.#world.log(`pid ${pid} gets ${signal}`);
    if (user === undefined || !user.isAlive) return;
    this.stopped++;
    if (signal === 'SIGTERM' && !user.obeysTerm) return;
    clock.after(dice.between(0, LONGEST_DYING_MS), () => this.end(user));
  }

  end(user: LeaseUser): void {
    if (!user.isAlive) return;
    this.#world.log(`pid ${user.pid} ends`);
    user.isAlive = false;
    user.isKnown = false;
    user.holdings.splice(0);
    user.link.close();
    this.#host.processEnded(user.pid);
  }

  endAll(): void {
    for (const user of this.#users) this.end(user);
  }
}
