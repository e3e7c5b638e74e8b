import assert from 'node:assert/strict';
import type { Result } from '../../base/result.ts';
import { decode } from '../../codec/struct.ts';
import { type DeltaLeader, deltaLeader } from '../../format/leader.ts';
import {
  HARNESS_LOCKSPACE,
  HarnessHost,
  type HarnessTask,
  type ProcedureHarness,
} from '../../sim/procedure-harness.ts';
import { type DeltaHold, type DeltaPlace, deltaAcquire } from '../delta-acquire.ts';
import { deltaRenew, type RenewalFailure, type Renewed } from '../delta-renew.ts';
import { deltaResume } from '../delta-resume.ts';
import type { LeaseError } from '../lease-error.ts';
import { leaseTimes } from '../lease-times.ts';

/** The one host id of a cut test that several hosts want; its record is the first sector. */
export const CONTENDED_ID = 1;

/** The contended host's record as it is on the disk. */
export function recordOf(harness: ProcedureHarness): DeltaLeader {
  return decode(deltaLeader, harness.disks.lockspace, 0);
}

/** Seconds of a record as milliseconds. */
export function timestampMs(leader: DeltaLeader): number {
  return Number(leader.timestampS) * 1000;
}

/** A host of some name that joins with the contended id, one effect at a time. */
export class Contender {
  readonly host: HarnessHost;
  readonly name: string;
  readonly join: HarnessTask<Result<DeltaHold, LeaseError>>;
  /** When its first claim was sent. */
  claimedMs: number | null = null;
  /** When its procedure ended. */
  endedMs: number | null = null;
  #readMs = 0;

  constructor(harness: ProcedureHarness, name: string) {
    this.name = name;
    this.host = new HarnessHost(harness, CONTENDED_ID);
    this.join = this.host.task(deltaAcquire(this.place, harness.geometry));
  }

  get place(): DeltaPlace {
    const { ioTimeoutS } = this.host.harness;
    const { name: hostName } = this;
    return {
      ...{ lockspaceName: HARNESS_LOCKSPACE, offset: 0, hostId: CONTENDED_ID, hostName },
      ...{ ioTimeoutS, aborted: () => false },
    };
  }

  /**
   * A claim is not sent later than its timeout after the read that it rests on: the lease process
   * drops it then (spec 10 §5.2).
   */
  step(): void {
    const { wants } = this.join;
    const { harness } = this.host;
    if (wants === null) return;
    if (wants.op === 'read') this.#readMs = harness.nowMs;
    if (wants.op === 'write') {
      if (harness.nowMs - this.#readMs > wants.timeoutMs) this.host.ended = true;
      else this.claimedMs ??= harness.nowMs;
    }
    this.join.step();
    if (this.join.wants === null) this.endedMs = harness.nowMs;
  }

  advance(atMost: number): void {
    for (let i = 0; i < atMost && this.join.wants !== null; i++) this.step();
  }

  run(): Result<DeltaHold, LeaseError> {
    this.advance(1000);
    assert.ok(this.join.result !== null, 'a join ends');
    return this.join.result;
  }

  /** Its membership, where it got one, and its claim still ran when it did. */
  get membership(): DeltaHold | null {
    const { result } = this.join;
    if (result?.ok !== true || this.endedMs === null) return null;
    const { renewalFailMs } = leaseTimes(this.host.harness.ioTimeoutS);
    return this.endedMs - timestampMs(result.value.leader) < renewalFailMs ? result.value : null;
  }

  renewal(hold: DeltaHold, lastWriteLanded: boolean): HarnessTask<Result<Renewed, RenewalFailure>> {
    return this.host.task(
      deltaRenew(this.place, {
        ...{ hold, lastWriteLanded, hostBits: [], event: null, observe: () => {} },
        readTimeoutMs: leaseTimes(this.host.harness.ioTimeoutS).ioTimeoutMs,
      }),
    );
  }

  /** The next process of this host finds the membership that this one had. */
  resume(hold: DeltaHold): Result<DeltaHold, LeaseError> {
    const { ownerGeneration: generation, timestampS } = hold.leader;
    const left = { generation, timestampS: Number(timestampS) };
    return this.host.run(deltaResume(this.place, hold.geometry, left));
  }
}
