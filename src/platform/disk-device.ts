import type { Stats } from 'node:fs';
import { assert } from '../base/assert.ts';
import type { ByteString } from '../base/bytes.ts';
import { ERRNO } from '../base/errno.ts';
import type { BootClock, Timer } from '../ports/clock.ts';
import type { Disk, DiskReply, Disks, LateEnd, Urgency } from '../ports/disk.ts';
import { type AlignedBuffer, type AlignedPool, LARGEST } from './aligned-memory.ts';
import { DiskOpens } from './disk-opens.ts';
import { DiskRoom, type Visitor } from './disk-room.ts';

export interface Transfer {
  readonly fd: number;
  readonly write: boolean;
  readonly buffer: AlignedBuffer;
  readonly length: number;
  readonly offset: number;
  /** false once it timed out: an engine that has not sent it yet drops it. */
  wanted(): boolean;
  /**
   * Called once: bytes moved, or minus errno, any that there is. With a hung device, much later or
   * never.
   */
  ended(result: number): void;
  /** Called instead: it was dropped for not being wanted, and the kernel never had it. */
  dropped(): void;
}

/** How sectors reach the device: kernel AIO, or the thread pool. */
export interface DiskEngine {
  /** Transfers that it can have under way at once. */
  readonly depth: number;
  /** false when the engine has no room; `ended` is then never called. Never calls back at once. */
  start(transfer: Transfer): boolean;
  /** Sector size of an open block device; null when it is none or cannot be wish. */
  deviceSectorSize(fd: number): number | null;
  /** Of an open block device, as the kernel has it now; null: it is none, or that is not known. */
  deviceBytes(fd: number): number | null;
}

type Answer = (reply: DiskReply) => void;
type Opened = Parameters<Parameters<Disks['open']>[2]>[0];

const UNKNOWN: DiskReply = { outcome: 'unknown' };

/** What all disks of a process share. */
interface Shared {
  readonly engine: DiskEngine;
  readonly clock: BootClock;
  readonly room: DiskRoom;
  readonly opens: DiskOpens;
}

/**
 * Disks over an engine, pools and a clock: deadlines and memory live here, once for all engines.
 */
export class DeviceDisks implements Disks {
  readonly #shared: Shared;

  constructor(parts: {
    readonly engine: DiskEngine;
    readonly pool: AlignedPool;
    readonly urgentPool: AlignedPool;
    readonly clock: BootClock;
  }) {
    const { engine, clock, pool, urgentPool } = parts;
    const room = new DiskRoom({ depth: engine.depth, pool, urgentPool });
    this.#shared = { engine, clock, room, opens: new DiskOpens() };
  }

