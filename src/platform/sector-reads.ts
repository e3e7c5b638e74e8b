import { close, constants, open, read } from 'node:fs';
import type { Clock, Timer } from '../ports/clock.ts';
import type { SectorPlace, SectorReads } from '../ports/sector-reads.ts';
import { AlignedPool, type AllocateAligned } from './aligned-memory.ts';

/** Read only: the end of a writer would have udev examine the device. */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_DIRECT;
const POOL_BYTES = 256 * 1024;
/** Of one device; beyond them nothing is read. */
const MAX_WAITING = 16;
/** Devices that hang at once keep a thread each: some are left for the others. */
const MAX_DEVICES = 3;

interface Wish {
  readonly at: SectorPlace;
  readonly timer: Timer;
  answer: ((bytes: Uint8Array | null) => void) | null;
}

/** Reads on the threads of Node, one for a device. */
export class DeviceSectorReads implements SectorReads {
  readonly #clock: Clock;
  readonly #pool: AlignedPool;
  /** By path, the first of each under way. */
  readonly #wishes = new Map<string, Wish[]>();

  constructor(clock: Clock, allocate: AllocateAligned) {
    this.#clock = clock;
    this.#pool = new AlignedPool(allocate, POOL_BYTES);
  }

  read(at: SectorPlace, timeoutMs: number, answer: (bytes: Uint8Array | null) => void): void {
    const queue = this.#wishes.get(at.path);
    const isFull = queue === undefined ? this.#wishes.size >= MAX_DEVICES : isAtMost(queue);
    if (isFull) {
      answer(null);
      return;
    }
    const timer = this.#clock.after(timeoutMs, () => settle(wish, null));
    const wish: Wish = { at, timer, answer };
    if (queue !== undefined) {
      queue.push(wish);
      return;
    }
    this.#wishes.set(at.path, [wish]);
    this.#start(wish);
  }

  #start(wish: Wish): void {
    const { path } = wish.at;
    const ended = (bytes: Uint8Array | null): void => {
      settle(wish, bytes);
      const queue = this.#wishes.get(path) ?? [];
      queue.shift();
      while (queue[0]?.answer === null) queue.shift();
      const [next] = queue;
      if (next === undefined) this.#wishes.delete(path);
      else this.#start(next);
    };
    open(Buffer.from(path, 'latin1'), OPEN_FLAGS, (failure, fd) => {
      if (failure !== null) ended(null);
      else this.#readFrom(fd, wish.at, ended);
    });
  }

  #readFrom(
    fd: number,
    { offset, length }: SectorPlace,
    ended: (bytes: Uint8Array | null) => void,
  ): void {
    const buffer = this.#pool.take(length);
    if (buffer === null) {
      close(fd, () => ended(null));
      return;
    }
    read(fd, buffer.bytes, 0, length, offset, (failure, count) => {
      const bytes = failure === null && count === length ? buffer.bytes.slice(0, length) : null;
      this.#pool.give(buffer);
      close(fd, () => ended(bytes));
    });
  }
}

function isAtMost(queue: readonly Wish[]): boolean {
  return queue.length >= MAX_WAITING;
}

function settle(wish: Wish, bytes: Uint8Array | null): void {
  const { answer } = wish;
  if (answer === null) return;
  wish.answer = null;
  wish.timer.cancel();
  answer(bytes);
}
