import { REFUSED_LANDS_MS } from '../lease/lease-times.ts';
import type { Clock } from '../ports/clock.ts';
import type { Disk, DiskReply, LateEnd, Urgency } from '../ports/disk.ts';

const NOTHING = new Uint8Array(0);
const ENOSPC = 28;

export interface SentWrite {
  readonly start: number;
  readonly end: number;
  readonly waiting: (() => void)[];
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
      this.#clock.after(0, () => answer({ outcome: 'failed', errno: ENOSPC, unsent: true }));
      return;
    }
    const end = at.offset + at.bytes.length;
    const earlier = this.#sentAt(at.offset, end, rules.overRefused === true);
    if (earlier === undefined) {
      this.#send(at, timeoutMs, answer);
      return;
    }
    const bytes = at.bytes.slice(); // the caller may reuse its memory while we wait
    const ended = (restMs: number) => this.write({ ...at, bytes }, restMs, answer, rules);
    this.#awaitEnd(earlier, timeoutMs, { ended, late: () => answer({ outcome: 'unknown' }) });
  }

  /** `done` once no earlier write to that span is under way; `unknown` if one is at the timeout. */
  settle(
    at: { offset: number; length: number },
    timeoutMs: number,
    answer: (reply: Exclude<DiskReply, { outcome: 'failed' }>) => void,
  ): void {
    const earlier = this.#sentAt(at.offset, at.offset + at.length, false);
    if (earlier === undefined) {
      answer({ outcome: 'done', bytes: NOTHING, release: () => {} });
      return;
    }
    const ended = (restMs: number) => this.settle(at, restMs, answer);
    this.#awaitEnd(earlier, timeoutMs, { ended, late: () => answer({ outcome: 'unknown' }) });
  }

  /** Either `ended`, with the time that is left, or `late`. */
  #awaitEnd(
    earlier: SentWrite,
    timeoutMs: number,
    then: { readonly ended: (restMs: number) => void; readonly late: () => void },
  ): void {
    const deadlineMs = this.#clock.nowMs() + timeoutMs;
    // Waiting would be in vain, and the caller has better things to do with its time.
    if (earlier.refusedUntilMs !== null && earlier.refusedUntilMs > deadlineMs) {
      this.#clock.after(0, then.late);
      return;
    }
    let waiting = true;
    const timer = this.#clock.after(timeoutMs, () => {
      waiting = false;
      then.late();
    });
    earlier.waiting.push(() => {
      if (!waiting) return;
      timer.cancel();
      then.ended(Math.max(1, deadlineMs - this.#clock.nowMs()));
    });
  }

  #sentAt(start: number, end: number, overRefused: boolean): SentWrite | undefined {
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
    const record: SentWrite = { start: at.offset, end, waiting: [], refusedUntilMs: null };
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
    for (const next of record.waiting.splice(0)) next();
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
      record.waiting.push(...older.waiting.splice(0));
      this.#ended(older);
    }
    this.#clock.after(REFUSED_LANDS_MS, () => this.#ended(record));
  }
}
