import { assert } from '../../base/assert.ts';
import type { Disk, DiskReply, Disks, LateEnd } from '../../ports/disk.ts';
import type { SimClock } from './clock.ts';
import type { ProcessClock } from './process-clock.ts';

/** What a fault plan decides about one operation. */
export interface IoFate {
  /** When the device carries the operation out, from now; Infinity = never. */
  readonly landsInMs: number;
  /** When the answer arrives, from now; Infinity = it is lost. */
  readonly answersInMs: number;
  /** A positive errno: the operation is refused. */
  readonly errno: number | null;
  /** The device answers the write with `errno` and carries it out all the same, so long after it was sent. */
  readonly refusedLandsInMs?: number;
  /** A read of several sectors that is no snapshot: it sees one part now, the other when it lands. */
  readonly torn?: { readonly at: number; readonly tailFirst: boolean };
}

export interface Io {
  readonly host: string;
  readonly path: string;
  readonly write: boolean;
  readonly offset: number;
  readonly length: number;
}

export type FatePlan = (io: Io) => IoFate;

export const PROMPT: FatePlan = () => ({ landsInMs: 0.1, answersInMs: 0.2, errno: null });

/** Of memory that was released, for the reads to come. */
const MOST_RELEASED = 8;
/** Of each, from its beginning. */
const MOST_SPOILT = 64 * 1024;

/** Shared devices in memory; every host reaches them through its own SimDisks. */
export class SimStorage {
  readonly #devices = new Map<string, Uint8Array>();
  readonly #strays = new Map<Uint8Array, Map<number, Uint8Array>>();
  /** Memory of reads that were released, by its length: most are of a whole mebibyte. */
  readonly #released = new Map<number, Uint8Array[]>();
  /** Sees each operation as it is sent. */
  onStart: (io: Io) => void = () => {};
  /** Sees each write just before it lands, and just after: invariants hook in here. */
  onWrite: (io: Io, bytes: Uint8Array, device: Uint8Array) => void = () => {};
  onLanded: (io: Io, bytes: Uint8Array, device: Uint8Array) => void = () => {};

  add(path: string, bytes: number): Uint8Array {
    const device = new Uint8Array(bytes);
    this.#devices.set(path, device);
    return device;
  }

  /** Another path to a device that is there. */
  link(path: string, to: string): void {
    const device = this.device(to);
    assert(device !== undefined, 'a link leads to a device');
    this.#devices.set(path, device);
  }

  idOf(device: Uint8Array): string {
    return [...this.#devices].find(([, other]) => other === device)?.[0] ?? '';
  }

  device(path: string): Uint8Array | undefined {
    return this.#devices.get(path);
  }

  /** From now on a read of that sector sees these bytes, until the sector is written again. */
  stray(path: string, offset: number, sector: Uint8Array): void {
    const device = this.device(path);
    assert(device !== undefined && sector.length === 512, 'a sector of a device goes astray');
    const strays = this.#strays.get(device) ?? new Map<number, Uint8Array>();
    this.#strays.set(device, strays.set(offset, sector));
  }

  /** Ends that stray, if it is there still. */
  unstray(path: string, offset: number, sector: Uint8Array): void {
    const strays = this.#straysOf(path);
    if (strays?.get(offset) === sector) strays.delete(offset);
  }

  clearStrays(path: string): void {
    this.#straysOf(path)?.clear();
  }

  #straysOf(path: string): Map<number, Uint8Array> | undefined {
    const device = this.device(path);
    return device === undefined ? undefined : this.#strays.get(device);
  }

  /** What a read sees now, as a copy, which `release` may take back. */
  read(device: Uint8Array, offset: number, end: number): Uint8Array {
    const bytes = this.#released.get(end - offset)?.pop() ?? new Uint8Array(end - offset);
    bytes.set(device.subarray(offset, end));
    for (const [at, sector] of this.#strays.get(device) ?? []) {
      if (at >= offset && at < end) bytes.set(sector, at - offset);
    }
    return bytes;
  }

