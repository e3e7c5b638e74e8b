import { close, constants, open, read, stat } from 'node:fs';
import { unreachable } from '../base/assert.ts';
import { ERRNO, errnoName } from '../base/errno.ts';
import { MIB } from '../base/units.ts';
import { monotonicMs } from './clock.ts';
import { deviceAnswers } from './device-answers.ts';
import { wasmAllocator } from './disk-plain.ts';
import { errnoOf } from './system-error.ts';

/** Looks at devices that may be under way at once: each has its memory until it ends. */
const MAX_LOOKS = 8;
/** Leader and host blocks of most lockspaces. */
const SMALL_BYTES = 64 * 1024;
/** The largest read: those of 2000 hosts, with sectors of 4096 bytes. */
const LARGE_BYTES = 8 * MIB + SMALL_BYTES;

/** Many leases of one device are looked at one after the other. */
const ANSWER_HOLDS_MS = 1000;

/** Reads one piece of the device, one after the other; a copy, or a sentence: why not. */
export type ReadPiece = (at: {
  readonly offset: number;
  readonly length: number;
}) => Promise<Uint8Array | string>;

/** As above; where it is not read, the errno by name (EMSGSIZE: the device ends before). */
export type TryPiece = (at: {
  readonly offset: number;
  readonly length: number;
}) => Promise<Uint8Array | { readonly errno: string }>;

/** What came of a look; `silent`: the device does not answer, or did not answer an earlier one. */
export type Attempt<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'failed'; readonly errno: string }
  | { readonly kind: 'silent' };

/**
 * Reads around the page cache, for a program that must go on when a device hangs: a look that takes
 * too long is given up, and the device is not asked again before that call has ended. The file is
 * open for the time of one look only, as it would keep its device from being removed.
 *
 * A thread that waits for a block device keeps its process, dead or not, until the device answers:
 * the shell would wait for it. So another process reads first, and is left behind.
 */
export class FreshReads {
  readonly #deadlineMs: number;
  /** When a device answered such a process last. */
  readonly #answeredMs = new Map<string, number>();
  /** Paths with a look under way. */
  readonly #pending = new Set<string>();
  /** Those of them that were given up. */
  readonly #late = new Set<string>();
  /** Looks that wait for another one to end, or to be given up. */
  #waiting: (() => void)[] = [];
  readonly #small = new Buffers(SMALL_BYTES);
  readonly #large = new Buffers(LARGE_BYTES);

  constructor(deadlineMs: number) {
    this.#deadlineMs = deadlineMs;
  }

  /** Another process has read the device just now: it need not be tried before the next look. */
  hasAnswered(path: string): void {
    this.#answeredMs.set(path, monotonicMs());
  }

  /** Some call hangs: the process does not end by itself. */
  get hangs(): boolean {
    return this.#pending.size > 0;
  }

