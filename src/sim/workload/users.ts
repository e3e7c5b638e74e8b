import type { LeaseCommandResult } from '../../lease-process/messages.ts';
import { LOCKSPACE, LUN, resourceName, resourceOffset } from '../cluster/layout.ts';
import type { Computer } from '../cluster/site.ts';
import type { Claim, Life } from '../invariants/claims.ts';
import type { Dice } from '../kernel/dice.ts';
import type { World } from '../world.ts';

/** What people and programs of one machine ask for, one wish per resource at a time. */
export class Users {
  readonly #machine: Computer;
  readonly #world: World;
  readonly #dice: Dice;
  /** Resources with a wish under way. */
  #busy = new Set<number>();
  #turn = 0;

  constructor(machine: Computer, world: World, dice: Dice) {
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
      const life = this.#machine.life;
      if (turn !== this.#turn || life === null || this.#world.isQuiet) return;
      this.#act(life, this.#dice.below(options.resources));
      this.#wake(turn);
    });
  }

  #act(life: Life, resource: number): void {
    if (this.#busy.has(resource)) return;
    const { claims } = this.#world.judge;
    const claim = claims.find(life, resource);
    if (claim === null) {
      const { requests } = this.#world.options;
      if (requests > 0 && this.#dice.chance(requests)) this.#request(life, resource);
      else this.acquire(life, resource, { shared: this.#dice.chance(0.4) });
    } else {
      const wish = this.#dice.next();
      if (wish < 0.5) this.#release(claim);
      else if (wish < 0.75) this.#convert(claim);
    }
  }

  acquire(life: Life, resource: number, wish: { readonly shared: boolean }): void {
    if (this.#busy.has(resource)) return;
    const say = this.#teller(life, `acquire R${resource}${wish.shared ? ' shared' : ''}`);
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
        if (!result.ok || result.op !== 'acquire' || !this.#machine.mayUse(life)) return;
        const claim = this.#world.judge.claims.grant(life, resource, result.hold);
        this.#world.granted(claim);
      },
    );
    if (id !== null && this.#dice.chance(0.1)) {
      this.#machine.hardware.after(this.#dice.between(0, 30_000), () => {
        if (this.#machine.life === life) this.#machine.cancel(id);
      });
    }
  }

  /** The owner is asked to let go; whether it does is its own business. */
  #request(life: Life, resource: number): void {
    const say = this.#teller(life, `request R${resource}`);
    const area = { path: LUN, offset: resourceOffset(resource) };
    const name = { lockspaceName: LOCKSPACE, resourceName: resourceName(resource) };
    const forceMode = 1 + this.#dice.below(2);
    const command = { op: 'request', area, name, lver: 0n, forceMode, nextLver: true } as const;
    this.#machine.ask(command, say);
  }

  #release(claim: Claim): void {
    const { life, resource, hold } = claim;
    const say = this.#teller(life, `release R${resource}`);
    const lvb = this.#value(claim);
    this.#busy.add(resource);
    this.#world.judge.claims.end(claim);
    this.#machine.ask({ op: 'release', hold, lvb, rename: null }, (result) => {
      this.#busy.delete(resource);
      say(result);
      if (result.ok) this.#world.released(claim);
    });
  }

  #convert(claim: Claim): void {
    const { life, resource, hold } = claim;
    const toShared = !hold.shared;
    const { claims } = this.#world.judge;
    const say = this.#teller(life, `convert R${resource} to ${toShared ? 'shared' : 'exclusive'}`);
    const lvb = toShared ? this.#value(claim) : null;
    this.#busy.add(resource);
    claims.changing(claim, toShared);
    const ownerNowait = this.#dice.chance(0.5);
    this.#machine.ask({ op: 'convert', hold, toShared, ownerNowait, lvb }, (result) => {
      this.#busy.delete(resource);
      say(result);
      if (claims.find(life, resource) !== claim) return; // the user died meanwhile
      const got =
        result.ok && result.op === 'convert' && this.#machine.mayUse(life) ? result.hold : null;
      if (!result.ok || got !== null) claims.changed(claim, got);
      if (got !== null) this.#world.granted(claim);
    });
  }

  #value(claim: Claim): Uint8Array | null {
    if (claim.hold.shared || this.#dice.chance(0.7)) return null;
    return new Uint8Array(512).fill(this.#dice.below(256));
  }

  #teller(life: Life, what: string): (result: LeaseCommandResult) => void {
    this.#world.say(life.label, `${what} …`);
    return (result) => this.#world.answered(life, what, outcomeOf(result));
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
      return `granted, lver ${result.hold.leader.lver}`;
    default:
      return 'done';
  }
}
