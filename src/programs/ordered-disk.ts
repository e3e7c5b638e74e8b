import { ERRNO } from '../base/errno.ts';
import { REFUSED_LANDS_MS } from '../lease/lease-times.ts';
import type { Clock } from '../ports/clock.ts';
import type { Disk, DiskReply, LateEnd, Urgency } from '../ports/disk.ts';

const NOTHING = new Uint8Array(0);

interface Span {
  readonly start: number;
  readonly end: number;
}

/** An operation that waits until an earlier write to its sectors has ended, or its time is up. */
interface Waiter extends Span {
  readonly overRefused: boolean;
  readonly deadlineMs: number;
  /** No write is in its way any more; so much of its time is left. */
  readonly ended: (restMs: number) => void;
  readonly late: () => void;
  /** The write in its way stays for longer than it may wait: it is late now. */
  readonly inVain: () => void;
}

export interface SentWrite extends Span {
  /** null: no operation waits, as nearly always. */
  waiting: Set<Waiter> | null;
  /** The device answered with an error, and may carry it out until then; null = no answer yet. */
  refusedUntilMs: number | null;
}

export interface WriteRules {
  /** Asked when it is sent, and again after each wait: the right to write may have ended. */
  readonly mayStart?: () => boolean;
  /** Does not wait for writes that were refused. */
  readonly overRefused?: boolean;
}

/**
 * A device on which a write never overtakes an earlier one to the same sectors, also when that one
 * went through another descriptor of the same path: they share one list of writes not yet ended.
 *
 * A write that timed out may still land. Were a later one to the same sector sent meanwhile, the
 * old bytes could land last and undo it: a released lease would be held again, a newer ballot
 * forgotten. So the later write waits for the earlier one to end; if that does not happen within
 * its own time, it was never sent and its answer is `unknown` too. A write that was refused counts
 * as under way for as long as the device may still carry it out (spec 10 §18.1).
 */
export class OrderedDisk {
  readonly #disk: Disk;
  readonly #clock: Clock;
  readonly #sent: SentWrite[];

  constructor(disk: Disk, clock: Clock, sent: SentWrite[] = []) {
    this.#disk = disk;
    this.#clock = clock;
    this.#sent = sent;
  }

  read(
    at: { offset: number; length: number } & Urgency,
    timeoutMs: number,
    answer: (reply: DiskReply) => void,
  ): void {
    this.#disk.read(at, timeoutMs, answer);
  }

  write(
    at: { offset: number; bytes: Uint8Array } & Urgency,
    timeoutMs: number,
    answer: (reply: DiskReply) => void,
    rules: WriteRules = {},
  ): void {
    if (rules.mayStart?.() === false) {
      this.#clock.after(0, () => answer({ outcome: 'failed', errno: ERRNO.ENOSPC, unsent: true }));
      return;
    }
    const span = { start: at.offset, end: at.offset + at.bytes.length };
    const overRefused = rules.overRefused === true;
    const earlier = this.#sentAt(span, overRefused);
    if (earlier === undefined) {
      this.#send(at, timeoutMs, answer);
      return;
    }
    const bytes = at.bytes.slice(); // the caller may reuse its memory while we wait
    const ended = (restMs: number) => this.write({ ...at, bytes }, restMs, answer, rules);
    const late = () => answer({ outcome: 'unknown' });
    this.#awaitEnd(earlier, timeoutMs, { ...span, overRefused, ended, late });
  }

  /**
   * Writes that an earlier process was refused may land until then, at any sector: each counts as
   * one whose own write was refused. Said once, before any other use of the device.
   */
  expectRefused(untilMs: number): void {
    const record: SentWrite = { start: 0, end: Infinity, waiting: null, refusedUntilMs: untilMs };
    this.#sent.push(record);
    this.#clock.after(untilMs - this.#clock.nowMs(), () => this.#ended(record));
  }

