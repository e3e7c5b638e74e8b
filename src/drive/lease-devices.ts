import type { ByteString } from '../base/bytes.ts';
import type { Effect, Reply } from '../lease/steps.ts';
import type { Clock } from '../ports/clock.ts';
import type { Disk, DiskReply, Disks } from '../ports/disk.ts';
import { OrderedDisk } from './ordered-disk.ts';

export interface Device {
  readonly disk: Disk;
  readonly sectorSize: 512 | 4096 | null;
}

type Opened =
  | { readonly ok: true; readonly device: Device }
  | { readonly ok: false; readonly errno: number };

/** Open devices by path, each opened once, with all writes of this process in order. */
export class LeaseDevices {
  readonly #disks: Disks;
  readonly #clock: Clock;
  readonly #open = new Map<ByteString, Device>();
  readonly #opening = new Map<ByteString, ((opened: Opened) => void)[]>();

  constructor(disks: Disks, clock: Clock) {
    this.#disks = disks;
    this.#clock = clock;
  }

  open(path: ByteString, timeoutMs: number, answer: (opened: Opened) => void): void {
    const device = this.#open.get(path);
    if (device !== undefined) {
      answer({ ok: true, device });
      return;
    }
    const waiting = this.#opening.get(path);
    if (waiting !== undefined) {
      waiting.push(answer);
      return;
    }
    const asked = [answer];
    this.#opening.set(path, asked);
    this.#disks.open(path, timeoutMs, (opened) => {
      this.#opening.delete(path);
      const result = opened.ok ? this.#keep(path, opened) : opened;
      for (const tell of asked) tell(result);
    });
  }

  #keep(path: ByteString, opened: { disk: Disk; deviceSectorSize: 512 | 4096 | null }): Opened {
    const disk = new OrderedDisk(opened.disk, this.#clock);
    const device = { disk, sectorSize: opened.deviceSectorSize };
    this.#open.set(path, device);
    return { ok: true, device };
  }

  /**
   * After a failed operation the path may have come to mean another device: open it anew next
   * time. Late writes keep their order only on the descriptor they were sent through, so a device
   * that still owes an answer stays.
   */
  forget(path: ByteString): void {
    const device = this.#open.get(path);
    if (device === undefined || !(device.disk instanceof OrderedDisk) || device.disk.owesAnswers)
      return;
    this.#open.delete(path);
    device.disk.close();
  }

  closeAll(): void {
    for (const device of this.#open.values()) device.disk.close();
    this.#open.clear();
  }
}

type DiskEffect = Exclude<Effect, { op: 'sleep' }>;

/** Sends a procedure's disk effect to a device and its reply back. */
export function performOn(
  disk: Disk,
  effect: DiskEffect,
  parts: { readonly clock: Clock; answer: (reply: Reply, release: (() => void) | null) => void },
): void {
  const answered = (reply: DiskReply): void => {
    const nowMs = parts.clock.nowMs();
    if (reply.outcome === 'done') {
      parts.answer({ outcome: 'done', bytes: reply.bytes, nowMs }, () => reply.release());
    } else parts.answer({ ...reply, nowMs }, null);
  };
  if (effect.op === 'read') disk.read(effect, effect.timeoutMs, answered);
  else disk.write(effect, effect.timeoutMs, answered);
}
