import { ERRNO } from '../base/errno.ts';
import type { Result } from '../base/result.ts';
import { SECOND_MS } from '../base/units.ts';
import { type DeltaHold, deltaAcquire, readLockspaceSizes } from '../lease/delta-acquire.ts';
import { deltaRelease } from '../lease/delta-release.ts';
import { deltaRenew, type RenewalFailure, type Renewed } from '../lease/delta-renew.ts';
import { deltaResume } from '../lease/delta-resume.ts';
import type { LeaseError } from '../lease/lease-error.ts';
import { type LeaseTimes, leaseTimes, REFUSED_LANDS_MS } from '../lease/lease-times.ts';
import type { Member } from '../lease/member.ts';
import type { Steps } from '../lease/steps.ts';
import { HostTable, type Look } from '../lease-process/host-table.ts';
import type { AnnouncedEvent, JoinRequest, ToLeaseProcess } from '../lease-process/messages.ts';
import { bootTimes, type Timer } from '../ports/clock.ts';
import { LagGauge } from './lag-gauge.ts';
import { type LeaseDevices, performOn } from './lease-devices.ts';
import type { LeaseProgramParts } from './lease-program.ts';
import type { OrderedDisk } from './ordered-disk.ts';
import { runSteps } from './run-steps.ts';

const RETRY_MS = 500;
/** How long leaving waits for the last writes, and how often it looks. */
const LAST_WRITES_MS = 2000;
const LOOK_MS = 50;

