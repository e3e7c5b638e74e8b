/** Of one address, and of all: so many wrong tokens are under way at a time. */
const MAX_OF_ADDRESS = 8;
const MAX_OF_ALL = 64;

/**
 * Wrong tokens whose answers are still held back. While there are too many of an address none of it
 * is looked at, whether right or wrong: else who does not wait for answers could try them all.
 */
export class WrongTokens {
  readonly #underWay = new Map<string, number>();
  #all = 0;

  mayTry(address: string): boolean {
    const own = this.#underWay.get(address) ?? 0;
    return own < MAX_OF_ADDRESS && this.#all < MAX_OF_ALL;
  }

  begin(address: string): void {
    this.#all += 1;
    this.#underWay.set(address, (this.#underWay.get(address) ?? 0) + 1);
  }

  /** Its answer is sent. */
  end(address: string): void {
    this.#all -= 1;
    const left = (this.#underWay.get(address) ?? 1) - 1;
    if (left > 0) this.#underWay.set(address, left);
    else this.#underWay.delete(address);
  }
}
