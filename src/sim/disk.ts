import { assert } from '../base/assert.ts';
import type { Disk, DiskReply, Disks } from '../ports/disk.ts';
import type { SimClock } from './clock.ts';

/** What a fault plan decides about one operation. */
export interface IoFate {
  /** When the device carries the operation out, from now. */
  readonly landsInMs: number;
  /** When the answer arrives, from now; Infinity = it is lost. */
  readonly answersInMs: number;
  /** A positive errno instead of doing anything. */
  readonly errno: number | null;
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

/** Shared devices in memory; every host reaches them through its own SimDisks. */
export class SimStorage {
  readonly #devices = new Map<string, Uint8Array>();
  /** Sees each write as it lands: invariants hook in here. */
  onWrite: (io: Io, bytes: Uint8Array, device: Uint8Array) => void = () => {};

  add(path: string, bytes: number): Uint8Array {
    const device = new Uint8Array(bytes);
    this.#devices.set(path, device);
    return device;
  }

  device(path: string): Uint8Array | undefined {
    return this.#devices.get(path);
  }
}

/** One host's way to the storage. A crash of the host does not recall what it has sent. */
export class SimDisks implements Disks {
  readonly #host: string;
  readonly #storage: SimStorage;
  readonly #clock: SimClock;
  readonly #plan: FatePlan;

  constructor(of: { host: string; storage: SimStorage; clock: SimClock; plan: FatePlan }) {
    this.#host = of.host;
    this.#storage = of.storage;
    this.#clock = of.clock;
    this.#plan = of.plan;
  }

  open(path: string, _timeoutMs: number, answer: Parameters<Disks['open']>[2]): void {
    const device = this.#storage.device(path);
    this.#clock.after(0, () => {
      if (device === undefined) answer({ ok: false, errno: 2 });
      else answer({ ok: true, disk: this.#disk(path, device), deviceSectorSize: null });
    });
  }

  #disk(path: string, device: Uint8Array): Disk {
    const start = (
      io: Omit<Io, 'host' | 'path'>,
      timeoutMs: number,
      run: {
        carryOut: () => Uint8Array;
        answer: (reply: DiskReply) => void;
        endedLate?: () => void;
      },
    ): void => {
      const request: Io = { ...io, host: this.#host, path };
      this.#start(request, device.length, timeoutMs, run);
    };
    return {
      read: (at, timeoutMs, answer) => {
        const carryOut = () => device.slice(at.offset, at.offset + at.length);
        start({ write: false, ...at }, timeoutMs, { carryOut, answer });
      },
      write: (at, timeoutMs, answer, endedLate = () => {}) => {
        const bytes = at.bytes.slice();
        const io = { write: true, offset: at.offset, length: bytes.length };
        const carryOut = () => {
          this.#storage.onWrite({ ...io, host: this.#host, path }, bytes, device);
          device.set(bytes, at.offset);
          return new Uint8Array(0);
        };
        start(io, timeoutMs, { carryOut, answer, endedLate });
      },
      close: () => {},
    };
  }

  #start(
    io: Io,
    deviceBytes: number,
    timeoutMs: number,
    run: { carryOut: () => Uint8Array; answer: (reply: DiskReply) => void; endedLate?: () => void },
  ): void {
    assert(io.offset % 512 === 0 && io.length % 512 === 0, 'I/O is whole sectors');
    const fate = this.#plan(io);
    const clock = this.#clock;
    let answered = false;
    const tell = (reply: DiskReply): void => {
      if (answered) return;
      answered = true;
      timer.cancel();
      run.answer(reply);
    };
    const timer = clock.after(timeoutMs, () => tell({ outcome: 'unknown' }));
    if (io.offset + io.length > deviceBytes || fate.errno !== null) {
      const errno = fate.errno ?? 90;
      clock.after(fate.answersInMs === Infinity ? 0.1 : fate.answersInMs, () =>
        tell({ outcome: 'failed', errno }),
      );
      return;
    }
    clock.after(fate.landsInMs, () => {
      const bytes = run.carryOut();
      const late = (): void => {
        if (answered) run.endedLate?.();
        else tell({ outcome: 'done', bytes, release: () => {} });
      };
      if (fate.answersInMs !== Infinity)
        clock.after(Math.max(0, fate.answersInMs - fate.landsInMs), late);
    });
  }
}
