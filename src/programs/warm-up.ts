import { assert } from '../base/assert.ts';
import { MIB, type Random } from '../base/units.ts';
import type {
  FromLeaseProcess,
  LeaseCommand,
  LeaseCommandResult,
} from '../lease-process/messages.ts';
import type { BootClock, Timer } from '../ports/clock.ts';
import type { Disk, DiskReply, Disks } from '../ports/disk.ts';
import { LeaseProgram } from './lease-program.ts';

const ROUNDS = 6;
const PATH = '/warm-up';
const LOCKSPACE = 'warm-up';
const HOST_ID = 1;
const IO_TIMEOUT_S = 1;
const MAX_TIMERS = 1000;
const SIZES = { sectorSize: 512, areaBytes: MIB };

/**
 * One whole life of a lease process, over memory and in no time: so that the first user who waits
 * for a lease does not wait for code to be read and compiled, and so that this code is in memory
 * before memory is locked (spec 70 §7).
 * @returns how many leases were granted
 */
export function warmUp(random: Random): number {
  const harness = new WarmUp(random);
  const name = { lockspaceName: LOCKSPACE, resourceName: 'R' };
  const area = { path: PATH, offset: MIB };
  const format = { sizes: SIZES, writeTimeoutMs: 1000 };
  harness.run({
    op: 'writeLockspace',
    area: { path: PATH, offset: 0 },
    name: LOCKSPACE,
    ioTimeoutS: IO_TIMEOUT_S,
    ...format,
  });
  harness.run({ op: 'writeResource', area, name, numHosts: 0, clear: false, ...format });
  harness.join();
  for (let round = 0; round < ROUNDS; round++) {
    const shared = round % 4 === 0;
    const acquired = harness.run({
      ...{ op: 'acquire', area, name, shared, ownerNowait: false },
      ...{ wantedLver: null, newNumHosts: null, readLvb: round % 2 === 0 },
    } as const);
    let hold = holdOf(acquired);
    if (round % 4 === 1) {
      for (const toShared of [true, false]) {
        hold = holdOf(
          harness.run({ op: 'convert', hold, toShared, ownerNowait: false, lvb: null }),
        );
      }
    }
    harness.run({ op: 'release', hold, lvb: null, rename: null });
    harness.nextTimer();
  }
  harness.end();
  return harness.granted;
}

function holdOf(result: Extract<LeaseCommandResult, { ok: true }>): number {
  assert(result.op === 'acquire' || result.op === 'convert', 'a lease is answered with its hold');
  return result.hold.number;
}

class WarmUp {
  readonly #clock = new MemoryClock();
  readonly #program: LeaseProgram;
  #said: FromLeaseProcess[] = [];
  #commands = 0;
  granted = 0;

  constructor(random: Random) {
    this.#program = new LeaseProgram({
      clock: this.#clock,
      disks: new MemoryDisks(2 * MIB),
      random,
      log: { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} },
      send: (message) => this.#said.push(message),
    });
  }

  join(): void {
    this.#program.receive({
      kind: 'join',
      lockspaceName: LOCKSPACE,
      hostId: HOST_ID,
      path: PATH,
      offset: 0,
      hostName: LOCKSPACE,
      ioTimeoutS: IO_TIMEOUT_S,
      renewalReadExtendMs: 0,
      sharedRetries: 1,
    });
    this.#until((message) => message.kind === 'joined');
    this.#until((message) => message.kind === 'renewed');
  }

  run(command: LeaseCommand): Extract<LeaseCommandResult, { ok: true }> {
    const id = ++this.#commands;
    this.#program.receive({ kind: 'run', id, command });
    const answer = this.#until((message) => message.kind === 'ran' && message.id === id);
    assert(answer.kind === 'ran' && answer.result.ok, `the warm-up's ${command.op} succeeds`);
    if (command.op === 'acquire') this.granted++;
    return answer.result;
  }

  nextTimer(): void {
    this.#clock.fireNext();
  }

  end(): void {
    this.#program.close();
  }

  #until(isIt: (message: FromLeaseProcess) => boolean): FromLeaseProcess {
    for (let fired = 0; fired < MAX_TIMERS; fired++) {
      const found = this.#said.find(isIt);
      if (found !== undefined) {
        this.#said = [];
        return found;
      }
      this.#clock.fireNext();
    }
    throw new Error('the warm-up does not come to its end');
  }
}

/** Time passes when somebody waits for it. */
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