  /** A reader is done with it: whoever looks at it later sees what is no sector of a device. */
  release(bytes: Uint8Array): void {
    const { length } = bytes;
    bytes.fill(0xdb, 0, MOST_SPOILT);
    const same = this.#released.get(length) ?? [];
    if (same.length < MOST_RELEASED) same.push(bytes);
    this.#released.set(length, same);
  }

  write(device: Uint8Array, offset: number, bytes: Uint8Array): void {
    device.set(bytes, offset);
    const strays = this.#strays.get(device);
    if (strays === undefined) return;
    for (let at = offset; at < offset + bytes.length; at += 512) strays.delete(at);
  }
}

interface Run {
  readonly carryOut: () => Uint8Array;
  readonly answer: (reply: DiskReply) => void;
  readonly endedLate?: (end: LateEnd) => void;
}

/** Not answered well, and landing all the same, if before that time. */
interface RefusedWrite {
  untilMs: number;
  /** The device has refused it: nothing but its landing is to come. */
  isAnswered: boolean;
  /** Nobody waits for its landing. */
  isForgotten: boolean;
  /** It is under way no more, landed or not. */
  isOver: boolean;
}

/** One host's way to the storage. A crash of the host does not recall what it has sent. */
export class SimDisks implements Disks {
  readonly #host: string;
  readonly #storage: SimStorage;
  readonly #clock: SimClock;
  readonly #at: ProcessClock | null;
  readonly #plan: FatePlan;
  #underWay = 0;
  /** Writes that were refused and land all the same. */
  readonly #refused = new Set<RefusedWrite>();
  #isCut = false;

  /** @param of.at the clock of the program: answers reach it when it runs; without it, at once */
  constructor(of: {
    host: string;
    storage: SimStorage;
    clock: SimClock;
    plan: FatePlan;
    at?: ProcessClock;
  }) {
    this.#host = of.host;
    this.#storage = of.storage;
    this.#clock = of.clock;
    this.#at = of.at ?? null;
    this.#plan = of.plan;
  }

  /** Operations that may still reach the storage. */
  get underWay(): number {
    return this.#underWay;
  }

  /** Power is gone: an operation that has not landed never will. */
  cut(): void {
    this.#isCut = true;
    this.#underWay = 0;
    this.#refused.clear();
  }

  /**
   * The kernel ends a process without waiting for writes that the device has refused. They land
   * within that time or never: docs/reliability.md says what is relied on.
   */
  forgetRefused(landWithinMs: number): void {
    for (const write of this.#refused) {
      write.untilMs = Math.min(write.untilMs, this.#clock.nowMs() + landWithinMs);
      write.isForgotten = true;
      if (write.isAnswered) this.#over(write);
    }
  }

  #over(write: RefusedWrite): void {
    if (!write.isOver) this.#underWay--;
    write.isOver = true;
  }

