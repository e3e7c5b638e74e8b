import assert from 'node:assert/strict';
import type { Result } from '../../base/result.ts';
import { LVB_SECTOR } from '../../format/geometry.ts';
import type { Dice } from '../../sim/kernel/dice.ts';
import {
  HARNESS_HOSTS,
  HARNESS_PLACE,
  type HarnessHost,
  type HarnessTask,
} from '../../sim/procedure-harness.ts';
import { convertToExclusive, convertToShared } from '../convert.ts';
import { leaseTimes } from '../lease-times.ts';
import type { Member } from '../member.ts';
import { type AcquireWish, paxosAcquire, type Refusal, readLvb } from '../paxos-acquire.ts';
import type { PaxosHold } from '../paxos-hold.ts';
import { paxosRelease } from '../paxos-release.ts';
import { type KnownLease, recoverLease } from '../recover.ts';
import type { Steps } from '../steps.ts';
import {
  originalAcquire,
  originalRelease,
  originalToExclusive,
  originalToShared,
} from './original-peer.ts';

/** Those that differ in a resource area: leader, request and a few host blocks. */
const HOST_SECTORS = 6;

export type Mode = 'exclusive' | 'shared';

/** How a lease process does what its users want: ours, or the original's. */
export interface Ways {
  readonly acquire: (member: Member, wish: AcquireWish) => Steps<Result<PaxosHold, Refusal>>;
  readonly release: (member: Member, hold: PaxosHold, lvb: Uint8Array | null) => Steps<unknown>;
  readonly toShared: (
    member: Member,
    hold: PaxosHold,
    lvb: Uint8Array | null,
  ) => Steps<Result<PaxosHold, Refusal>>;
  readonly toExclusive: (member: Member, hold: PaxosHold) => Steps<Result<PaxosHold, Refusal>>;
}

export const OURS: Ways = {
  acquire: (member, wish) => paxosAcquire(member, HARNESS_PLACE, wish),
  release: (member, hold, lvb) => paxosRelease(member, hold, { lvb, rename: null }),
  toShared: convertToShared,
  toExclusive: (member, hold) => convertToExclusive(member, hold, true),
};

export const ORIGINALS: Ways = {
  acquire: (member, wish) => originalAcquire(member, HARNESS_PLACE, wish),
  release: originalRelease,
  toShared: originalToShared,
  toExclusive: originalToExclusive,
};

/** A value block's values: which values the next reader may find. */
export class Values {
  #allowed: Set<number> = new Set([0]);
  #count = 0;

  next(): number {
    return ++this.#count;
  }

  wrote(value: number, outcome: 'done' | 'failed' | 'unknown'): void {
    if (outcome === 'done') this.#allowed = new Set([value]);
    else this.#allowed.add(value);
  }

  /** The holder of the lease has seen which it was, unless its own write is still under way. */
  read(value: number, isOpen: boolean): void {
    assert.ok(this.#allowed.has(value), `reads ${value}, not one of ${[...this.#allowed]}`);
    if (!isOpen) this.#allowed = new Set([value]);
  }
}

export interface SteppedRules {
  readonly values: Values | null;
  readonly newNumHosts: (() => number | null) | null;
  /** How often a read of several sectors sees some of them earlier than others. */
  readonly tearing: number;
}

/** A lease process and its user: one job at a time, and the rest of a job is done before the next. */
export class SteppedHost {
  readonly host: HarnessHost;
  readonly ways: Ways;
  readonly #dice: Dice;
  readonly #rules: SteppedRules;
  #hold: PaxosHold | null = null;
  /** What its user works by. */
  claim: Mode | null = null;
  isGone = false;
  #renewedMs = 0;
  #hasBegun = false;
  #cancelled = false;
  /** A value of this hold went unanswered. */
  #isValueOpen = false;
  /** What its task may have sent. */
  #begun: KnownLease['begun'] = 'nothing';
  /** Its process was killed, and the next one has not found yet what it holds; null: it has. */
  #known: KnownLease | null = null;
  #task: { readonly task: HarnessTask<unknown>; readonly done: (result: unknown) => void } | null =
    null;

  constructor(host: HarnessHost, ways: Ways, dice: Dice, rules: SteppedRules) {
    this.host = host;
    this.ways = ways;
    this.#dice = dice;
    this.#rules = rules;
  }

