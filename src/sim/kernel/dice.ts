/**
 * Seeded chance: the same seed and label give the same numbers, on every machine. The labels are
 * part of what a seed means: one that changes gives every seed another run, so labels keep their
 * words when the code around them gets better ones.
 */
export class Dice {
  readonly #label: string;
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(seed: number | string, label = '') {
    this.#label = `${seed}/${label}`;
    this.#a = hash(this.#label, 0x9e3779b9);
    this.#b = hash(this.#label, 0x243f6a88);
    this.#c = hash(this.#label, 0xb7e15162);
    this.#d = 1;
    for (let i = 0; i < 12; i++) this.next();
  }

  /** An independent source: the numbers that one part of the world draws do not shift another's. */
  fork(label: string): Dice {
    return new Dice(this.#label, label);
  }

  /** Uniform in [0, 1). (sfc32) */
  next(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#d) | 0;
    this.#d = (this.#d + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (this.#c << 21) | (this.#c >>> 11);
    this.#c = (this.#c + sum) | 0;
    return (sum >>> 0) / 4294967296;
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** A whole number, 0 <= n < limit. */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  between(least: number, most: number): number {
    return least + this.next() * (most - least);
  }

  pick<T>(list: readonly [T, ...T[]]): T {
    return list[this.below(list.length)] ?? list[0];
  }
}

function hash(text: string, start: number): number {
  let h = start | 0;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
