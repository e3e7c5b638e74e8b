/** What a peer may send ahead of being served; beyond, it is held back by the kernel. */
const HIGH_WATER_BYTES = 128 * 1024;

/** Bytes of one connection that were received and not yet served. */
export class FrameBuffer {
  #bytes = new Uint8Array(0);

  get length(): number {
    return this.#bytes.length;
  }

  get overfull(): boolean {
    return this.#bytes.length > HIGH_WATER_BYTES;
  }

  push(bytes: Uint8Array): void {
    if (this.#bytes.length === 0) {
      this.#bytes = new Uint8Array(bytes); // the sender's memory is its own again
      return;
    }
    const joined = new Uint8Array(this.#bytes.length + bytes.length);
    joined.set(this.#bytes);
    joined.set(bytes, this.#bytes.length);
    this.#bytes = joined;
  }

  /** The first `count` bytes, or null when fewer are here. */
  peek(count: number): Uint8Array | null {
    return this.#bytes.length < count ? null : this.#bytes.subarray(0, count);
  }

  /** Everything behind the first `skip` bytes. */
  seen(skip: number): Uint8Array {
    return this.#bytes.subarray(skip);
  }

  take(count: number): Uint8Array {
    const taken = this.#bytes.subarray(0, count);
    this.#bytes = this.#bytes.subarray(taken.length);
    return taken;
  }
}
