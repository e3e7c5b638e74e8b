import { assert } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import { AioRing } from './aio-ring.ts';
import type { DiskEngine, Transfer } from './disk-device.ts';
import { FdWatcher } from './fd-watcher.ts';
import {
  allocateAligned,
  checked,
  closeFd,
  eventfd,
  ioctlPointer,
  lastErrno,
  rawSyscall,
  readInto,
  SystemCallError,
} from './system-calls.ts';

const DEPTH = 256; // requests in the kernel at once, those of a hung device included
const RETRY_MS = 5; // io_submit answered EAGAIN: the block layer's queue is full
const BRIEF_WAIT_NS = 500_000;
const BRIEF_BYTES = 4096; //    a transfer that may well be done within the brief wait
const LEAST_PAUSE = 4; //       requests without a brief wait after one that was in vain,
const MOST_PAUSE = 256; //      twice as many after each further one
const IOCB_BYTES = 64;
const EVENT_BYTES = 32;
const EVENTFD_FLAGS = 0x80800; // EFD_CLOEXEC | EFD_NONBLOCK
const BLKSSZGET = 0x1268;
const BLKGETSIZE64 = 0x80081272;
/** Numbers of the system calls of kernel AIO. */
export const AIO_CALLS =
  process.arch === 'arm64'
    ? { setup: 0, submit: 2, getevents: 4 }
    : { setup: 206, submit: 209, getevents: 208 };

/**
 * Kernel AIO with completions through an eventfd (spec 70 §2.2): no threads, many requests in
 * flight, and on a hung device the event loop goes on. A request cannot be cancelled.
 */
export class AioEngine implements DiskEngine {
  readonly depth = DEPTH;
  readonly #context: number;
  /** null: completions are asked for by system calls. */
  readonly #ring: AioRing | null;
  readonly #eventFd: number;
  readonly #watcher: FdWatcher;
  readonly #words: Int32Array;
  readonly #iocbs: number; // address of iocb 0
  readonly #pointers: number;
  readonly #events: number;
  readonly #briefly: number; // address of the timespec of a brief wait
  readonly #drained = new Uint8Array(8);
  readonly #finishOne = (slot: number, result: number) => this.#finish(slot, result);
  readonly #running: (Transfer | null)[] = new Array<Transfer | null>(DEPTH).fill(null);
  readonly #freeSlots: number[] = Array.from({ length: DEPTH }, (_, i) => DEPTH - 1 - i);
  #unsent: number[] = [];
  #briefPause = 0;
  #nextPause = LEAST_PAUSE;
  #flushPlanned = false;
  #drainPlanned = false;

