import type { Stats } from 'node:fs';
import { assert } from '../base/assert.ts';
import type { ByteString } from '../base/bytes.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { Disk, DiskReply, Disks, LateEnd, Urgency } from '../ports/disk.ts';
import { type AlignedBuffer, type AlignedPool, LARGEST } from './aligned-memory.ts';
import { DiskOpens } from './disk-opens.ts';
import { DiskRoom, type Visitor } from './disk-room.ts';
import { EAGAIN, ECANCELED, EMSGSIZE, ENOMEM, ETIMEDOUT } from './errno.ts';

export interface Transfer {
  readonly fd: number;
  readonly write: boolean;
  readonly buffer: AlignedBuffer;
  readonly length: number;
  readonly offset: number;
  /** false once it timed out: an engine that has not sent it yet drops it. */
  readonly wanted: () => boolean;
  /**
   * Called once: bytes moved, or minus errno, any that there is. With a hung device, much later or
   * never.
   */
  readonly ended: (result: number) => void;
  /** Called instead: it was dropped for not being wanted, and the kernel never had it. */
  readonly dropped: () => void;
}

/** How sectors reach the device: kernel AIO, or the thread pool. */
export interface DiskEngine {
  /** Transfers that it can have under way at once. */
  readonly depth: number;
  /** false when the engine has no room; `ended` is then never called. Never calls back at once. */
  start(transfer: Transfer): boolean;
  /** Sector size of an open block device; null when it is none or cannot be asked. */
  deviceSectorSize(fd: number): number | null;
}

type Answer = (reply: DiskReply) => void;
type Opened = Parameters<Parameters<Disks['open']>[2]>[0];

const UNKNOWN: DiskReply = { outcome: 'unknown' };

/** What all disks of a process share. */
interface Shared {
  readonly engine: DiskEngine;
  readonly clock: Clock;
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
    readonly clock: Clock;
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
    const deadline = clock.after(timeoutMs, () => settle({ ok: false, errno: ETIMEDOUT }));
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
      disk: new DeviceDisk({ fd, path, group }, this.#shared),
      deviceId: isBlock ? group : `file ${stats.dev}:${stats.ino}`,
      deviceSectorSize: sectorSize === 512 || sectorSize === 4096 ? sectorSize : null,
    };
  }
}

interface Request {
  readonly offset: number;
  readonly length: number;
  readonly urgent: boolean;
  /** null: it reads. */
  readonly bytes: Uint8Array | null;
  readonly timeoutMs: number;
  readonly answer: Answer;
  readonly endedLate: (end: LateEnd) => void;
}

class DeviceDisk implements Disk {
  readonly #fd: number;
  readonly #path: ByteString;
  readonly #group: string;
  readonly #shared: Shared;
  #running = 0;
  #closed = false;

  constructor(
    of: { readonly fd: number; readonly path: ByteString; readonly group: string },
    shared: Shared,
  ) {
    this.#fd = of.fd;
    this.#path = of.path;
    this.#group = of.group;
    this.#shared = shared;
  }

  read(at: { offset: number; length: number } & Urgency, timeoutMs: number, answer: Answer): void {
    const { offset, length, urgent = false } = at;
    const never = () => {};
    this.#ask({ offset, length, urgent, bytes: null, timeoutMs, answer, endedLate: never });
  }

  write(
    at: { offset: number; bytes: Uint8Array } & Urgency,
    timeoutMs: number,
    answer: Answer,
    endedLate: (end: LateEnd) => void = () => {},
  ): void {
    const { offset, bytes, urgent = false } = at;
    const { length } = bytes;
    this.#ask({ offset, length, urgent, bytes, timeoutMs, answer, endedLate });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#closeWhenIdle();
  }

  #ask(request: Request): void {
    assert(!this.#closed, 'a disk is used only until it is closed');
    const { room, clock } = this.#shared;
    const { length, urgent } = request;
    // By the clock: stopped or asleep meanwhile, the process may come here before its timers do.
    const untilMs = this.#uptimeMs() + request.timeoutMs;
    let deadline: Timer | null = null;
    let begun = false;
    // The caller may reuse its memory at once, but where there is room it is copied only once.
    let bytes = request.bytes;
    const visitor: Visitor = {
      group: this.#group,
      length,
      urgent,
      wanted: () => deadline !== null && this.#uptimeMs() < untilMs,
      begin: (buffer) => {
        begun = true;
        this.#begin(visitor, { ...request, bytes }, buffer, () => {
          const isLate = deadline === null;
          deadline?.cancel();
          deadline = null;
          return isLate;
        });
      },
    };
    this.#running++;
    deadline = clock.after(request.timeoutMs, () => {
      deadline = null;
      request.answer(UNKNOWN);
      if (begun) return;
      room.forget(visitor); // it was never sent, and never will be
      this.#ended();
      request.endedLate('unsent');
    });
    if (!room.enter(visitor)) {
      deadline.cancel();
      this.#ended();
      const errno = length > LARGEST ? ENOMEM : EAGAIN;
      answerLater(request.answer, { ...DROPPED, errno });
    } else if (!begun) bytes = request.bytes?.slice() ?? null;
  }

  /** @param settle stops the clock; whether `unknown` was answered before */
  #begin(visitor: Visitor, request: Request, buffer: AlignedBuffer, settle: () => boolean): void {
    const { room, engine } = this.#shared;
    const { offset, length, bytes } = request;
    const write = bytes !== null;
    if (bytes !== null) buffer.bytes.set(bytes);
    const ended = (result: number): void => {
      const isLate = settle();
      room.leave(visitor);
      const isRead = !isLate && !write && result === length;
      if (!isRead) room.giveBack(visitor, buffer);
      this.#ended();
      if (isLate) {
        // Answered `unknown` before; the memory and this word were still owed.
        request.endedLate(result === length ? 'landed' : 'refused');
        return;
      }
      if (result < 0) request.answer({ outcome: 'failed', errno: -result });
      else if (result !== length) request.answer({ outcome: 'failed', errno: EMSGSIZE });
      else request.answer(write ? WRITTEN : this.#readDone(visitor, buffer));
    };
    const unsent = (errno: number): void => {
      const isLate = settle();
      room.leave(visitor);
      room.giveBack(visitor, buffer);
      this.#ended();
      if (isLate) request.endedLate('unsent');
      else request.answer({ ...DROPPED, errno });
    };
    const { wanted } = visitor;
    const how = { wanted, ended, dropped: () => unsent(ECANCELED) };
    if (engine.start({ fd: this.#fd, write, buffer, length, offset, ...how })) return;
    process.nextTick(() => unsent(EAGAIN));
  }

  #uptimeMs(): number {
    const { clock } = this.#shared;
    return clock.nowMs() + (clock.asleepMs?.() ?? 0);
  }

  #readDone(visitor: Visitor, buffer: AlignedBuffer): DiskReply {
    let held = true;
    const release = () => {
      if (held) this.#shared.room.giveBack(visitor, buffer);
      held = false;
    };
    return { outcome: 'done', bytes: buffer.bytes.subarray(0, visitor.length), release };
  }

  #ended(): void {
    this.#running--;
    this.#closeWhenIdle();
  }

  #closeWhenIdle(): void {
    if (this.#closed && this.#running === 0) this.#shared.opens.close(this.#fd, this.#path);
  }
}

const DROPPED = { outcome: 'failed', unsent: true } as const;
const WRITTEN: DiskReply = { outcome: 'done', bytes: new Uint8Array(0), release: () => {} };

function answerLater(answer: Answer, reply: DiskReply): void {
  process.nextTick(answer, reply);
}
