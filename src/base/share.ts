import { assert } from './assert.ts';

/**
 * A supply that several parties share: none takes more than it leaves for the others. A party that
 * returns nothing gets half of it, a second one a quarter, and there is still some for the next.
 */
export class Share<Party> {
  readonly #taken = new Map<Party, number>();
  #free: number;

  constructor(supply: number) {
    this.#free = supply;
  }

  fits(party: Party, amount = 1): boolean {
    const own = this.#taken.get(party) ?? 0;
    return amount <= this.#free && (own === 0 || own + amount <= this.#free);
  }

  take(party: Party, amount = 1): void {
    assert(this.fits(party, amount), 'a party takes no more than fits');
    this.#free -= amount;
    this.#taken.set(party, (this.#taken.get(party) ?? 0) + amount);
  }

  give(party: Party, amount = 1): void {
    const own = this.#taken.get(party) ?? 0;
    assert(own >= amount, 'a party returns no more than it took');
    this.#free += amount;
    if (own > amount) this.#taken.set(party, own - amount);
    else this.#taken.delete(party);
  }
}