  /** @param ringOf null from it: completions are asked for by system calls */
  constructor(ringOf = AioRing.of) {
    const control = allocateAligned(65536);
    if (control === null) throw new SystemCallError('posix_memalign', 12);
    this.#words = new Int32Array(control.bytes.buffer);
    this.#iocbs = control.address;
    this.#pointers = this.#iocbs + DEPTH * IOCB_BYTES;
    this.#events = this.#pointers + DEPTH * 8;
    this.#briefly = control.address + 65504;
    setLong(this.#words, (65504 + 8) / 4, BRIEF_WAIT_NS);
    const context = new BigUint64Array(control.bytes.buffer, 65528, 1);
    const result = rawSyscall(AIO_CALLS.setup, DEPTH, control.address + 65528, 0, 0, 0);
    checked('io_setup', Number(result));
    this.#context = Number(context[0]);
    this.#ring = ringOf(context[0] ?? 0n);
    this.#eventFd = checked('eventfd', eventfd(0, EVENTFD_FLAGS));
    this.#watcher = new FdWatcher(this.#eventFd, () => this.#reap());
  }

  start(transfer: Transfer): boolean {
    const slot = this.#freeSlots.pop();
    if (slot === undefined) return false;
    this.#running[slot] = transfer;
    this.#fillIocb(slot, transfer);
    this.#unsent.push(slot);
    if (!this.#flushPlanned) {
      this.#flushPlanned = true;
      process.nextTick(() => this.#flush()); // all requests of one tick in one io_submit
    }
    return true;
  }

  deviceSectorSize(fd: number): number | null {
    const size = new Uint8Array(4);
    if (ioctlPointer(fd, BLKSSZGET, size) < 0) return null;
    return new DataView(size.buffer).getInt32(0, true);
  }

  deviceBytes(fd: number): number | null {
    const size = new Uint8Array(8);
    if (ioctlPointer(fd, BLKGETSIZE64, size) < 0) return null;
    return Number(new DataView(size.buffer).getBigUint64(0, true));
  }

  /** Only for tests: a daemon keeps its engine until it ends. */
  close(): void {
    this.#watcher.close();
    closeFd(this.#eventFd);
  }

  #fillIocb(slot: number, transfer: Transfer): void {
    const words = this.#words;
    const at = slot * (IOCB_BYTES / 4);
    words.fill(0, at, at + IOCB_BYTES / 4);
    words[at] = slot; //                          aio_data
    words[at + 4] = transfer.write ? 1 : 0; //    aio_lio_opcode: pread, pwrite
    words[at + 5] = transfer.fd;
    setLong(words, at + 6, transfer.buffer.address);
    setLong(words, at + 8, transfer.length);
    setLong(words, at + 10, transfer.offset);
    words[at + 14] = 1; //                        IOCB_FLAG_RESFD
    words[at + 15] = this.#eventFd;
  }

  #flush(): void {
    this.#flushPlanned = false;
    const slots = this.#takeUnsent();
    const pointerWord = (this.#pointers - this.#iocbs) / 4;
    for (let i = 0; i < slots.length; i++) {
      const iocb = this.#iocbs + (slots[i] ?? 0) * IOCB_BYTES;
      setLong(this.#words, pointerWord + i * 2, iocb);
    }
    let sent = 0;
    while (sent < slots.length) {
      const result = Number(
        rawSyscall(
          AIO_CALLS.submit,
          this.#context,
          slots.length - sent,
          this.#pointers + sent * 8,
          0,
          0,
        ),
      );
      if (result > 0) {
        sent += result;
        continue;
      }
      const errno = result < 0 ? lastErrno() : ERRNO.EAGAIN;
      if (errno === ERRNO.EAGAIN) {
        this.#sendLater(slots.slice(sent));
        return;
      }
      const refused = slots[sent]; // the kernel stops at the first request it cannot take
      sent++;
      if (refused !== undefined) this.#finish(refused, -errno);
    }
    this.#waitBriefly(slots);
  }

  /**
   * One or two small requests in flight, as in every step of a lease procedure: on a fast device
   * they are done sooner than the event loop could fall asleep and wake up. A device that is not
   * that fast costs a brief wait now and then: the more were in vain, the fewer.
   */
  #waitBriefly(slots: readonly number[]): void {
    if (this.#ring !== null && this.#takeAll(this.#ring) >= slots.length) {
      this.#planDrain();
      return;
    }
    if (slots.length > 2 || this.#freeSlots.length !== DEPTH - slots.length) return;
    if (this.#briefPause > 0) {
      this.#briefPause--;
      return;
    }
    const isBrief = (slot: number) => (this.#running[slot]?.length ?? Infinity) <= BRIEF_BYTES;
    if (!slots.every(isBrief)) return;
    if (this.#collect(slots.length) >= slots.length) {
      this.#nextPause = LEAST_PAUSE;
      this.#planDrain();
      return;
    }
    this.#briefPause = this.#nextPause;
    this.#nextPause = Math.min(2 * this.#nextPause, MOST_PAUSE);
  }

  /** Drops requests that timed out while they waited: a write that old must not reach the device. */
  #takeUnsent(): readonly number[] {
    const unsent = this.#unsent;
    this.#unsent = [];
    return unsent.filter((slot) => this.#keepOrDrop(slot));
  }

  /** @returns whether it is still wanted */
  #keepOrDrop(slot: number): boolean {
    if (this.#running[slot]?.wanted() === true) return true;
    this.#takeOut(slot).dropped();
    return false;
  }

  #sendLater(slots: readonly number[]): void {
    this.#unsent = [...slots, ...this.#unsent];
    if (this.#flushPlanned) return;
    this.#flushPlanned = true;
    setTimeout(() => this.#flush(), RETRY_MS);
  }

  /** Behind all that this tick still has to say: the loop would wake up for what is done already. */
  #planDrain(): void {
    if (this.#drainPlanned) return;
    this.#drainPlanned = true;
    process.nextTick(() => {
      this.#drainPlanned = false;
      if (!this.#flushPlanned) this.#reap(); // else the next ones are done as soon, or wake it
    });
  }

  /** In this order: what is done after the read makes the descriptor readable again. */
  #reap(): void {
    readInto(this.#eventFd, this.#drained, 8);
    if (this.#ring !== null) this.#takeAll(this.#ring);
    else while (this.#collect(0) === DEPTH);
  }

  #takeAll(ring: AioRing): number {
    let count = 0;
    while (ring.take(this.#finishOne)) count++;
    return count;
  }

  /** Takes completions off the kernel's ring; it waits for `least` of them, briefly. */
  #collect(least: number): number {
    const { getevents } = AIO_CALLS;
    const until = least === 0 ? 0 : this.#briefly;
    const result = rawSyscall(getevents, this.#context, least, DEPTH, this.#events, until);
    const count = Math.max(0, Number(result));
    const eventWord = (this.#events - this.#iocbs) / 4;
    // Copied first: a request started by a finished one may collect again, into the same memory.
    const slots: number[] = [];
    const results: number[] = [];
    for (let i = 0; i < count; i++) {
      const at = eventWord + i * (EVENT_BYTES / 4);
      slots.push(this.#words[at] ?? 0);
      results.push(this.#words[at + 4] ?? 0);
    }
    for (let i = 0; i < count; i++) this.#finish(slots[i] ?? 0, results[i] ?? 0);
    return count;
  }

  #finish(slot: number, result: number): void {
    this.#takeOut(slot).ended(result);
  }

  #takeOut(slot: number): Transfer {
    const transfer = this.#running[slot];
    assert(transfer !== null && transfer !== undefined, 'a completion belongs to a request');
    this.#running[slot] = null;
    this.#freeSlots.push(slot);
    return transfer;
  }
}

function setLong(words: Int32Array, at: number, value: number): void {
  words[at] = value | 0;
  words[at + 1] = Math.floor(value / 0x100000000);
}
