import type { Random } from '../base/units.ts';
import type { FromLeaseProcess } from '../lease-process/messages.ts';
import { WARM_UP_BYTES, warmUpTurns } from '../lease-process/warm-up.ts';
import type { BootClock, Timer } from '../ports/clock.ts';
import type { Disk, DiskReply, Disks } from '../ports/disk.ts';
import { LeaseProgram } from './lease-program.ts';

const MAX_TIMERS = 1000;

/**
 * A lease process at work over memory and in no time: so that the first client that waits for a
 * lease does not wait for code to be read and compiled, and so that this code is in memory before
 * memory is locked (spec 70 §7).
 * @returns how many leases were granted
 */
export function warmUp(random: Random): number {
  const clock = new MemoryClock();
  let sent: FromLeaseProcess[] = [];
  const program = new LeaseProgram({
    clock,
    disks: new MemoryDisks(WARM_UP_BYTES),
    random,
    log: { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} },
    send: (message) => sent.push(message),
  });
  const answerOf = (kind: FromLeaseProcess['kind']): FromLeaseProcess => {
    for (let fired = 0; fired < MAX_TIMERS; fired++) {
      const found = sent.find((message) => message.kind === kind);
      sent = found === undefined ? sent : [];
      if (found !== undefined) return found;
      clock.fireNext();
    }
    throw new Error(`the warm-up waits in vain for ${kind}`);
  };
  const turns = warmUpTurns();
  let turn = turns.next(null);
  while (turn.done !== true) {
    if (turn.value.kind === 'pass') {
      clock.fireNext();
      turn = turns.next(null);
    } else {
      const { message, answer } = turn.value;
      if (message !== null) program.receive(message);
      turn = turns.next(answerOf(answer));
    }
  }
  program.close();
  return turn.value;
}

/** Time passes only from timer to timer. */
class MemoryClock implements BootClock {
  #nowMs = 1_000_000;
  #timers: { readonly atMs: number; readonly fire: () => void }[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  bootMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, fire: () => void): Timer {
    const timer = { atMs: this.#nowMs + delayMs, fire };
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      },
    };
  }

  fireNext(): void {
    const next = this.#timers.reduce((a, b) => (b.atMs < a.atMs ? b : a), {
      atMs: Number.POSITIVE_INFINITY,
      fire: () => {},
    });
    this.#timers = this.#timers.filter((timer) => timer !== next);
    if (Number.isFinite(next.atMs)) this.#nowMs = Math.max(this.#nowMs, next.atMs);
    next.fire();
  }
}

/** One device of memory; every answer comes at once. */
class MemoryDisks implements Disks {
  readonly #device: Uint8Array;

  constructor(length: number) {
    this.#device = new Uint8Array(length);
  }

  open(...[, , answer]: Parameters<Disks['open']>): void {
    answer({ ok: true, disk: this.#disk(), deviceId: 'memory', deviceSectorSize: null });
  }

  #disk(): Disk {
    const done = (bytes: Uint8Array): DiskReply => ({ outcome: 'done', bytes, release: () => {} });
    return {
      read: ({ offset, length }, _timeoutMs, answer) =>
        answer(done(this.#device.subarray(offset, offset + length))),
      write: ({ offset, bytes }, _timeoutMs, answer) => {
        this.#device.set(bytes, offset);
        answer(done(new Uint8Array(0)));
      },
      close: () => {},
    };
  }
}
