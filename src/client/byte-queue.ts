import { assert } from '../base/assert.ts';

/** Bytes arrived and not yet taken, in one growing buffer. */
export class ByteQueue {
  #buffer = new Uint8Array(4096);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(bytes: Uint8Array): void {
    const wanted = this.#length + bytes.length;
    if (wanted > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(wanted, 2 * this.#buffer.length));
      larger.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = larger;
    }
    this.#buffer.set(bytes, this.#length);
    this.#length = wanted;
  }

  /** The first bytes, without taking them; valid until the next push or take. */
  peek(count: number): Uint8Array {
    assert(count <= this.#length, 'only bytes that arrived are looked at');
    return this.#buffer.subarray(0, count);
  }

  /** Removes the first bytes and hands over a copy. */
  take(count: number): Uint8Array {
    const taken = this.peek(count).slice();
    this.#buffer.copyWithin(0, count, this.#length);
    this.#length -= count;
    return taken;
  }
}