  /**
   * A look at a device that is looked at comes after that one, and few are under way at once.
   * @returns what `look` returns, or a sentence: the device does not open, or hangs
   */
  async look<T>(path: string, look: (readPiece: ReadPiece) => Promise<T>): Promise<T | string> {
    while (this.#mustWait(path)) await this.#change();
    if (this.#late.has(path)) return `an earlier read of ${path} still hangs`;
    if (this.#late.size >= MAX_LOOKS) return `${this.#late.size} reads of other devices hang`;
    const done = await this.attempt(path, (tryPiece) =>
      look(async (at) => {
        const piece = await tryPiece(at);
        return 'errno' in piece ? pieceSentence(path, at, piece.errno) : piece;
      }),
    );
    switch (done.kind) {
      case 'done':
        return done.value;
      case 'failed':
        return `cannot open ${path}: ${done.errno}`;
      case 'silent':
        return `${path} did not answer a read within ${this.#deadlineMs / 1000} s`;
      default:
        return unreachable(done);
    }
  }

  /** As `look`, for who tells failures apart; `failed`: the device does not open. */
  async attempt<T>(path: string, look: (piece: TryPiece) => Promise<T>): Promise<Attempt<T>> {
    while (this.#mustWait(path)) await this.#change();
    if (this.#late.has(path) || this.#late.size >= MAX_LOOKS) return { kind: 'silent' };
    this.#pending.add(path);
    const done = this.#afterAnswer(path, look).finally(() => {
      this.#pending.delete(path);
      this.#late.delete(path);
      this.#wake();
    });
    let timer: NodeJS.Timeout | null = null;
    const late = new Promise<Attempt<T>>((resolve) => {
      timer = setTimeout(() => {
        this.#late.add(path);
        this.#wake();
        resolve({ kind: 'silent' });
      }, this.#deadlineMs);
    });
    try {
      return await Promise.race([done, late]);
    } finally {
      if (timer !== null) clearTimeout(timer);
    }
  }

  /** It waits no longer than those take that are before it: each ends, or is given up. */
  #mustWait(path: string): boolean {
    const isBusy = this.#pending.has(path) || this.#pending.size >= MAX_LOOKS;
    return isBusy && !this.#late.has(path) && this.#late.size < MAX_LOOKS;
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const go of waiting) go();
  }

  async #afterAnswer<T>(path: string, look: (piece: TryPiece) => Promise<T>): Promise<Attempt<T>> {
    const sinceMs = monotonicMs() - (this.#answeredMs.get(path) ?? Number.NEGATIVE_INFINITY);
    if (sinceMs > ANSWER_HOLDS_MS) {
      await deviceAnswers(path, this.#deadlineMs);
      if (this.#late.has(path)) return { kind: 'silent' };
      this.hasAnswered(path);
    }
    return await this.#whole(path, look);
  }

  async #whole<T>(path: string, look: (piece: TryPiece) => Promise<T>): Promise<Attempt<T>> {
    const fd = await openDirect(path);
    if (fd < 0) return { kind: 'failed', errno: errnoName(-fd) };
    const taken = new Map<Buffers, Uint8Array>();
    const tryPiece: TryPiece = (at) => {
      const buffers = at.length <= SMALL_BYTES ? this.#small : this.#large;
      const buffer = taken.get(buffers) ?? buffers.take();
      if (buffer === null || at.length > buffer.length) return Promise.resolve({ errno: 'ENOMEM' });
      taken.set(buffers, buffer);
      return readPiece({ fd, buffer }, at);
    };
    try {
      return { kind: 'done', value: await look(tryPiece) };
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

/** Why a piece is not read that lies beyond the end of the device, in part or as a whole. */
export function endsBeforeText(path: string, end: number): string {
  return `${path} ends before byte ${end}`;
}

function pieceSentence(
  path: string,
  { offset, length }: { readonly offset: number; readonly length: number },
  errno: string,
): string {
  if (errno === 'EMSGSIZE') return endsBeforeText(path, offset + length);
  if (errno === 'ENOMEM') return `no memory is left to read ${length} bytes of ${path}`;
  return `cannot read ${path}: ${errno}`;
}

/**
 * No device of characters has leases, and to open one may do something: it starts a watchdog.
 * @returns the descriptor, or a negative errno
 */
async function openDirect(path: string): Promise<number> {
  if (await isCharacters(path)) return -ERRNO.ENODEV;
  const flags = constants.O_RDONLY | constants.O_NONBLOCK;
  const direct = await openWith(path, flags | constants.O_DIRECT);
  return direct === -ERRNO.EINVAL ? openWith(path, flags) : direct; // tmpfs has no O_DIRECT
}

function isCharacters(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    stat(path, (failure, stats) => resolve(failure === null && stats.isCharacterDevice()));
  });
}

function openWith(path: string, flags: number): Promise<number> {
  return new Promise((resolve) => {
    open(path, flags, (failure, fd) => resolve(failure === null ? fd : -errnoOf(failure)));
  });
}

function readPiece(
  from: { readonly fd: number; readonly buffer: Uint8Array },
  { offset, length }: { readonly offset: number; readonly length: number },
): Promise<Uint8Array | { readonly errno: string }> {
  const { fd, buffer } = from;
  return new Promise((resolve) => {
    read(fd, buffer, 0, length, offset, (failure, moved) => {
      if (failure !== null) resolve({ errno: errnoName(errnoOf(failure)) });
      else if (moved < length) resolve({ errno: 'EMSGSIZE' });
      else resolve(buffer.slice(0, length));
    });
  });
}