  open(path: string, _timeoutMs: number, answer: Parameters<Disks['open']>[2]): void {
    const device = this.#storage.device(path);
    this.#clock.after(0, () => {
      this.#reach(() => {
        if (device === undefined) answer({ ok: false, errno: 2 });
        else {
          const deviceId = this.#storage.idOf(device);
          answer({ ok: true, disk: this.#disk(path, device), deviceId, deviceSectorSize: null });
        }
      });
    });
  }

  #disk(path: string, device: Uint8Array): Disk {
    const start = (
      io: { write: boolean; offset: number; length: number },
      timeoutMs: number,
      run: Run,
    ): void => {
      const request: Io = {
        write: io.write,
        offset: io.offset,
        length: io.length,
        host: this.#host,
        path,
      };
      this.#start(request, device, timeoutMs, run);
    };
    return {
      read: (at, timeoutMs, answer) => {
        const carryOut = () => this.#storage.read(device, at.offset, at.offset + at.length);
        start({ write: false, ...at }, timeoutMs, { carryOut, answer });
      },
      write: (at, timeoutMs, answer, endedLate = () => {}) => {
        const bytes = at.bytes.slice();
        const io = { write: true, offset: at.offset, length: bytes.length };
        const carryOut = () => {
          const sent = { ...io, host: this.#host, path };
          this.#storage.onWrite(sent, bytes, device);
          this.#storage.write(device, at.offset, bytes);
          this.#storage.onLanded(sent, bytes, device);
          return NOTHING;
        };
        start(io, timeoutMs, { carryOut, answer, endedLate });
      },
      close: () => {},
    };
  }

  /** An answer reaches the program when it runs. */
  #reach(happen: () => void): void {
    if (this.#isCut) return;
    if (this.#at === null) happen();
    else this.#at.run(happen);
  }

  #start(io: Io, device: Uint8Array, timeoutMs: number, run: Run): void {
    assert(io.offset % 512 === 0 && io.length % 512 === 0, 'I/O is whole sectors');
    this.#storage.onStart(io);
    if (this.#isCut) return; // the start of this operation may have ended the host
    const fate = this.#plan(io);
    if (this.#isCut) return;
    let answered = false;
    const answer = (reply: DiskReply): void => {
      if (answered) return;
      answered = true;
      timer.cancel();
      run.answer(reply);
    };
    const timer = (this.#at ?? this.#clock).after(timeoutMs, () => answer({ outcome: 'unknown' }));
    if (io.offset + io.length > device.length || fate.errno !== null) {
      const errno = fate.errno ?? 90;
      const inMs = fate.answersInMs === Infinity ? 0.1 : fate.answersInMs;
      const failed = (): void => {
        if (answered) run.endedLate?.('refused');
        else answer({ outcome: 'failed', errno });
      };
      const landsInMs = fate.refusedLandsInMs;
      const write = landsInMs === undefined ? null : this.#land(landsInMs, run);
      this.#clock.after(inMs, () => {
        if (write !== null) write.isAnswered = true;
        if (write?.isForgotten === true) this.#over(write);
        this.#reach(failed);
      });
      return;
    }
    if (fate.landsInMs === Infinity) return; // lost on the way: no answer will come
    this.#underWay++;
    const early = io.write ? null : this.#firstPart(io, device, fate);
    this.#clock.after(fate.landsInMs, () => {
      if (this.#isCut) return;
      this.#underWay--;
      const bytes = run.carryOut();
      if (early !== null) bytes.set(early.bytes, early.at);
      const late = (): void => {
        if (answered) run.endedLate?.('landed');
        else answer({ outcome: 'done', bytes, release: this.#releaseOf(bytes) });
      };
      if (fate.answersInMs === Infinity) return;
      const inMs = Math.max(0, fate.answersInMs - fate.landsInMs);
      this.#clock.after(inMs, () => this.#reach(late));
    });
  }

  /** As of a device: a second call does nothing. */
  #releaseOf(bytes: Uint8Array): () => void {
    let isReleased = bytes.length === 0; // a write has no bytes
    return () => {
      if (!isReleased) this.#storage.release(bytes);
      isReleased = true;
    };
  }

  /**
   * Until a refused write has landed its sender counts as alive, unless it was ended on purpose:
   * see docs/reliability.md.
   */
  #land(inMs: number, run: Run): RefusedWrite {
    const write: RefusedWrite = {
      ...{ untilMs: Infinity, isAnswered: false, isForgotten: false, isOver: false },
    };
    this.#refused.add(write);
    this.#underWay++;
    this.#clock.after(inMs, () => {
      if (this.#isCut) return;
      this.#over(write);
      this.#refused.delete(write);
      if (this.#clock.nowMs() <= write.untilMs) run.carryOut();
    });
    return write;
  }

  /** What a torn read sees when it is sent; `at`: its offset in the bytes. */
  #firstPart(io: Io, device: Uint8Array, fate: IoFate): { at: number; bytes: Uint8Array } | null {
    const sectors = io.length / 512;
    if (fate.torn === undefined || sectors < 2) return null;
    const cut = Math.max(1, Math.floor(sectors * fate.torn.at)) * 512;
    const [from, to] = fate.torn.tailFirst ? [cut, io.length] : [0, cut];
    const bytes = this.#storage.read(device, io.offset + from, io.offset + to);
    return { at: from, bytes };
  }
}

const NOTHING = new Uint8Array(0);
