import { assert } from '../base/assert.ts';
import { MIB } from '../base/units.ts';

/** Memory O_DIRECT can use. `address` is 0 where the engine does not need it. */
export interface AlignedBuffer {
  readonly bytes: Uint8Array;
  readonly address: number;
}

export type AllocateAligned = (length: number) => AlignedBuffer | null;
/** Returns the pages to the system; the addresses stay valid, the content is lost. */
export type DiscardPages = (buffer: AlignedBuffer) => void;

const SMALLEST = 512;
export const LARGEST = 8 * MIB;
const SLAB_BYTES = 64 * 1024;
const POOL_LIMIT_BYTES = 128 * MIB;
const WORTH_DISCARDING_BYTES = 256 * 1024;

/**
 * Buffers in classes of a power of two (512 bytes to 8 MiB), kept until the process ends. The
 * memory of a timed-out request stays taken until the kernel is done with it, so the limit also
 * bounds what a hung device can pin.
 */
export class AlignedPool {
  readonly #allocate: AllocateAligned;
  /** Of what requests hold at one time, whatever their sizes. */
  readonly limitBytes: number;
  readonly #free = new Map<number, AlignedBuffer[]>();
  /** The shortest each free list has been since the last check: buffers below it were not used. */
  readonly #unused = new Map<number, number>();
  #takenBytes = 0;

  constructor(allocate: AllocateAligned, limitBytes: number = POOL_LIMIT_BYTES) {
    this.#allocate = allocate;
    this.limitBytes = limitBytes;
  }

  /** What requests hold at this moment, in whole classes. */
  get takenBytes(): number {
    return this.#takenBytes;
  }

  /** A buffer of at least `length` bytes with old content, or null when the limit is reached. */
  take(length: number): AlignedBuffer | null {
    const size = classOf(length);
    if (size > LARGEST || this.#takenBytes + size > this.limitBytes) return null;
    const free = this.#freeOf(size);
    if (free.length === 0) this.#grow(size, free);
    const buffer = free.pop();
    if (buffer === undefined) return null;
    this.#takenBytes += size;
    this.#unused.set(size, Math.min(this.#unused.get(size) ?? 0, free.length));
    return buffer;
  }

  /**
   * Called now and then: returns to the system what a burst needed and no request has used since.
   * @param kept of each class, so that an occasional request meets no page fault
   */
  discardUnused(discard: DiscardPages, kept: number): void {
    for (const [size, free] of this.#free) {
      const unused = this.#unused.get(size) ?? 0;
      this.#unused.set(size, free.length);
      if (size < WORTH_DISCARDING_BYTES) continue;
      for (const buffer of free.slice(0, Math.max(0, unused - kept))) discard(buffer);
    }
  }

  give(buffer: AlignedBuffer): void {
    const size = buffer.bytes.length;
    const free = this.#freeOf(size);
    assert(!free.includes(buffer), 'a buffer is returned once');
    this.#takenBytes -= size;
    free.push(buffer);
  }

  #freeOf(size: number): AlignedBuffer[] {
    const known = this.#free.get(size);
    if (known !== undefined) return known;
    const fresh: AlignedBuffer[] = [];
    this.#free.set(size, fresh);
    return fresh;
  }

  #grow(size: number, free: AlignedBuffer[]): void {
    const slabBytes = Math.max(size, SLAB_BYTES);
    const slab = this.#allocate(slabBytes);
    if (slab === null) return;
    for (let at = 0; at < slabBytes; at += size) {
      const address = slab.address === 0 ? 0 : slab.address + at;
      free.push({ bytes: slab.bytes.subarray(at, at + size), address });
    }
  }
}

/** What a buffer of that length takes. */
export function classOf(length: number): number {
  let size = SMALLEST;
  while (size < length) size *= 2;
  return size;
}
