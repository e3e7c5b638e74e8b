import { unreachable } from '../../base/assert.ts';
import type { Taker } from '../../format/holder-note.ts';
import type { LeaseCommandResult } from '../../lease-process/messages.ts';
import type { Site } from '../cluster/site.ts';
import type { SiteUsers, SiteWorld } from '../cluster/site-world.ts';
import type { Claim, Incarnation } from '../invariants/claims.ts';
import type { Dice } from '../kernel/dice.ts';
import { LOCKSPACE, LUN, resourceName, resourceOffset } from '../kernel/layout.ts';

/** What the users of a site need of its world. */
export interface UsersWorld extends SiteWorld {
  /** A request of a user is answered. */
  answered(incarnation: Incarnation, request: string, outcome: string): void;
  granted(claim: Claim): void;
  released(claim: Claim): void;
}

/** What the users of one host request, one request per resource at a time. */
export class Users implements SiteUsers {
  readonly #site: Site;
  readonly #world: UsersWorld;
  readonly #dice: Dice;
  /** Resources with a request under way. */
  #busy = new Set<number>();
  #turn = 0;
  #nextPid = 1;
  /** Who has the lease of a claim, as the disk is to say. */
  readonly #takers = new WeakMap<Claim, Taker>();

  constructor(site: Site, world: UsersWorld, dice: Dice) {
    this.#site = site;
    this.#world = world;
    this.#dice = dice;
  }

  start(): void {
    this.#busy = new Set();
    this.#requestLater(++this.#turn);
  }

  resume(): void {
    this.#requestLater(++this.#turn);
  }

  stop(): void {
    this.#turn++;
  }

  #requestLater(turn: number): void {
    const { options } = this.#world;
    const pauseMs = this.#dice.chance(0.5)
      ? this.#dice.between(0, 50)
      : this.#dice.between(0, 2 * options.pauseMs);
    this.#site.hardware.after(pauseMs, () => {
      const incarnation = this.#site.incarnation;
      if (turn !== this.#turn || incarnation === null || this.#world.isQuiet) return;
      this.#request(incarnation, this.#dice.below(options.resources));
      this.#requestLater(turn);
    });
  }

  #request(incarnation: Incarnation, resource: number): void {
    if (this.#busy.has(resource)) return;
    const { claims } = this.#world.checker;
    const claim = claims.find(incarnation, resource);
    if (claim === null) {
      const { requests } = this.#world.options;
      if (requests > 0 && this.#dice.chance(requests)) this.#requestRelease(incarnation, resource);
      else this.acquire(incarnation, resource, { shared: this.#dice.chance(0.4) });
    } else {
      const what = this.#dice.next();
      if (what < 0.5) this.#release(claim);
      else if (what < 0.75) this.#convert(claim);
    }
  }

  acquire(incarnation: Incarnation, resource: number, of: { readonly shared: boolean }): void {
    if (this.#busy.has(resource)) return;
    const log = this.#logged(incarnation, `acquire R${resource}${of.shared ? ' shared' : ''}`);
    this.#busy.add(resource);
    const taker = takerOf(this.#nextPid++);
    const id = this.#site.run(
      {
        op: 'acquire',
        taker,
        area: { path: LUN, offset: resourceOffset(resource) },
        name: { lockspaceName: LOCKSPACE, resourceName: resourceName(resource) },
        shared: of.shared,
        ownerNowait: this.#dice.chance(0.6),
        wantedLver: null,
        newNumHosts: null,
        readLvb: this.#dice.chance(0.2),
      },
      (result) => {
        this.#busy.delete(resource);
        log(result);
        if (!result.ok || result.op !== 'acquire' || !this.#site.mayUse(incarnation)) return;
        const claim = this.#world.checker.claims.grant(incarnation, resource, result.hold);
        this.#takers.set(claim, taker);
        this.#world.granted(claim);
      },
    );
    if (id !== null && this.#dice.chance(0.1)) {
      this.#site.hardware.after(this.#dice.between(0, 30_000), () => {
        if (this.#site.incarnation === incarnation) this.#site.cancel(id);
      });
    }
  }

  /** Asks the owner to release; the owner need not. */
  #requestRelease(incarnation: Incarnation, resource: number): void {
    const log = this.#logged(incarnation, `request R${resource}`);
    const area = { path: LUN, offset: resourceOffset(resource) };
    const name = { lockspaceName: LOCKSPACE, resourceName: resourceName(resource) };
    const forceMode = 1 + this.#dice.below(2);
    const command = { op: 'request', area, name, lver: 0n, forceMode, nextLver: true } as const;
    this.#site.run(command, log);
  }

  #release(claim: Claim): void {
    const { incarnation, resource, hold } = claim;
    const log = this.#logged(incarnation, `release R${resource}`);
    const lvb = this.#value(claim);
    this.#busy.add(resource);
    this.#world.checker.claims.end(claim);
    const released = (result: LeaseCommandResult): void => {
      this.#busy.delete(resource);
      log(result);
      if (result.ok) this.#world.released(claim);
    };
    this.#site.run({ op: 'release', hold: hold.number, lvb, rename: null }, released, resource);
  }

  #convert(claim: Claim): void {
    const { incarnation, resource, hold } = claim;
    const toShared = !hold.shared;
    const { claims } = this.#world.checker;
    const log = this.#logged(
      incarnation,
      `convert R${resource} to ${toShared ? 'shared' : 'exclusive'}`,
    );
    const lvb = toShared ? this.#value(claim) : null;
    this.#busy.add(resource);
    claims.changing(claim, toShared);
    const ownerNowait = this.#dice.chance(0.5);
    const taker = this.#takers.get(claim);
    const wish = { toShared, ownerNowait, lvb, ...(taker === undefined ? {} : { taker }) };
    const command = { op: 'convert', hold: hold.number, ...wish } as const;
    const converted = (result: LeaseCommandResult): void => {
      this.#busy.delete(resource);
      log(result);
      if (claims.find(incarnation, resource) !== claim) return; // the user ended meanwhile
      const got =
        result.ok && result.op === 'convert' && this.#site.mayUse(incarnation) ? result.hold : null;
      if (!result.ok || got !== null) claims.changed(claim, got);
      // Too late: it grants nothing, but the lease process has the hold in the other mode.
      else if (result.op === 'convert') claim.hold = result.hold;
      if (got !== null) this.#world.granted(claim);
    };
    this.#site.run(command, converted, resource);
  }

  #value(claim: Claim): Uint8Array | null {
    if (claim.hold.shared || this.#dice.chance(0.7)) return null;
    return new Uint8Array(512).fill(this.#dice.below(256));
  }

  #logged(incarnation: Incarnation, what: string): (result: LeaseCommandResult) => void {
    this.#world.log(incarnation.label, `${what} …`);
    return (result) => this.#world.answered(incarnation, what, outcomeOf(result));
  }
}

function takerOf(pid: number): Taker {
  return { pid, clientName: `user${pid}`, command: 'user', uuid: '' };
}

function outcomeOf(result: LeaseCommandResult): string {
  if (!result.ok) {
    const { code, errno, during } = result.error;
    return `${errno === undefined ? code : `errno ${errno}`} (${during})`;
  }
  switch (result.op) {
    case 'acquire':
    case 'convert':
      return `granted, lver ${result.hold.lver}`;
    case 'recover':
    case 'release':
    case 'request':
    case 'readRequest':
    case 'readLockspace':
    case 'readResource':
    case 'readOwners':
    case 'writeLockspace':
    case 'writeResource':
    case 'align':
    case 'index':
      return 'done';
    default:
      return unreachable(result);
  }
}