  step(): void {
    if (this.isGone) return;
    if (this.#task === null) this.#begin();
    const now = this.#task;
    if (now === null) return;
    const { wants } = now.task;
    if (!this.#hasBegun && this.#dice.chance(this.#rules.tearing)) {
      this.#hasBegun = true;
      this.#readSome(now.task);
      return;
    }
    this.#hasBegun = false;
    const reply = now.task.step();
    if (wants?.op === 'write' && wants.offset === this.#valueAt && reply !== null) {
      this.#rules.values?.wrote(valueIn(wants.bytes), reply.outcome);
      this.#isValueOpen ||= reply.outcome !== 'done';
    }
    if (now.task.wants !== null) return;
    this.#task = null;
    this.#begun = 'nothing';
    now.done(now.task.result);
  }

  /**
   * Its process is killed, and another one goes on with the membership, while its users go on too.
   * What it had sent has ended, or was refused: then it lands before `sure`.
   */
  crash(): void {
    if (this.isGone || this.ways !== OURS) return;
    const hold = this.#hold;
    const mode = hold?.shared === true ? 'sh' : 'ex';
    // A release that was asked for is in the journal as one, or is not known.
    const isGiven = this.#begun === 'release' && this.#dice.chance(0.5);
    this.#known ??=
      hold === null || isGiven
        ? { mode: 'none', lver: null, begun: 'nothing' }
        : { mode, lver: hold.leader.lver, begun: this.#begun };
    this.#task = null;
    this.#hold = null;
    this.host.rest.splice(0);
    if (this.#dice.chance(0.5)) this.host.land();
    this.host.isUnsure = !this.host.isQuiet;
  }

  /** No refused write of a process before may land any more: each has landed, or never will. */
  sure(): void {
    if (!this.host.isUnsure) return;
    this.host.reset(() => this.#dice.chance(0.5));
    this.host.isUnsure = false;
  }

  /** Its users are gone, and its process with all that it had sent; it joins again. */
  rejoin(hostName?: string): void {
    this.#vanish();
    // A reset machine has sent nothing since; a process that is gone has no request left.
    if (this.isGone) this.host.reset(() => this.#dice.chance(0.5));
    else this.host.land();
    this.host.ended = false;
    this.isGone = false;
    this.#undisturbed(() => this.host.join(hostName));
    this.host.readHosts();
  }

  /** Releases its host id, where no work of its own goes on. */
  leave(): void {
    if (this.isGone || this.#task !== null || this.#hold !== null || !this.host.isQuiet) return;
    if (this.#known !== null || this.host.isUnsure) return;
    if (this.host.diedMs !== null) return;
    this.#undisturbed(() => this.host.leave());
    this.isGone = true;
  }

  cancel(): void {
    this.#cancelled = true;
  }

  /** It renews no more, from here on; its process may go on until it finds that out. */
  die(): void {
    this.host.diedMs ??= this.host.harness.nowMs;
  }

  /** Its machine is reset: it sends nothing more, and a disk may still keep what was sent. */
  reset(): void {
    if (this.isGone) return;
    this.die();
    this.#vanish();
    this.isGone = true;
  }

  /** A renewal: until the next one it knows the others as this read shows them. */
  readHosts(): void {
    if (this.host.diedMs === null && !this.isGone) this.host.readHosts();
  }

  /**
   * Nothing starts after its own expiry, and when its watchdog has fired nothing is left that may
   * land. Until then it renews.
   */
  tick(): void {
    const { diedMs, harness } = this.host;
    const { renewalIntervalMs, renewalFailMs, hostDeadMs } = leaseTimes(harness.ioTimeoutS);
    if (diedMs === null) {
      if (this.isGone || harness.nowMs - this.#renewedMs < renewalIntervalMs) return;
      this.host.renew();
      this.#renewedMs = harness.nowMs;
      return;
    }
    if (harness.nowMs - diedMs >= renewalFailMs) this.host.ended = true;
    if (harness.nowMs - diedMs < hostDeadMs) return;
    this.reset();
    this.host.reset(() => this.#dice.chance(0.5));
  }

  #undisturbed(act: () => void): void {
    const { fate, readFate } = this.host;
    this.host.fate = () => 'done';
    this.host.readFate = () => 'done';
    act();
    this.host.fate = fate;
    this.host.readFate = readFate;
  }

  #readSome(task: HarnessTask<unknown>): void {
    const { wants } = task;
    if (wants?.op !== 'read' || wants.length <= this.host.harness.geometry.sectorSize) return;
    const isLate = Array.from({ length: HOST_SECTORS }, () => this.#dice.chance(0.5));
    task.readEarly((sector) => isLate[sector] !== true);
  }

  #vanish(): void {
    this.#task = null;
    this.#hold = null;
    this.claim = null;
    this.#begun = 'nothing';
    this.#known = null;
    this.host.isUnsure = false;
    this.host.rest.splice(0);
  }

  get #valueAt(): number {
    return LVB_SECTOR * this.host.harness.geometry.sectorSize;
  }

  #run<T>(steps: Steps<T>, done: (result: T) => void): void {
    this.#task = { task: this.host.task(steps), done: (result) => done(result as T) };
  }

  #begin(): void {
    const rest = this.host.rest.shift();
    if (rest !== undefined) {
      this.#run(rest(), () => {});
      return;
    }
    if (this.host.ended) return;
    if (this.#known !== null) {
      this.#recover(this.#known);
      return;
    }
    this.#cancelled = false;
    const member = this.host.member(() => this.#cancelled);
    const hold = this.#hold;
    if (hold === null) this.#acquire(member);
    else if (this.#rules.values !== null && this.#dice.chance(0.3)) this.#read(member, hold);
    else if (this.#dice.chance(0.5)) {
      this.claim = null;
      this.#begun = 'release';
      this.#run(this.ways.release(member, hold, this.#value(hold)), () => {
        this.#hold = null;
      });
    } else this.#convert(member, hold);
  }

  /** What it was sure to hold is found; then it goes on as if nothing had been. */
  #recover(known: KnownLease): void {
    const guess = { geometry: this.host.harness.geometry, numHosts: HARNESS_HOSTS };
    const steps = recoverLease(this.host.member(), HARNESS_PLACE, { known, guess });
    this.#run(steps, (found) => {
      if (!found.ok || this.host.ended) return;
      const hold = found.value;
      const mode = hold === null ? 'none' : hold.shared ? 'sh' : 'ex';
      const isSame = mode === known.mode;
      if (known.begun === 'nothing') assert.ok(isSame, `${known.mode} is found as ${mode}`);
      if (known.begun === 'toExclusive') assert.equal(mode, 'sh', 'a step up is taken back');
      if (known.begun === 'toShared') assert.notEqual(mode, 'none', 'a step down is none at all');
      this.#known = null;
      this.#hold = hold;
      this.claim = hold === null ? null : hold.shared ? 'shared' : 'exclusive';
    });
  }

  #acquire(member: Member): void {
    const shared = this.#dice.chance(0.5);
    const wish: AcquireWish = {
      shared,
      ownerNowait: this.#dice.chance(0.7),
      wantedLver: null,
      newNumHosts: this.#rules.newNumHosts?.() ?? null,
      guess: { geometry: this.host.harness.geometry, numHosts: HARNESS_HOSTS },
    };
    this.#run(this.ways.acquire(member, wish), (got) => {
      if (!got.ok || this.host.ended) return;
      this.#hold = got.value;
      this.#isValueOpen = false;
      this.claim = shared ? 'shared' : 'exclusive';
      if (this.#rules.values !== null) this.#read(this.host.member(), got.value);
    });
  }