/** A host's stay in one lockspace: joining, renewing, leaving (spec 10 §5). */
export class Membership {
  readonly #request: JoinRequest;
  readonly #parts: LeaseProgramParts & { readonly devices: LeaseDevices };
  readonly #times: LeaseTimes;
  readonly #gauge: LagGauge;
  #disk: OrderedDisk | null = null;
  #hold: DeltaHold | null = null;
  #hosts: HostTable | null = null;
  #lastSuccessMs = 0;
  /** Boot time of the timestamp of the last renewal known to have landed, or of the join. */
  #claimedBootMs = 0;
  #lastLanded = true;
  /** Until then a renewal of ours that was not answered well may yet go over a later one. */
  #looseUntilMs = 0;
  #lastRenewalOk = true;
  #renewing = false;
  #timer: Timer | null = null;
  #announced: { hostIds: readonly number[]; event: AnnouncedEvent | null } = {
    hostIds: [],
    event: null,
  };
  #leaving: { readonly release: boolean; readonly byMs: number } | null = null;
  #aborted = false;
  #closed = false;
  #lost = false;

  constructor(request: JoinRequest, parts: LeaseProgramParts & { readonly devices: LeaseDevices }) {
    this.#request = request;
    this.#parts = parts;
    this.#times = leaseTimes(request.ioTimeoutS);
    this.#gauge = new LagGauge(parts.clock, (lagMs) => {
      if (lagMs > this.#times.lagWarnMs) parts.send({ kind: 'lagged', lagMs });
    });
  }

  get ioTimeoutMs(): number {
    return this.#times.ioTimeoutMs;
  }

  get disk(): OrderedDisk | null {
    return this.#disk;
  }

  /** Own expiry by our clock: 8·t after the timestamp of the last renewal known to have landed. */
  expired(): boolean {
    if (this.#hold === null) return false;
    // For good: a renewal that ends after this must not revive what the front is giving up.
    const ageMs = this.#parts.clock.bootMs() - this.#claimedBootMs;
    if (ageMs >= this.#times.renewalFailMs) this.#lost = true;
    return this.#lost;
  }

  /** Our stay is over: no grant, and no lease write may start (spec 10 §15 item 8). */
  ended(): boolean {
    return this.#closed || this.#leaving !== null || this.expired();
  }

  /** null until joined. */
  member(cancelled: () => boolean, finishLater: (rest: () => Steps<void>) => void): Member | null {
    const hold = this.#hold;
    const hosts = this.#hosts;
    if (hold === null || hosts === null) return null;
    return {
      hostId: this.#request.hostId,
      generation: hold.leader.ownerGeneration,
      ioTimeoutS: this.#request.ioTimeoutS,
      lockspaceOffset: this.#request.offset,
      lockspaceGeometry: hold.geometry,
      lockspaceName: this.#request.lockspaceName,
      hostView: (hostId) => hosts.view(hostId),
      knownHosts: () => hosts.knownHosts,
      random: this.#parts.random,
      cancelled: () => this.ended() || cancelled(),
      ended: () => this.ended(),
      finishLater,
      sharedRetries: this.#request.sharedRetries,
    };
  }

  join(): void {
    const { path } = this.#request;
    const urgent = true;
    const bootOf = bootTimes(this.#parts.clock);
    const opened: Parameters<LeaseDevices['open']>[2] = (opened) => {
      if (this.#closed) return;
      if (!opened.ok) {
        // Lockspaces answer ENODEV for any reason (spec 20 §4); the true one is a fact beside it.
        const facts = { path, openErrno: opened.errno };
        this.#joinFailed({ code: 'ERRNO', errno: ERRNO.ENODEV, during: 'lockspace open', facts });
        return;
      }
      this.#disk = opened.device.disk;
      this.#run(this.#joinSteps(), (joined) => {
        if (joined.ok) this.#joined(joined.value, bootOf);
        else this.#joinFailed(joined.error);
      });
    };
    this.#parts.devices.open(path, this.#times.ioTimeoutMs, opened, { urgent });
  }

  *#joinSteps(): Steps<Result<DeltaHold, LeaseError>> {
    const place = this.#place();
    const sizes = yield* readLockspaceSizes(place);
    if (!sizes.ok) return sizes;
    const { resume } = this.#request;
    if (resume !== undefined) return yield* deltaResume(place, sizes.value, resume);
    return yield* deltaAcquire(place, sizes.value);
  }

  #place() {
    return { ...this.#request, aborted: () => this.#aborted || this.#closed };
  }

  /**
   * A claim that was refused may land over that of the next stay, and bring back a generation. One
   * that is resumed expects that, and has no time to lose.
   */
  #joinFailed(error: LeaseError): void {
    const isNew = this.#request.resume === undefined;
    if (isNew && this.#waitUntilSure(() => this.#joinFailed(error))) return;
    if (this.#leaving === null) this.#parts.send({ kind: 'joinFailed', error });
    else this.#parts.send({ kind: 'left', released: false });
  }

  #joined(hold: DeltaHold, bootOf: (monotonicMs: number) => number): void {
    const timestampS = Number(hold.leader.timestampS);
    this.#hold = hold;
    this.#lastSuccessMs = timestampS * SECOND_MS;
    this.#claimedBootMs = this.#claimOf(timestampS, bootOf);
    // Resumed, but asleep for too long since: others may have its leases already.
    if (this.#request.resume !== undefined && this.expired()) {
      const ageMs = this.#parts.clock.bootMs() - this.#claimedBootMs;
      const facts = { timestampS, ageMs: Math.round(ageMs) };
      this.#joinFailed({ code: 'HOSTID_BUSY', during: 'resume, too late', facts });
      return;
    }
    this.#hosts = new HostTable({
      geometry: hold.geometry,
      lockspaceName: this.#request.lockspaceName,
      ownHostId: this.#request.hostId,
    });
    if (this.#leaving !== null) {
      this.#finishLeaving();
      return;
    }
    // A renewal that the process before us was refused may land now, over ours (reliability.md).
    if (this.#request.resume !== undefined) {
      this.#looseUntilMs = this.#parts.clock.nowMs() + REFUSED_LANDS_MS;
    }
    const { sectorSize, areaBytes, maxHosts } = hold.geometry;
    const generation = hold.leader.ownerGeneration;
    const sizes = { sectorSize, areaBytes, maxHosts };
    const claimedBootMs = this.#claimedBootMs;
    this.#parts.send({ kind: 'joined', generation, timestampS, claimedBootMs, ...sizes });
    this.#gauge.watch(this.#times);
    // At once, not after 2·t: the first look at the other hosts answers first conflicts sooner.
    this.#renewAfter(0);
  }

  /**
   * A resumed membership's record may be of a renewal later than the last one known, made at an
   * unknown boot time: of the time between the two it counts what passed awake.
   */
  #claimOf(timestampS: number, bootOf: (monotonicMs: number) => number): number {
    const { resume } = this.#request;
    if (resume === undefined) return bootOf(timestampS * SECOND_MS);
    return resume.claimedBootMs + (timestampS - resume.timestampS) * SECOND_MS;
  }

  announce(message: Extract<ToLeaseProcess, { kind: 'announce' }>): void {
    this.#announced = { hostIds: message.hostIds, event: message.event };
  }

  refuse(): void {
    this.#aborted = true;
  }

  leave(release: boolean): void {
    this.#leaving = { release, byMs: this.#parts.clock.nowMs() + LAST_WRITES_MS };
    this.#aborted = true;
    this.#tellUnsure(); // now: what is under way may take longer than the front waits
    if (this.#hold !== null && !this.#renewing) this.#finishLeaving();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#gauge.watch(null);
  }

  #renewAfter(delayMs: number): void {
    this.#timer = this.#parts.clock.after(delayMs, () => this.#renew());
  }

  #renew(): void {
    const hold = this.#hold;
    const hosts = this.#hosts;
    if (this.#closed || this.#leaving !== null || hold === null || hosts === null) return;
    if (this.expired()) return; // too late: a renewal now would revive what is being given up
    this.#renewing = true;
    const startedMs = this.#parts.clock.nowMs();
    const bootOf = bootTimes(this.#parts.clock);
    let readMs = startedMs;
    let look: Look | null = null;
    const steps = deltaRenew(this.#place(), {
      hold,
      lastWriteLanded: this.#lastLanded && startedMs >= this.#looseUntilMs,
      readTimeoutMs: this.#times.ioTimeoutMs + this.#request.renewalReadExtendMs,
      hostBits: this.#announced.hostIds,
      event: this.#announced.event,
      observe: (area, nowMs) => {
        readMs = nowMs;
        look = hosts.observe(area, nowMs);
      },
    });
    this.#run(steps, (renewed) => {
      this.#renewing = false;
      const nowMs = this.#parts.clock.nowMs();
      if (look !== null) this.#report(look, { sentMs: startedMs, readMs });
      const took = { readMs: readMs - startedMs, writeMs: nowMs - readMs };
      this.#renewed(renewed, took, bootOf);
    });
  }

  #report({ changed, signals }: Look, at: { sentMs: number; readMs: number }): void {
    const sentS = Math.floor(at.sentMs / SECOND_MS);
    const checkedS = Math.floor(at.readMs / SECOND_MS);
    this.#parts.send({ kind: 'hosts', sentS, checkedS, changed, signals });
  }

  #renewed(
    renewed: Result<Renewed, RenewalFailure>,
    took: { readMs: number; writeMs: number },
    bootOf: (monotonicMs: number) => number,
  ): void {
    this.#lastRenewalOk = renewed.ok;
    this.expired(); // before the new time counts
    if (renewed.ok) {
      const { hold, timestampS } = renewed.value;
      this.#hold = hold;
      if (!this.#lastLanded) this.#looseUntilMs = this.#parts.clock.nowMs() + REFUSED_LANDS_MS;
      this.#lastLanded = true;
      this.#lastSuccessMs = timestampS * SECOND_MS;
      this.#claimedBootMs = bootOf(this.#lastSuccessMs);
      // Too late, it must not revive the watchdog: users are already being stopped.
      if (!this.#lost) {
        const claimedBootMs = this.#claimedBootMs;
        this.#parts.send({ kind: 'renewed', timestampS, claimedBootMs, ...took });
      }
    } else {
      const { error, step } = renewed.error;
      const overwritten = step === 'check';
      if (step === 'write') this.#lastLanded = false;
      this.#parts.send({ kind: 'renewalFailed', error, overwritten });
      // Somebody else wrote our record: writing it again would take the host id from them.
      if (overwritten) this.#lost = true;
    }
    if (this.#leaving !== null) this.#finishLeaving();
    else if (!this.#lost) this.#renewAfter(this.#nextDelay(renewed.ok));
  }

  #nextDelay(succeeded: boolean): number {
    if (!succeeded) return RETRY_MS;
    const dueMs = this.#lastSuccessMs + this.#times.renewalIntervalMs;
    return Math.max(RETRY_MS, dueMs - this.#parts.clock.nowMs());
  }

  /**
   * The host id is given back only while our claim is good and the last renewal succeeded, and when
   * no write of ours can land any more: it would meet the next one to have the host id, in our
   * block, or a host that shares again what it had when we took it for dead (spec 10 §18.2).
   */
  #finishLeaving(): void {
    if (this.#closed) return;
    const hold = this.#hold;
    const leaving = this.#leaving;
    const release = leaving?.release === true && this.#lastRenewalOk && !this.expired();
    const { clock, devices } = this.#parts;
    if (hold === null || !release) {
      this.#left(false);
      return;
    }
    if (devices.isWriting) {
      if (clock.nowMs() >= leaving.byMs) this.#left(false);
      else this.#timer = clock.after(LOOK_MS, () => this.#finishLeaving());
      return;
    }
    this.#run(deltaRelease(this.#request, hold), (released) => {
      this.#left(released.ok);
    });
  }

  /**
   * A refused write that lands over the next stay's records frees what that one holds, or goes back
   * to an old ballot: we are not gone before all are sure to be over, and until then nobody joins
   * again from here (spec 10 §18.2).
   */
  #left(released: boolean): void {
    if (this.#waitUntilSure(() => this.#left(released))) return;
    this.#timer?.cancel();
    this.#gauge.watch(null);
    this.#closed = true;
    this.#parts.send({ kind: 'left', released });
  }

  /** @returns false when nothing that was refused may land any more */
  #waitUntilSure(then: () => void): boolean {
    const { clock } = this.#parts;
    const untilMs = this.#tellUnsure();
    if (untilMs !== null) this.#timer = clock.after(untilMs - clock.nowMs(), then);
    return untilMs !== null;
  }

  /** @returns until when; null = nothing that was refused may land */
  #tellUnsure(): number | null {
    const untilMs = this.#parts.devices.refusedUntilMs;
    if (untilMs !== null) this.#parts.send({ kind: 'leaveUnsure', untilMs });
    return untilMs;
  }

  #run<T>(steps: Steps<T>, done: (value: T) => void): void {
    const { clock } = this.#parts;
    let readMs = clock.bootMs();
    // A join that claims later after it looked than half the rival's wait may meet it joined.
    const isFresh = (forMs: number) =>
      this.#hold !== null || clock.bootMs() - readMs <= Math.min(forMs, this.ioTimeoutMs);
    runSteps(
      steps,
      (effect, answer) => {
        if (this.#closed || this.#disk === null) return;
        if (effect.op === 'read') readMs = clock.bootMs();
        if (effect.op === 'sleep') {
          const reply = () =>
            ({ outcome: 'done', bytes: new Uint8Array(0), nowMs: clock.nowMs() }) as const;
          clock.after(effect.forMs, () => answer(reply(), null));
        } else {
          const mayWrite = () => isFresh(effect.timeoutMs) && !this.expired();
          performOn(this.#disk, effect, { clock, mayWrite, urgent: true }, answer);
        }
      },
      (value) => {
        if (!this.#closed) done(value);
      },
    );
  }
}