  /** `done` once no earlier write to that span is under way; `unknown` if one is at the timeout. */
  settle(
    at: { offset: number; length: number },
    timeoutMs: number,
    answer: (reply: Exclude<DiskReply, { outcome: 'failed' }>) => void,
  ): void {
    const span = { start: at.offset, end: at.offset + at.length };
    const earlier = this.#sentAt(span, false);
    const done = () => answer({ outcome: 'done', bytes: NOTHING, release: () => {} });
    if (earlier === undefined) {
      done();
      return;
    }
    const late = () => answer({ outcome: 'unknown' });
    this.#awaitEnd(earlier, timeoutMs, { ...span, overRefused: false, ended: done, late });
  }

  /** Either `ended`, with the time that is left, or `late`. */
  #awaitEnd(
    earlier: SentWrite,
    timeoutMs: number,
    what: Omit<Waiter, 'deadlineMs' | 'inVain'>,
  ): void {
    const timer = this.#clock.after(timeoutMs, () => {
      // Many may wait behind a write that never ends: nothing of them stays in memory.
      for (const { waiting } of this.#sent) waiting?.delete(waiter);
      what.late();
    });
    const waiter: Waiter = {
      ...what,
      deadlineMs: this.#clock.nowMs() + timeoutMs,
      ended: (restMs) => {
        timer.cancel();
        what.ended(restMs);
      },
      inVain: () => {
        timer.cancel();
        this.#clock.after(0, what.late);
      },
    };
    this.#waitFor(earlier, waiter);
  }

  #waitFor(earlier: SentWrite, waiter: Waiter): void {
    // The wait would be in vain: the caller is answered at once.
    if (earlier.refusedUntilMs !== null && earlier.refusedUntilMs > waiter.deadlineMs) {
      waiter.inVain();
    } else waitersOf(earlier).add(waiter);
  }

  #sentAt({ start, end }: Span, overRefused: boolean): SentWrite | undefined {
    return this.#sent.find(
      (write) =>
        write.start < end && start < write.end && !(overRefused && write.refusedUntilMs !== null),
    );
  }

  close(): void {
    this.#disk.close();
  }

  #send(
    at: { offset: number; bytes: Uint8Array } & Urgency,
    timeoutMs: number,
    answer: (reply: DiskReply) => void,
  ): void {
    const end = at.offset + at.bytes.length;
    const record: SentWrite = { start: at.offset, end, waiting: null, refusedUntilMs: null };
    this.#sent.push(record);
    const answered = (reply: DiskReply): void => {
      if (reply.outcome === 'failed' && reply.unsent !== true) this.#refused(record);
      else if (reply.outcome !== 'unknown') this.#ended(record);
      answer(reply);
    };
    const endedLate = (how: LateEnd): void => {
      if (how === 'refused') this.#refused(record);
      else this.#ended(record);
    };
    this.#disk.write(at, timeoutMs, answered, endedLate);
  }

  #ended(record: SentWrite): void {
    const index = this.#sent.indexOf(record);
    if (index >= 0) this.#sent.splice(index, 1);
    const { waiting } = record;
    record.waiting = null;
    for (const waiter of waiting ?? []) {
      // The first of them may be under way again: behind it the others go on waiting as they were.
      const earlier = this.#sentAt(waiter, waiter.overRefused);
      if (earlier !== undefined) this.#waitFor(earlier, waiter);
      else waiter.ended(Math.max(1, waiter.deadlineMs - this.#clock.nowMs()));
    }
  }

  /** Of several refused at one place the latest stands for all: renewals are tried often. */
  #refused(record: SentWrite): void {
    record.refusedUntilMs = this.#clock.nowMs() + REFUSED_LANDS_MS;
    const isOlder = (other: SentWrite) =>
      other !== record &&
      other.refusedUntilMs !== null &&
      other.start === record.start &&
      other.end === record.end;
    for (const older of this.#sent.filter(isOlder)) {
      for (const waiter of older.waiting ?? []) waitersOf(record).add(waiter);
      older.waiting = null;
      this.#ended(older);
    }
    this.#clock.after(REFUSED_LANDS_MS, () => this.#ended(record));
  }
}

function waitersOf(write: SentWrite): Set<Waiter> {
  write.waiting ??= new Set();
  return write.waiting;
}