  open(
    path: ByteString,
    timeoutMs: number,
    answer: (opened: Opened) => void,
    { urgent = false }: Urgency = {},
  ): void {
    let waiting = true;
    const settle = (opened: Opened) => {
      if (!waiting) return;
      waiting = false;
      deadline.cancel();
      answer(opened);
    };
    const { clock, opens } = this.#shared;
    const deadline = clock.after(timeoutMs, () => settle({ ok: false, errno: ERRNO.ETIMEDOUT }));
    opens.open(path, { urgent, wanted: () => waiting }, (opened) => {
      settle('fd' in opened ? this.#opened(path, opened) : { ok: false, ...opened });
    });
  }

  #opened(path: ByteString, { fd, stats }: { readonly fd: number; readonly stats: Stats }): Opened {
    const isBlock = stats.isBlockDevice();
    const sectorSize = isBlock ? this.#shared.engine.deviceSectorSize(fd) : null;
    // Files of one file system hang together.
    const group = isBlock ? `device ${stats.rdev}` : `files ${stats.dev}`;
    return {
      ok: true,
      disk: new DeviceDisk({ fd, path, group, shared: this.#shared }),
      deviceId: isBlock ? group : `file ${stats.dev}:${stats.ino}`,
      deviceSectorSize: sectorSize === 512 || sectorSize === 4096 ? sectorSize : null,
    };
  }
}

interface OpenFile {
  readonly fd: number;
  readonly path: ByteString;
  /** Paths of one group hang together. */
  readonly group: string;
  readonly shared: Shared;
}

interface Wish {
  readonly offset: number;
  readonly length: number;
  readonly urgent: boolean;
  /** null: it reads. */
  readonly bytes: Uint8Array | null;
  readonly timeoutMs: number;
  readonly answer: Answer;
  readonly endedLate: ((end: LateEnd) => void) | undefined;
}

/**
 * One request on its way: it waits for room, then the engine has it. One object and hardly a
 * closure: there are ten of them in an acquire and its release.
 */
class Request implements Visitor, Transfer {
  readonly fd: number;
  readonly group: string;
  readonly offset: number;
  readonly length: number;
  readonly urgent: boolean;
  readonly write: boolean;
  readonly #answer: Answer;
  readonly #endedLate: ((end: LateEnd) => void) | undefined;
  readonly #shared: Shared;
  readonly #over: () => void;
  /** By the clock: a process that was stopped or asleep may come here before its timers do. */
  readonly #untilMs: number;
  #bytes: Uint8Array | null;
  #buffer: AlignedBuffer = NO_BUFFER;
  /** null: answered. */
  #deadline: Timer | null;
  #begun = false;
  /** Of a read that is done: the caller still reads its memory. */
  #read = false;

  /** @param over the kernel has nothing to do with it any more */
  constructor(wish: Wish, of: OpenFile, over: () => void) {
    const { shared } = of;
    this.fd = of.fd;
    this.group = of.group;
    this.offset = wish.offset;
    this.length = wish.length;
    this.urgent = wish.urgent;
    this.write = wish.bytes !== null;
    this.#answer = wish.answer;
    this.#endedLate = wish.endedLate;
    this.#bytes = wish.bytes;
    this.#shared = shared;
    this.#over = over;
    this.#untilMs = shared.clock.bootMs() + wish.timeoutMs;
    this.#deadline = shared.clock.after(wish.timeoutMs, () => this.#expire());
  }

  enter(): void {
    if (!this.#shared.room.enter(this)) this.#refused();
    // The caller may reuse its memory at once, but where there is room it is copied only once.
    else if (!this.#begun) this.#bytes = this.#bytes?.slice() ?? null;
  }

  get buffer(): AlignedBuffer {
    return this.#buffer;
  }

  wanted(): boolean {
    return this.#deadline !== null && this.#shared.clock.bootMs() < this.#untilMs;
  }

  begin(buffer: AlignedBuffer): void {
    this.#begun = true;
    this.#buffer = buffer;
    if (this.#bytes !== null) buffer.bytes.set(this.#bytes);
    this.#bytes = null;
    if (!this.#shared.engine.start(this)) process.nextTick(() => this.#unsent(ERRNO.EAGAIN));
  }

  ended(result: number): void {
    const isLate = this.#settle();
    const { length } = this;
    this.#shared.room.leave(this);
    this.#read = !isLate && !this.write && result === length;
    if (!this.#read) this.#releaseMemory();
    this.#over();
    // Late, it was answered `unknown` before; the memory and this report were still owed.
    const isUnsent = result === -ERRNO.ENOSPC && this.#isPastEnd();
    if (isLate) this.#endedLate?.(lateEndOf(result === length, isUnsent));
    else if (isUnsent) this.#answer({ ...DROPPED, errno: ERRNO.ENOSPC });
    else if (result < 0) this.#answer({ outcome: 'failed', errno: -result });
    else if (result !== length) this.#answer({ outcome: 'failed', errno: ERRNO.EMSGSIZE });
    else this.#answer(this.write ? WRITTEN : this.#readDone());
  }

  /** The kernel refuses such a write by itself, and the device never hears of it. */
  #isPastEnd(): boolean {
    const bytes = this.write ? this.#shared.engine.deviceBytes(this.fd) : null;
    return bytes !== null && this.offset >= bytes;
  }

  /** Its time is over, and whether the engine or the timer notices first makes no difference. */
  dropped(): void {
    const isLate = this.#settle();
    this.#leave();
    if (!isLate) this.#answer(UNKNOWN);
    this.#endedLate?.('unsent');
  }

  #expire(): void {
    this.#deadline = null;
    this.#answer(UNKNOWN);
    if (this.#begun) return;
    this.#shared.room.forget(this); // it was never sent, and never will be
    this.#over();
    this.#endedLate?.('unsent');
  }

  #refused(): void {
    this.#settle();
    this.#over();
    const errno = this.length > LARGEST ? ERRNO.ENOMEM : ERRNO.EAGAIN;
    process.nextTick(this.#answer, { ...DROPPED, errno });
  }

  #unsent(errno: number): void {
    const isLate = this.#settle();
    this.#leave();
    if (isLate) this.#endedLate?.('unsent');
    else this.#answer({ ...DROPPED, errno });
  }

  #leave(): void {
    this.#shared.room.leave(this);
    this.#releaseMemory();
    this.#over();
  }

  /** Stops the clock. @returns whether `unknown` was answered before */
  #settle(): boolean {
    const isLate = this.#deadline === null;
    this.#deadline?.cancel();
    this.#deadline = null;
    return isLate;
  }

  #readDone(): DiskReply {
    const bytes = this.#buffer.bytes.subarray(0, this.length);
    return { outcome: 'done', bytes, release: () => this.#release() };
  }

  #release(): void {
    if (this.#read) this.#releaseMemory();
    this.#read = false;
  }

  #releaseMemory(): void {
    this.#shared.room.release(this, this.#buffer);
  }
}

class DeviceDisk implements Disk {
  readonly #file: OpenFile;
  readonly #over = () => this.#ended();
  #running = 0;
  #closed = false;

  constructor(file: OpenFile) {
    this.#file = file;
  }

  read(at: { offset: number; length: number } & Urgency, timeoutMs: number, answer: Answer): void {
    const { offset, length, urgent = false } = at;
    this.#submit({ offset, length, urgent, bytes: null, timeoutMs, answer, endedLate: undefined });
  }

  write(
    at: { offset: number; bytes: Uint8Array } & Urgency,
    timeoutMs: number,
    answer: Answer,
    endedLate?: (end: LateEnd) => void,
  ): void {
    const { offset, bytes, urgent = false } = at;
    const { length } = bytes;
    this.#submit({ offset, length, urgent, bytes, timeoutMs, answer, endedLate });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#closeWhenIdle();
  }

  #submit(wish: Wish): void {
    assert(!this.#closed, 'a disk is used only until it is closed');
    this.#running++;
    new Request(wish, this.#file, this.#over).enter();
  }

  #ended(): void {
    this.#running--;
    this.#closeWhenIdle();
  }

  #closeWhenIdle(): void {
    const { shared, fd, path } = this.#file;
    if (this.#closed && this.#running === 0) shared.opens.close(fd, path);
  }
}

function lateEndOf(isWhole: boolean, isUnsent: boolean): LateEnd {
  if (isWhole) return 'landed';
  return isUnsent ? 'unsent' : 'refused';
}

const DROPPED = { outcome: 'failed', unsent: true } as const;
const WRITTEN: DiskReply = { outcome: 'done', bytes: new Uint8Array(0), release: () => {} };
const NO_BUFFER: AlignedBuffer = { bytes: new Uint8Array(0), address: 0 };
