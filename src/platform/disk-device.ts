import { close as closeFile, constants, fstat, open as openFile, type Stats } from 'node:fs';
import { assert } from '../base/assert.ts';
import type { ByteString } from '../base/bytes.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { Disk, DiskReply, Disks, LateEnd } from '../ports/disk.ts';
import type { AlignedBuffer, AlignedPool } from './aligned-memory.ts';
import { EAGAIN, ECANCELED, EIO, EMSGSIZE, ENOMEM, ETIMEDOUT } from './errno.ts';

export interface Transfer {
  readonly fd: number;
  readonly write: boolean;
  readonly buffer: AlignedBuffer;
  readonly length: number;
  readonly offset: number;
  /** false once it timed out: an engine that has not sent it yet drops it. */
  readonly wanted: () => boolean;
  /**
   * Called once: bytes moved, or minus errno; -ECANCELED of what was dropped for not being wanted.
   * With a hung device, much later or never.
   */
  readonly ended: (result: number) => void;
}

/** How sectors reach the device: kernel AIO, or the thread pool. */
export interface DiskEngine {
  /** false when the engine has no room; `ended` is then never called. Never calls back at once. */
  start(transfer: Transfer): boolean;
  /** Sector size of an open block device; null when it is none or cannot be asked. */
  deviceSectorSize(fd: number): number | null;
}

type Answer = (reply: DiskReply) => void;
type Opened = Parameters<Parameters<Disks['open']>[2]>[0];

const UNKNOWN: DiskReply = { outcome: 'unknown' };
const OPEN_FLAGS = constants.O_RDWR | constants.O_DIRECT | constants.O_SYNC;

/**
 * Disks over an engine, a pool and a clock: deadlines and memory live here, once for all engines.
 */
export class DeviceDisks implements Disks {
  readonly #engine: DiskEngine;
  readonly #pool: AlignedPool;
  readonly #clock: Clock;

  constructor(parts: {
    readonly engine: DiskEngine;
    readonly pool: AlignedPool;
    readonly clock: Clock;
  }) {
    this.#engine = parts.engine;
    this.#pool = parts.pool;
    this.#clock = parts.clock;
  }

