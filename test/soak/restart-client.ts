import { appendFileSync, openSync, readSync, writeSync } from 'node:fs';
import { ERRNO } from '../../src/base/errno.ts';
import { SanlockClient, type SanlockSession } from '../../src/client/sanlock.ts';
import { MonotonicClock } from '../../src/platform/clock.ts';
import { UnixSockets } from '../../src/platform/unix-socket.ts';
import { pause } from '../../src/rig/run.ts';
import { Dice } from '../../src/sim/kernel/dice.ts';
import type { SanlockCall } from '../../src/wire/sanlock/call.ts';
import {
  acquire,
  convert,
  getLvb,
  inquire,
  release,
  setLvb,
} from '../../src/wire/sanlock/lease-calls.ts';
import { RES_FLAGS } from '../../src/wire/sanlock/socket.ts';
import type { Resource } from '../../src/wire/sanlock/types.ts';

/**
 * Counts under leases over restarts of the daemon, with our own client: one process with three
 * registered connections. The first holds a lease exclusively, the second comes to it by way of a
 * shared hold and converts, the third counts in a value block. Run as: restart-client.cjs
 * <socket> <lockspace> <device> <log> <seed> <name:lease offset:counter offset>…, in that order.
 *
 * A line of the log is a word, milliseconds of CLOCK_MONOTONIC, and for some a value:
 * `step NAME=VALUE`, `connected NAME`, `again NAME`, `lost NAME=CODE`.
 */
const BLOCK_BYTES = 4096;
const LVB_BYTES = 512;
const LOST_AFTER_MS = 60_000;
/** Of a call: the daemon went away, and the call may have been carried out. */
const GONE = 'gone';
/** Of RELEASE (spec 20 §4). */
const NOT_HELD = -1;
const HELD_ALREADY = -ERRNO.EEXIST;
type Answered<T> = T | { readonly code: number } | typeof GONE;

const [socketPath = '', lockspaceName = '', device = '', log = '', seed = '', ...places] =
  process.argv.slice(2);

function nowMs(): number {
  return Math.round(Number(process.hrtime.bigint()) / 1e6);
}

function note(word: string, value = ''): void {
  appendFileSync(log, `${word} ${nowMs()} ${value}\n`);
}

function isRefusal<T>(answered: Answered<T>): answered is { readonly code: number } {
  return typeof answered === 'object' && answered !== null && 'code' in answered;
}