  #read(member: Member, hold: PaxosHold): void {
    this.#run(readLvb(member, hold), (bytes) => {
      if (bytes !== null && this.claim !== null)
        this.#rules.values?.read(valueIn(bytes), this.#isValueOpen);
    });
  }

  #value(hold: PaxosHold): Uint8Array | null {
    const { values } = this.#rules;
    if (values === null || hold.shared || this.#dice.chance(0.3)) return null;
    const bytes = new Uint8Array(hold.geometry.sectorSize);
    new DataView(bytes.buffer).setUint32(0, values.next(), true);
    return bytes;
  }

  #convert(member: Member, hold: PaxosHold): void {
    if (!hold.shared) this.claim = 'shared'; // others may share before the answer
    this.#begun = hold.shared ? 'toExclusive' : 'toShared';
    const steps = hold.shared
      ? this.ways.toExclusive(member, hold)
      : this.ways.toShared(member, hold, this.#value(hold));
    this.#run(steps, (got) => {
      if (got.ok && !this.host.ended) this.#hold = got.value;
      else if (!got.ok) this.#hold = { ...hold, dblock: got.error.dblock ?? hold.dblock };
      else return;
      this.claim = this.#hold.shared ? 'shared' : 'exclusive';
    });
  }
}

function valueIn(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
}
