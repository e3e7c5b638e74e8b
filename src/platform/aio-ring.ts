import { viewMemory } from './system-calls.ts';

/** Words of the ring that io_setup maps: what the kernel offers to programs that look by themselves. */
const NUMBER_WORD = 1;
const HEAD_WORD = 2;
const TAIL_WORD = 3;
const MAGIC_WORD = 4;
const INCOMPATIBLE_WORD = 6;
const HEADER_BYTES_WORD = 7;
const MAGIC = 0xa10a10a1;
const HEADER_BYTES = 32;
const EVENT_WORDS = 8; // data, request, result, result 2: 64 bits each

/**
 * The completions of an AIO context where the kernel puts them: taken without a system call, which
 * costs more than all else about a request that is done at once (spec 70 §2.2).
 */
export class AioRing {
  readonly #words: Int32Array;
  readonly #size: number;

  private constructor(words: Int32Array, size: number) {
    this.#words = words;
    this.#size = size;
  }

  /** null: this kernel's ring is another one. */
  static of(context: bigint): AioRing | null {
    const header = new Uint32Array(viewMemory(context, HEADER_BYTES));
    const isKnown =
      header[MAGIC_WORD] === MAGIC &&
      header[INCOMPATIBLE_WORD] === 0 &&
      header[HEADER_BYTES_WORD] === HEADER_BYTES;
    if (!isKnown) return null;
    const size = header[NUMBER_WORD] ?? 0;
    const bytes = HEADER_BYTES + size * EVENT_WORDS * 4;
    return new AioRing(new Int32Array(viewMemory(context, bytes)), size);
  }

  /**
   * Takes the next completion. `taken` is called after it has left the ring, so it may look again.
   * @returns false when there is none
   */
  take(taken: (data: number, result: number) => void): boolean {
    const words = this.#words;
    const head = Atomics.load(words, HEAD_WORD);
    // Its event is written before the tail is: an atomic read of the tail sees it.
    if (head === Atomics.load(words, TAIL_WORD)) return false;
    const at = HEADER_BYTES / 4 + head * EVENT_WORDS;
    const data = words[at] ?? 0;
    const result = words[at + 4] ?? 0;
    Atomics.store(words, HEAD_WORD, (head + 1) % this.#size);
    taken(data, result);
    return true;
  }
}
