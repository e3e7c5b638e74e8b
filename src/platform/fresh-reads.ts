import { close, constants, open, read } from 'node:fs';
import { ERRNO, errnoName } from '../base/errno.ts';
import { MIB } from '../base/units.ts';
import { wasmAllocator } from './disk-plain.ts';
import { errnoOf } from './system-error.ts';

/** Looks at devices that may be under way at once: each has its memory until it ends. */
const MAX_LOOKS = 8;
/** Leader and host blocks of most lockspaces. */
const SMALL_BYTES = 64 * 1024;
/** The largest read: those of 2000 hosts, with sectors of 4096 bytes. */
const LARGE_BYTES = 8 * MIB + SMALL_BYTES;

/** Reads one piece of the device, one after the other; a copy, or a sentence: why not. */
export type ReadPiece = (at: {
  readonly offset: number;
  readonly length: number;
}) => Promise<Uint8Array | string>;

/**
 * Reads around the page cache, for a program that must go on when a device hangs: a look that takes
 * too long is given up, and the device is not asked again before that call has ended. The file is
 * open for the time of one look only, as it would keep its device from being removed.
 */
export class FreshReads {
  readonly #deadlineMs: number;
  readonly #pending = new Set<string>();
  readonly #small = new Buffers(SMALL_BYTES);
  readonly #large = new Buffers(LARGE_BYTES);

  constructor(deadlineMs: number) {
    this.#deadlineMs = deadlineMs;
  }

  /** Some call hangs: the process does not end by itself. */
  get hangs(): boolean {
    return this.#pending.size > 0;
  }

  /** @returns what `look` returns, or a sentence: the device does not open, or hangs */
  async look<T>(path: string, look: (readPiece: ReadPiece) => Promise<T>): Promise<T | string> {
    if (this.#pending.has(path)) return `an earlier read of ${path} still hangs`;
    if (this.#pending.size >= MAX_LOOKS) return `${this.#pending.size} reads of other devices hang`;
    this.#pending.add(path);
    const done = this.#whole(path, look).finally(() => this.#pending.delete(path));
    let timer: NodeJS.Timeout | null = null;
    const late = new Promise<string>((resolve) => {
      const sentence = `${path} did not answer a read within ${this.#deadlineMs / 1000} s`;
      timer = setTimeout(() => resolve(sentence), this.#deadlineMs);
    });
    try {
      return await Promise.race([done, late]);
    } finally {
      if (timer !== null) clearTimeout(timer);
    }
  }

  async #whole<T>(path: string, look: (readPiece: ReadPiece) => Promise<T>): Promise<T | string> {
    const fd = await openDirect(path);
    if (fd < 0) return `cannot open ${path}: ${errnoName(-fd)}`;
    const taken = new Map<Buffers, Uint8Array>();
    try {
      return await look((at) => {
        const buffers = at.length <= SMALL_BYTES ? this.#small : this.#large;
        const buffer = taken.get(buffers) ?? buffers.take();
        if (buffer === null || at.length > buffer.length) {
          return Promise.resolve(`no memory is left to read ${at.length} bytes of ${path}`);
        }
        taken.set(buffers, buffer);
        return readPiece({ fd, path, buffer }, at);
      });
    } finally {
      for (const [buffers, buffer] of taken) buffers.give(buffer);
      await new Promise<void>((resolve) => close(fd, () => resolve()));
    }
  }
}

/** Memory for as many looks as there may be, of one size; taken from the system when first needed. */
class Buffers {
  readonly #bytes: number;
  readonly #idle: Uint8Array[] = [];
  #allocate: ReturnType<typeof wasmAllocator> | null = null;

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  take(): Uint8Array | null {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    this.#allocate ??= wasmAllocator(MAX_LOOKS * this.#bytes);
    return this.#allocate(this.#bytes)?.bytes ?? null;
  }

  give(buffer: Uint8Array): void {
    this.#idle.push(buffer);
  }
}

/** @returns the descriptor, or a negative errno */
async function openDirect(path: string): Promise<number> {
  const flags = constants.O_RDONLY | constants.O_NONBLOCK;
  const direct = await openWith(path, flags | constants.O_DIRECT);
  return direct === -ERRNO.EINVAL ? openWith(path, flags) : direct; // tmpfs has no O_DIRECT
}

function openWith(path: string, flags: number): Promise<number> {
  return new Promise((resolve) => {
    open(path, flags, (failure, fd) => resolve(failure === null ? fd : -errnoOf(failure)));
  });
}

function readPiece(
  from: { readonly fd: number; readonly path: string; readonly buffer: Uint8Array },
  { offset, length }: { readonly offset: number; readonly length: number },
): Promise<Uint8Array | string> {
  const { fd, path, buffer } = from;
  return new Promise((resolve) => {
    read(fd, buffer, 0, length, offset, (failure, moved) => {
      if (failure !== null) resolve(`cannot read ${path}: ${errnoName(errnoOf(failure))}`);
      else if (moved < length) resolve(`${path} ends before byte ${offset + length}`);
      else resolve(buffer.slice(0, length));
    });
  });
}
