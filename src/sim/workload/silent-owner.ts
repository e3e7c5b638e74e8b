import { SECOND_MS, wholeSeconds } from '../../base/units.ts';
import { encodeDeltaLeader } from '../../format/leader.ts';
import { leaseTimes } from '../../lease/lease-times.ts';
import type { HostView, Member } from '../../lease/member.ts';
import { paxosAcquire } from '../../lease/paxos-acquire.ts';
import { Dice } from '../kernel/dice.ts';
import {
  HARNESS_HOSTS,
  HARNESS_PLACE,
  type HarnessHost,
  type HarnessTask,
  ProcedureHarness,
} from '../procedure-harness.ts';

const OWNER_IO_TIMEOUTS_S = [1, 2, 3, 10] as const;
const OWNER_ID = 1;
const RIVAL_IO_TIMEOUT_S = 10;
/** Shorter than a stall that would expire the rival itself. */
const LONGEST_PAUSE_MS = 75_000;
/** A read that takes longer has timed out. */
const LONGEST_READ_MS = 9500;
const LONGEST_OWNERSHIP_MS = 150_000;
/** Between two attempts, at most. */
const PAUSE_MS = 20_000;
const ATTEMPTS = 40;

/**
 * The last minutes of an owner, and a rival that waits for its end. The seed alone says when each
 * of them reads and writes, with slow reads and pauses of the rival; in the world of `World` such a
 * coincidence comes once in days.
 */
export class SilentOwner {
  readonly #harness = new ProcedureHarness(RIVAL_IO_TIMEOUT_S);
  readonly #dice: Dice;
  readonly #owner: HarnessHost;
  readonly #rival: HarnessHost;
  readonly #ownerIoTimeoutS: number;
  readonly #endMs: number;
  #renewalDueMs: number;
  #renewedMs = 0;
  #readDueMs: number;
  #view: HostView | null = null;

  constructor(seed: number) {
    this.#dice = new Dice(seed, 'silence');
    const dice = this.#dice;
    this.#owner = this.#harness.join(OWNER_ID);
    this.#rival = this.#harness.join(2);
    this.#ownerIoTimeoutS = dice.pick([...OWNER_IO_TIMEOUTS_S]);
    const { nowMs } = this.#harness;
    this.#renewalDueMs = nowMs;
    this.#readDueMs = nowMs + dice.between(0, 2 * RIVAL_IO_TIMEOUT_S * SECOND_MS);
    this.#endMs = nowMs + dice.between(0, LONGEST_OWNERSHIP_MS);
  }

  /** @returns what went wrong; null = the rival was granted the lease, not too early */
  run(): string | null {
    if (!this.#owner.run(this.#acquire(this.#owner.member())).ok) return 'the owner has no lease';
    this.#catchUp();
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const task = this.#rival.task(this.#acquire(this.#rivalMember()));
      while (task.wants !== null) this.#step(task);
      if (task.result?.ok !== true) {
        this.#harness.nowMs += this.#dice.between(0, PAUSE_MS);
        this.#catchUp();
        continue;
      }
      const silentMs = this.#harness.nowMs - this.#renewedMs;
      const { hostDeadMs } = leaseTimes(this.#ownerIoTimeoutS);
      const isDead = this.#harness.nowMs >= this.#endMs && silentMs >= hostDeadMs;
      return isDead ? null : `granted ${silentMs} ms after a renewal, not ${hostDeadMs}`;
    }
    return 'the lease of an owner that is gone was not granted';
  }

  #acquire(member: Member) {
    return paxosAcquire(member, HARNESS_PLACE, {
      shared: false,
      ownerNowait: false,
      wantedLver: null,
      newNumHosts: null,
      guess: { geometry: this.#harness.geometry, numHosts: HARNESS_HOSTS },
    });
  }

  #rivalMember(): Member {
    return { ...this.#rival.member(), hostView: () => this.#view };
  }

  /** A read is carried out at some moment between its sending and its answer. */
  #step(task: HarnessTask<unknown>): void {
    if (task.wants?.op === 'read') {
      const takesMs = this.#latencyMs();
      const untilMs = this.#dice.chance(0.5) ? 0 : this.#dice.between(0, takesMs);
      this.#harness.nowMs += untilMs;
      this.#catchUp();
      task.readEarly(() => true);
      this.#harness.nowMs += takesMs - untilMs;
    }
    task.step();
    this.#catchUp();
  }

  #latencyMs(): number {
    const dice = this.#dice;
    if (dice.chance(0.04)) return LONGEST_PAUSE_MS * dice.pick([1, dice.next()]);
    return dice.chance(0.05) ? dice.between(0, LONGEST_READ_MS) : dice.between(0, 20);
  }

  /** Does, in order, what was due by now. */
  #catchUp(): void {
    for (;;) {
      const dueMs = Math.min(this.#renewalDueMs, this.#readDueMs);
      if (dueMs > this.#harness.nowMs) return;
      if (dueMs === this.#renewalDueMs) this.#renew(dueMs);
      else this.#readOwner(dueMs);
    }
  }

  #renew(atMs: number): void {
    this.#renewedMs = atMs;
    const { leader } = this.#owner;
    const timestampS = BigInt(wholeSeconds(atMs));
    const record = { ...leader, timestampS, ioTimeoutS: this.#ownerIoTimeoutS };
    encodeDeltaLeader(record, this.#harness.disks.lockspace, 0);
    const intervalMs = this.#ownerIoTimeoutS * SECOND_MS * this.#dice.between(2, 3);
    this.#renewalDueMs = atMs + intervalMs > this.#endMs ? Infinity : atMs + intervalMs;
  }

  /** The rival's own renewal reads the owner's record. */
  #readOwner(atMs: number): void {
    const timestampS = BigInt(wholeSeconds(this.#renewedMs));
    const before = this.#view;
    const hasMoved = before === null || before.timestampS !== timestampS;
    this.#view = {
      ownerId: OWNER_ID,
      generation: this.#owner.generation,
      timestampS,
      ioTimeoutS: this.#ownerIoTimeoutS,
      hostName: 'host-1',
      firstCheckMs: before?.firstCheckMs ?? atMs,
      lastCheckMs: atMs,
      lastLiveMs: hasMoved ? atMs : before.lastLiveMs,
    };
    this.#readDueMs = atMs + 2 * RIVAL_IO_TIMEOUT_S * SECOND_MS;
  }
}