  open(path: ByteString, timeoutMs: number, answer: (opened: Opened) => void): void {
    let waiting = true;
    const settle = (opened: Opened) => {
      // Too late: whoever asked was told ETIMEDOUT and must not find the device held open.
      if (!waiting && opened.ok) opened.disk.close();
      if (!waiting) return;
      waiting = false;
      deadline.cancel();
      answer(opened);
    };
    const deadline = this.#clock.after(timeoutMs, () => settle({ ok: false, errno: ETIMEDOUT }));
    openFile(Buffer.from(path, 'latin1'), OPEN_FLAGS, (failure, fd) => {
      if (failure !== null) {
        settle({ ok: false, errno: errnoOf(failure) });
        return;
      }
      fstat(fd, (noStat, stats) => {
        if (noStat === null) {
          settle(this.#opened(fd, stats));
          return;
        }
        closeFile(fd, () => {});
        settle({ ok: false, errno: errnoOf(noStat) });
      });
    });
  }

  #opened(fd: number, stats: Stats): Opened {
    const sectorSize = stats.isBlockDevice() ? this.#engine.deviceSectorSize(fd) : null;
    return {
      ok: true,
      disk: new DeviceDisk(fd, { engine: this.#engine, pool: this.#pool, clock: this.#clock }),
      deviceId: stats.isBlockDevice() ? `device ${stats.rdev}` : `file ${stats.dev}:${stats.ino}`,
      deviceSectorSize: sectorSize === 512 || sectorSize === 4096 ? sectorSize : null,
    };
  }
}

class DeviceDisk implements Disk {
  readonly #fd: number;
  readonly #engine: DiskEngine;
  readonly #pool: AlignedPool;
  readonly #clock: Clock;
  #running = 0;
  #closed = false;

  constructor(
    fd: number,
    parts: { readonly engine: DiskEngine; readonly pool: AlignedPool; readonly clock: Clock },
  ) {
    this.#fd = fd;
    this.#engine = parts.engine;
    this.#pool = parts.pool;
    this.#clock = parts.clock;
  }

  read(at: { offset: number; length: number }, timeoutMs: number, answer: Answer): void {
    const buffer = this.#pool.take(at.length);
    if (buffer === null) answerLater(answer, { outcome: 'failed', errno: ENOMEM, unsent: true });
    else this.#transfer({ write: false, buffer, ...at, timeoutMs, answer });
  }

  write(
    at: { offset: number; bytes: Uint8Array },
    timeoutMs: number,
    answer: Answer,
    endedLate: (end: LateEnd) => void = () => {},
  ): void {
    const length = at.bytes.length;
    const buffer = this.#pool.take(length);
    if (buffer === null) {
      answerLater(answer, { outcome: 'failed', errno: ENOMEM, unsent: true });
      return;
    }
    buffer.bytes.set(at.bytes); // ours alone: the caller may reuse its memory at once
    this.#transfer({
      write: true,
      buffer,
      offset: at.offset,
      length,
      timeoutMs,
      answer,
      endedLate,
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#closeWhenIdle();
  }

  #transfer(job: {
    readonly write: boolean;
    readonly buffer: AlignedBuffer;
    readonly offset: number;
    readonly length: number;
    readonly timeoutMs: number;
    readonly answer: Answer;
    readonly endedLate?: (end: LateEnd) => void;
  }): void {
    assert(!this.#closed, 'a disk is used only until it is closed');
    let deadline: Timer | null = null;
    const ended = (result: number) => {
      const late = deadline === null;
      deadline?.cancel();
      this.#running--;
      this.#closeWhenIdle();
      if (late || job.write || result !== job.length) this.#pool.give(job.buffer);
      if (late) {
        // Answered `unknown` before; the memory and this word were still owed.
        job.endedLate?.(lateEnd(result, job.length));
        return;
      }
      if (result === -ECANCELED) job.answer({ outcome: 'failed', errno: ECANCELED, unsent: true });
      else if (result < 0) job.answer({ outcome: 'failed', errno: -result });
      else if (result !== job.length) job.answer({ outcome: 'failed', errno: EMSGSIZE });
      else job.answer(job.write ? WRITTEN : this.#readDone(job.buffer, job.length));
    };
    const { write, buffer, offset, length } = job;
    // By the clock: stopped or asleep meanwhile, the process may come here before its timers do.
    const untilMs = this.#uptimeMs() + job.timeoutMs;
    const wanted = () => deadline !== null && this.#uptimeMs() < untilMs;
    if (!this.#engine.start({ fd: this.#fd, write, buffer, length, offset, wanted, ended })) {
      this.#pool.give(buffer);
      answerLater(job.answer, { outcome: 'failed', errno: EAGAIN, unsent: true });
      return;
    }
    this.#running++;
    deadline = this.#clock.after(job.timeoutMs, () => {
      deadline = null;
      job.answer(UNKNOWN);
    });
  }

  #uptimeMs(): number {
    return this.#clock.nowMs() + (this.#clock.asleepMs?.() ?? 0);
  }

  #readDone(buffer: AlignedBuffer, length: number): DiskReply {
    let held = true;
    const release = () => {
      if (held) this.#pool.give(buffer);
      held = false;
    };
    return { outcome: 'done', bytes: buffer.bytes.subarray(0, length), release };
  }

  #closeWhenIdle(): void {
    if (this.#closed && this.#running === 0) closeFile(this.#fd, () => {});
  }
}

const WRITTEN: DiskReply = { outcome: 'done', bytes: new Uint8Array(0), release: () => {} };

function answerLater(answer: Answer, reply: DiskReply): void {
  process.nextTick(answer, reply);
}

/** An engine says ECANCELED of what it dropped itself. */
function lateEnd(result: number, length: number): LateEnd {
  if (result === -ECANCELED) return 'unsent';
  return result === length ? 'landed' : 'refused';
}

function errnoOf(failure: NodeJS.ErrnoException): number {
  return failure.errno === undefined ? EIO : Math.abs(failure.errno);
}
