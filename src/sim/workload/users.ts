import { unreachable } from '../../base/assert.ts';
import type { LeaseCommandResult } from '../../lease-process/messages.ts';
import type { Site } from '../cluster/site.ts';
import type { Claim, Incarnation } from '../invariants/claims.ts';
import type { Dice } from '../kernel/dice.ts';
import { LOCKSPACE, LUN, resourceName, resourceOffset } from '../kernel/layout.ts';
import type { World } from '../world.ts';

/** What people and programs of one machine ask for, one wish per resource at a time. */
export class Users {
  readonly #machine: Site;
  readonly #world: World;
  readonly #dice: Dice;
  /** Resources with a wish under way. */
  #busy = new Set<number>();
  #turn = 0;

  constructor(machine: Site, world: World, dice: Dice) {
    this.#machine = machine;
    this.#world = world;
    this.#dice = dice;
  }

  start(): void {
    this.#busy = new Set();
    this.#wake(++this.#turn);
  }

  stop(): void {
    this.#turn++;
  }

  #wake(turn: number): void {
    const { options } = this.#world;
    const pauseMs = this.#dice.chance(0.5)
      ? this.#dice.between(0, 50)
      : this.#dice.between(0, 2 * options.pauseMs);
    this.#machine.hardware.after(pauseMs, () => {
      const incarnation = this.#machine.incarnation;
      if (turn !== this.#turn || incarnation === null || this.#world.isQuiet) return;
      this.#act(incarnation, this.#dice.below(options.resources));
      this.#wake(turn);
    });
  }

  #act(incarnation: Incarnation, resource: number): void {
    if (this.#busy.has(resource)) return;
    const { claims } = this.#world.checker;
    const claim = claims.find(incarnation, resource);
    if (claim === null) {
      const { requests } = this.#world.options;
      if (requests > 0 && this.#dice.chance(requests)) this.#request(incarnation, resource);
      else this.acquire(incarnation, resource, { shared: this.#dice.chance(0.4) });
    } else {
      const wish = this.#dice.next();
      if (wish < 0.5) this.#release(claim);
      else if (wish < 0.75) this.#convert(claim);
    }
  }

  acquire(incarnation: Incarnation, resource: number, wish: { readonly shared: boolean }): void {
    if (this.#busy.has(resource)) return;
    const say = this.#teller(incarnation, `acquire R${resource}${wish.shared ? ' shared' : ''}`);
    this.#busy.add(resource);
    const id = this.#machine.ask(
      {
        op: 'acquire',
        area: { path: LUN, offset: resourceOffset(resource) },
        name: { lockspaceName: LOCKSPACE, resourceName: resourceName(resource) },
        shared: wish.shared,
        ownerNowait: this.#dice.chance(0.6),
        wantedLver: null,
        newNumHosts: null,
        readLvb: this.#dice.chance(0.2),
      },
      (result) => {
        this.#busy.delete(resource);
        say(result);
        if (!result.ok || result.op !== 'acquire' || !this.#machine.mayUse(incarnation)) return;
        const claim = this.#world.checker.claims.grant(incarnation, resource, result.hold);
        this.#world.granted(claim);
      },
    );
    if (id !== null && this.#dice.chance(0.1)) {
      this.#machine.hardware.after(this.#dice.between(0, 30_000), () => {
        if (this.#machine.incarnation === incarnation) this.#machine.cancel(id);
      });
    }
  }

  /** The owner is asked to let go; whether it does is its own business. */
  #request(incarnation: Incarnation, resource: number): void {
    const say = this.#teller(incarnation, `request R${resource}`);
    const area = { path: LUN, offset: resourceOffset(resource) };
    const name = { lockspaceName: LOCKSPACE, resourceName: resourceName(resource) };
    const forceMode = 1 + this.#dice.below(2);
    const command = { op: 'request', area, name, lver: 0n, forceMode, nextLver: true } as const;
    this.#machine.ask(command, say);
  }

  #release(claim: Claim): void {
    const { incarnation, resource, hold } = claim;
    const say = this.#teller(incarnation, `release R${resource}`);
    const lvb = this.#value(claim);
    this.#busy.add(resource);
    this.#world.checker.claims.end(claim);
    this.#machine.ask({ op: 'release', hold: hold.number, lvb, rename: null }, (result) => {
      this.#busy.delete(resource);
      say(result);
      if (result.ok) this.#world.released(claim);
    });
  }

  #convert(claim: Claim): void {
    const { incarnation, resource, hold } = claim;
    const toShared = !hold.shared;
    const { claims } = this.#world.checker;
    const say = this.#teller(
      incarnation,
      `convert R${resource} to ${toShared ? 'shared' : 'exclusive'}`,
    );
    const lvb = toShared ? this.#value(claim) : null;
    this.#busy.add(resource);
    claims.changing(claim, toShared);
    const ownerNowait = this.#dice.chance(0.5);
    this.#machine.ask(
      { op: 'convert', hold: hold.number, toShared, ownerNowait, lvb },
      (result) => {
        this.#busy.delete(resource);
        say(result);
        if (claims.find(incarnation, resource) !== claim) return; // the user died meanwhile
        const got =
          result.ok && result.op === 'convert' && this.#machine.mayUse(incarnation)
            ? result.hold
            : null;
        if (!result.ok || got !== null) claims.changed(claim, got);
        if (got !== null) this.#world.granted(claim);
      },
    );
  }

  #value(claim: Claim): Uint8Array | null {
    if (claim.hold.shared || this.#dice.chance(0.7)) return null;
    return new Uint8Array(512).fill(this.#dice.below(256));
  }

  #teller(incarnation: Incarnation, what: string): (result: LeaseCommandResult) => void {
    this.#world.say(incarnation.label, `${what} …`);
    return (result) => this.#world.answered(incarnation, what, outcomeOf(result));
  }
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
