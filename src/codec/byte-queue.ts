import { assert } from '../base/assert.ts';

const EMPTY = new Uint8Array(0);

/**
 * The bytes of one connection that have arrived and are not taken yet. An empty queue holds no
 * memory. Taken bytes are not copied and never overwritten: they stay with whoever took them.
 */
export class ByteQueue {
  #bytes = EMPTY;
  #start = 0;
  #end = 0;

  get length(): number {
    return this.#end - this.#start;
  }

  /** Copies: the sender's memory is its own again. */
  push(bytes: Uint8Array): void {
    if (this.#start === this.#end) {
      this.#bytes = new Uint8Array(bytes);
      this.#start = 0;
      this.#end = bytes.length;
      return;
    }
    if (this.#end + bytes.length > this.#bytes.length) this.#grow(bytes.length);
    this.#bytes.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  /** The first `count` bytes, still in the queue. */
  peek(count: number): Uint8Array {
    assert(count >= 0 && count <= this.length, 'only bytes that arrived are read');
    return this.#bytes.subarray(this.#start, this.#start + count);
  }

  /** Everything behind the first `skip` bytes, still in the queue. */
  behind(skip: number): Uint8Array {
    return this.#bytes.subarray(Math.min(this.#start + skip, this.#end), this.#end);
  }

  /** Removes the first `count` bytes. */
  take(count: number): Uint8Array {
    const taken = this.peek(count);
    this.#start += count;
    if (this.#start === this.#end) this.#release();
    return taken;
  }

  #grow(more: number): void {
    const held = this.length;
    const larger = new Uint8Array(Math.max(held + more, 2 * held));
    larger.set(this.#bytes.subarray(this.#start, this.#end));
    this.#bytes = larger;
    this.#start = 0;
    this.#end = held;
  }

  #release(): void {
    this.#bytes = EMPTY;
    this.#start = 0;
    this.#end = 0;
  }
}
