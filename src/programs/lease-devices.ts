import { assert } from '../base/assert.ts';
import { type ByteString, nameToText } from '../base/bytes.ts';
import type { Effect, Reply } from '../lease/steps.ts';
import type { Clock } from '../ports/clock.ts';
import type { DiskReply, Disks, Urgency } from '../ports/disk.ts';
import type { Log } from '../ports/log.ts';
import { errnoFields, LoggedDisk } from './logged-disk.ts';
import { OrderedDisk, type SentWrite } from './ordered-disk.ts';

export interface Device {
  readonly path: ByteString;
  /** Names the device itself, whichever path led to it. */
  readonly id: string;
  readonly disk: OrderedDisk;
  readonly sectorSize: 512 | 4096 | null;
}

interface OpenDevice extends Device {
  /** How many may still use it: it is closed only when none does. */
  users: number;
}

type Opened =
  | { readonly ok: true; readonly device: Device }
  | { readonly ok: false; readonly errno: number };

/** Open devices by path, each opened once, with all writes of this process in order. */
export class LeaseDevices {
  readonly #disks: Disks;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #open = new Map<ByteString, OpenDevice>();
  /** What each path led to when it was last opened. */
  readonly #ids = new Map<ByteString, string>();
  /** Writes not ended yet, by device: those by another path or a forgotten descriptor count too. */
  readonly #sent = new Map<string, SentWrite[]>();
  readonly #opening = new Map<ByteString, ((opened: Opened) => void)[]>();
  /** Until then a write that the process before this one was refused may land, anywhere. */
  #unsureUntilMs = 0;

  constructor(disks: Disks, clock: Clock, log: Log) {
    this.#disks = disks;
    this.#clock = clock;
    this.#log = log;
  }

  /** Of an earlier process, before any device is used; null: none of its writes may land. */
  expectRefused(untilMs: number | null): void {
    if (untilMs === null) return;
    assert(this.#sent.size === 0, 'what is expected is known before a device is used');
    this.#unsureUntilMs = untilMs;
  }

  /** The caller that got a device calls `leave` when it is done with it. */
  open(
    path: ByteString,
    timeoutMs: number,
    answer: (opened: Opened) => void,
    how: Urgency = {},
  ): void {
    const device = this.#open.get(path);
    if (device !== undefined) {
      device.users++;
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
    const answered = (opened: Parameters<Parameters<Disks['open']>[2]>[0]): void => {
      this.#opening.delete(path);
      if (!opened.ok) {
        const fields = { path: nameToText(path), ...errnoFields(opened.errno) };
        this.#log.warn('disk.notOpened', fields);
        for (const answerOne of asked) answerOne(opened);
        return;
      }
      const id = opened.deviceId;
      this.#ids.set(path, id);
      const known = this.#sent.get(id);
      const sent = known ?? [];
      this.#sent.set(id, sent);
      const disk = new OrderedDisk(new LoggedDisk(opened.disk, path, this.#log), this.#clock, sent);
      const isUnsure = this.#unsureUntilMs > this.#clock.nowMs();
      if (known === undefined && isUnsure) disk.expectRefused(this.#unsureUntilMs);
      const sectorSize = opened.deviceSectorSize;
      const fresh: OpenDevice = { path, id, disk, sectorSize, users: asked.length };
      this.#open.set(path, fresh);
      for (const answerOne of asked) answerOne({ ok: true, device: fresh });
    };
    this.#disks.open(path, timeoutMs, answered, how);
  }

  /**
   * `forget`: after a failed operation the path may have come to mean another device, so it is
   * opened anew next time. Should it mean the same one, writes still keep their order.
   */
  leave(device: Device, how: { readonly forget: boolean }): void {
    const known = device as OpenDevice; // all devices come from `open`
    known.users--;
    const isCurrent = this.#open.get(known.path) === known;
    if (isCurrent && how.forget) this.#open.delete(known.path);
    const isForgotten = this.#open.get(known.path) !== known;
    if (known.users === 0 && isForgotten) known.disk.close();
  }

  /** The device's id, as far as known; before a path was ever opened, the path itself. */
  idOf(path: ByteString): string {
    return this.#ids.get(path) ?? path;
  }

  /** Whether a write may still land, one that was given up waiting for included. */
  get isWriting(): boolean {
    return [...this.#sent.values()].some((writes) => writes.length > 0);
  }

  /** Whether a write is under way that the device has not answered, however late. */
  get isUnanswered(): boolean {
    return [...this.#sent.values()].some((writes) =>
      writes.some(({ refusedUntilMs }) => refusedUntilMs === null),
    );
  }

  /** Until when a write that was refused may land; null = none may. */
  get refusedUntilMs(): number | null {
    const times = [...this.#sent.values()].flatMap((writes) =>
      writes.map(({ refusedUntilMs }) => refusedUntilMs ?? 0),
    );
    const latestMs = Math.max(this.#unsureUntilMs, ...times);
    return latestMs > this.#clock.nowMs() ? latestMs : null;
  }

  closeAll(): void {
    for (const device of this.#open.values()) device.disk.close();
    this.#open.clear();
  }
}

type DiskEffect = Exclude<Effect, { op: 'sleep' }>;

interface EffectRules {
  readonly clock: Clock;
  /** Whether a write may (still) be sent; asked when it is. */
  readonly mayWrite: () => boolean;
  readonly urgent?: true;
}

/** Sends a procedure's disk effect to a device and its reply back. */
export function performOn(
  disk: OrderedDisk,
  effect: DiskEffect,
  rules: EffectRules,
  answer: (reply: Reply, release: (() => void) | null) => void,
): void {
  const answered = (reply: DiskReply): void => {
    const nowMs = rules.clock.nowMs();
    if (reply.outcome === 'done') {
      answer({ outcome: 'done', bytes: reply.bytes, nowMs }, reply.release);
    } else if (reply.outcome === 'failed') {
      answer({ outcome: 'failed', errno: reply.errno, nowMs }, null);
    } else answer({ outcome: 'unknown', nowMs }, null);
  };
  const { timeoutMs } = effect;
  const at = rules.urgent === true ? { ...effect, urgent: true } : effect;
  if (at.op === 'read') disk.read(at, timeoutMs, answered);
  else if (at.op === 'settle') disk.settle(at, timeoutMs, answered);
  else {
    const { writeToo } = at;
    const how = { mayStart: rules.mayWrite, overRefused: at.overRefused === true };
    const whenDone = writeToo === undefined ? answered : pairOf(answered);
    disk.write(at, timeoutMs, whenDone, how);
    if (writeToo !== undefined) {
      disk.write({ ...writeToo, urgent: rules.urgent === true }, timeoutMs, whenDone, how);
    }
  }
}

/** Answers once, after the second reply: with it, or with the first if that was not `done`. */
function pairOf(answered: (reply: DiskReply) => void): (reply: DiskReply) => void {
  let first: DiskReply | null = null;
  return (reply) => {
    if (first === null) {
      first = reply;
      return;
    }
    answered(first.outcome === 'done' ? reply : first);
  };
}