/** One connection of this process and what it counts. */
class Counter {
  readonly #name: string;
  readonly #leaseAt: number;
  readonly #counterAt: number;
  readonly #dice: Dice;
  readonly #disk = openSync(device, 'r+');
  readonly #client = new SanlockClient({
    clock: new MonotonicClock(),
    sockets: new UnixSockets(),
    socketPath,
  });
  readonly #hasValue: boolean;
  #session: SanlockSession | null = null;

  /** `hasValue`: it counts in the value block of its lease. */
  constructor(place: string, hasValue = false) {
    this.#hasValue = hasValue;
    const [name = '', leaseAt, counterAt] = place.split(':');
    this.#name = name;
    this.#leaseAt = Number(leaseAt);
    this.#counterAt = Number(counterAt);
    this.#dice = new Dice(seed, name);
  }

  async exclusive(): Promise<void> {
    if ((await this.#acquired(0)) !== 0) return await this.#rest();
    await this.#hold(() => this.#count());
    await this.#release();
  }

  /** Shared, then exclusive for the steps, and now and then back before the end. */
  async converted(): Promise<void> {
    if ((await this.#acquired(RES_FLAGS.SHARED)) !== 0) return await this.#rest();
    await pause(this.#dice.between(0, 30));
    const stepped = await this.#call(convert(this.#resource(0)));
    if (stepped === 0) {
      await this.#hold(() => this.#count());
      // What a daemon that went away made of it is not known: it is released all the same.
      if (this.#dice.chance(0.5)) await this.#call(convert(this.#resource(RES_FLAGS.SHARED)));
    }
    await this.#release();
    if (stepped !== 0) await this.#rest();
  }

  /** The value block is the counter: it is written with the release. */
  async valueBlock(): Promise<void> {
    if ((await this.#acquired(0)) !== 0) return await this.#rest();
    await this.#hold(() => this.#countInValueBlock());
    await this.#release();
  }

  #rest(): Promise<void> {
    return pause(this.#dice.between(5, 50));
  }

  #resource(flags: number): Resource {
    const disks = [{ path: device, offset: BigInt(this.#leaseAt) }];
    return { lockspaceName, name: this.#name, disks, lver: 0n, flags };
  }

  async #call<T>(call: SanlockCall<T>): Promise<Answered<T>> {
    if (this.#session === null) await this.#connect();
    const answered = await this.#session?.call(call);
    if (answered === undefined) return GONE;
    if (answered.ok) return answered.value;
    const { code, outcome } = answered.error;
    return outcome === 'refused' ? { code } : GONE;
  }

  async #connect(): Promise<void> {
    this.#session?.close();
    this.#session = null;
    for (;;) {
      const registered = await this.#client.registerProcess();
      if (registered.ok) {
        this.#session = registered.value;
        note('connected', this.#name);
        return;
      }
      await pause(20);
    }
  }

  /** 0, or the code of a refusal; over again when the daemon goes away. */
  async #acquired(flags: number): Promise<number> {
    for (;;) {
      const answered = await this.#call(acquire([this.#resource(flags)], { lvb: this.#hasValue }));
      if (isRefusal(answered)) return answered.code;
      if (answered !== GONE) return 0;
      await this.#connect();
    }
  }

  async #hold(step: () => Promise<void>): Promise<void> {
    const longMs = this.#dice.chance(0.02) ? this.#dice.between(200, 12_000) : 0;
    const endMs = nowMs() + longMs;
    for (;;) {
      await step();
      if (nowMs() >= endMs) return;
      await pause(this.#dice.between(5, 50));
      if (this.#dice.chance(0.1)) await this.#takeBackIfGone();
    }
  }

  async #takeBackIfGone(): Promise<void> {
    if ((await this.#call(inquire())) === GONE) await this.#takeBack();
  }

  /** What we hold, exclusively here, is ours at the new daemon too. */
  async #takeBack(): Promise<void> {
    await this.#connect();
    const endMs = nowMs() + LOST_AFTER_MS;
    for (;;) {
      const code = await this.#acquired(0);
      if (code === 0 || code === HELD_ALREADY) {
        note('again', this.#name);
        return;
      }
      if (nowMs() > endMs) {
        note('lost', `${this.#name}=${code}`);
        process.exit(4);
      }
      await pause(100);
    }
  }

  async #count(): Promise<void> {
    const block = Buffer.alloc(BLOCK_BYTES);
    readSync(this.#disk, block, 0, BLOCK_BYTES, this.#counterAt);
    const value = block.readBigUInt64LE() + 1n;
    await pause(this.#dice.between(0, 4));
    block.writeBigUInt64LE(value);
    writeSync(this.#disk, block, 0, BLOCK_BYTES, this.#counterAt);
    note('step', `${this.#name}=${value}`);
  }

  async #countInValueBlock(): Promise<void> {
    const value = (await this.#value()) + 1n;
    const block = Buffer.alloc(LVB_BYTES);
    block.writeBigUInt64LE(value);
    while ((await this.#call(setLvb(this.#resource(0), block))) !== 0) {
      await this.#takeBackIfGone();
      if ((await this.#value()) === value) break; // carried out, and not answered
    }
    note('step', `${this.#name}=${value}`);
  }

  async #value(): Promise<bigint> {
    for (;;) {
      const answered = await this.#call(getLvb(this.#resource(0), LVB_BYTES));
      if (answered instanceof Uint8Array) return Buffer.from(answered).readBigUInt64LE();
      if (answered === GONE) await this.#takeBack();
      else await pause(50);
    }
  }

  async #release(): Promise<void> {
    for (;;) {
      const answered = await this.#call(release([this.#resource(0)]));
      if (answered === 0) return;
      if (isRefusal(answered)) {
        if (answered.code === NOT_HELD) return; // done by the daemon that could not say so
        await pause(50);
      } else {
        await this.#connect();
      }
    }
  }
}

async function forever(turn: () => Promise<void>): Promise<never> {
  for (;;) {
    await turn();
    await pause(Math.random() * 20);
  }
}

for (const signal of ['SIGTERM', 'SIGHUP', 'SIGUSR2', 'SIGINT'] as const) {
  process.on(signal, () => {
    note('signal', signal);
    process.exit(3);
  });
}
const [first = '', second = '', third = ''] = places;
const counters = {
  first: new Counter(first),
  second: new Counter(second),
  third: new Counter(third, true),
};
void forever(() => counters.first.exclusive());
void forever(() => counters.second.converted());
void forever(() => counters.third.valueBlock());
