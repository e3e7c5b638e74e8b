import { unreachable } from '../base/assert.ts';
import type { Random } from '../base/units.ts';
import type { DeltaPlace } from '../lease/delta-acquire.ts';
import { deltaRelease } from '../lease/delta-release.ts';
import { deltaRenew } from '../lease/delta-renew.ts';
import type { Member } from '../lease/member.ts';
import type { Steps } from '../lease/steps.ts';
import type { HostChanges } from '../lease-process/host-table.ts';
import { joinSteps } from '../lease-process/join-steps.ts';
import { stepMembership } from '../lease-process/membership.ts';
import {
  hasEnded,
  isAborted,
  type Membership,
  type MembershipEffect,
  type MembershipEvent,
  type Moment,
  mayWriteOwn,
  newMembership,
} from '../lease-process/membership-state.ts';
import type { FromLeaseProcess, JoinRequest } from '../lease-process/messages.ts';
import { type BootClock, readClocks, type Timer } from '../ports/clock.ts';
import { LagGauge } from './lag-gauge.ts';
import { type LeaseDevices, performOn } from './lease-devices.ts';
import type { OrderedDisk } from './ordered-disk.ts';
import { runSteps } from './run-steps.ts';

export interface MembershipParts {
  readonly clock: BootClock;
  readonly random: Random;
  readonly devices: LeaseDevices;
  readonly send: (message: FromLeaseProcess) => void;
}

/** Runs what a membership wants: delta procedures on the lockspace's device, timers, messages. */
export class LeaseMembership {
  readonly #parts: MembershipParts;
  readonly #membership: Membership;
  readonly #gauge: LagGauge;
  #disk: OrderedDisk | null = null;
  #timer: Timer | null = null;
  #lagTimer: Timer | null = null;
  #closed = false;

  constructor(request: JoinRequest, parts: MembershipParts) {
    this.#parts = parts;
    this.#membership = newMembership(request, this.#moment());
    this.#gauge = new LagGauge(parts.clock);
  }

  begin(): void {
    this.step({ kind: 'begun' });
  }

  get ioTimeoutMs(): number {
    return this.#membership.times.ioTimeoutMs;
  }

  /** The lockspace's; null until it is open. */
  get disk(): OrderedDisk | null {
    return this.#disk;
  }

  /** No grant, and no lease write may start. */
  hasEnded(): boolean {
    return this.#closed || hasEnded(this.#membership, this.#parts.clock.bootMs());
  }

  /** null until joined. */
  member(cancelled: () => boolean, finishLater: (rest: () => Steps<void>) => void): Member | null {
    const { request, own } = this.#membership;
    if (own === null) return null;
    const { hold, hosts } = own;
    return {
      hostId: request.hostId,
      generation: hold.leader.ownerGeneration,
      ioTimeoutS: request.ioTimeoutS,
      lockspaceOffset: request.offset,
      lockspaceGeometry: hold.geometry,
      lockspaceName: request.lockspaceName,
      hostView: (hostId) => hosts.view(hostId),
      knownHosts: () => hosts.knownHosts,
      random: this.#parts.random,
      cancelled: () => this.hasEnded() || cancelled(),
      ended: () => this.hasEnded(),
      finishLater,
      sharedRetries: request.sharedRetries,
    };
  }

  step(event: MembershipEvent): void {
    if (this.#closed) return;
    for (const effect of stepMembership(this.#membership, event, this.#moment())) {
      this.#apply(effect);
    }
  }

  close(): void {
    this.#closed = true;
    this.#rest();
  }

  #moment(): Moment {
    const { clock, devices } = this.#parts;
    const { bootMs, nowMs } = readClocks(clock);
    const { isWriting, refusedUntilMs } = devices;
    return { bootMs, nowMs, isWriting, refusedUntilMs };
  }

  #apply(effect: MembershipEffect): void {
    switch (effect.kind) {
      case 'send':
        this.#parts.send(effect.message);
        return;
      case 'open':
        this.#open();
        return;
      case 'join': {
        const steps = joinSteps(this.#membership.request, () => this.#isAborted());
        this.#run(steps, (joined) => {
          if (joined.ok) this.step({ kind: 'joined', hold: joined.value });
          else this.step({ kind: 'joinFailed', error: joined.error });
        });
        return;
      }
      case 'renew':
        this.#renew(effect);
        return;
      case 'release':
        this.#run(deltaRelease(this.#membership.request, effect.hold), (released) =>
          this.step({ kind: 'released', isDone: released.ok }),
        );
        return;
      case 'wake':
        this.#timer?.cancel();
        this.#timer = this.#parts.clock.after(effect.afterMs, () => this.#wake());
        return;
      case 'watchLag':
        this.#watchLag();
        return;
      case 'rest':
        this.#rest();
        return;
      default:
        unreachable(effect);
    }
  }

  #rest(): void {
    this.#timer?.cancel();
    this.#lagTimer?.cancel();
    this.#lagTimer = null;
    this.#gauge.rest();
  }

  #wake(): void {
    if (this.#lagTimer !== null) this.#measureLag();
    this.step({ kind: 'woke' });
  }

  /** From now on: a renewal is one look, so that the others need not wake the process beside it. */
  #watchLag(): void {
    const { lagTickMs } = this.#membership.times;
    this.#lagTimer?.cancel();
    this.#gauge.expect(lagTickMs);
    this.#lagTimer = this.#parts.clock.after(lagTickMs, () => this.#measureLag());
  }

  #measureLag(): void {
    const lagMs = this.#gauge.take();
    this.#watchLag();
    if (lagMs > 0) this.step({ kind: 'lagged', lagMs });
  }

  #isAborted(): boolean {
    return this.#closed || isAborted(this.#membership);
  }

  #open(): void {
    const { request, times } = this.#membership;
    const opened: Parameters<LeaseDevices['open']>[2] = (opened) => {
      if (!opened.ok) {
        this.step({ kind: 'notOpened', errno: opened.errno });
        return;
      }
      this.#disk = opened.device.disk;
      this.step({ kind: 'opened' });
    };
    this.#parts.devices.open(request.path, times.ioTimeoutMs, opened, { urgent: true });
  }

  #renew(effect: Extract<MembershipEffect, { kind: 'renew' }>): void {
    const { hold, hosts, lastWriteLanded, readTimeoutMs, hostIds: hostBits, event } = effect;
    let readMs = this.#parts.clock.nowMs();
    let seen: HostChanges | null = null;
    const observe = (area: Uint8Array, nowMs: number): void => {
      readMs = nowMs;
      seen = hosts.observe(area, nowMs);
    };
    const place: DeltaPlace = { ...this.#membership.request, aborted: () => this.#isAborted() };
    const renewal = { hold, lastWriteLanded, readTimeoutMs, hostBits, event, observe };
    this.#run(deltaRenew(place, renewal), (renewed) => {
      if (renewed.ok) this.step({ kind: 'renewed', ...renewed.value, readMs, seen });
      else this.step({ kind: 'renewalFailed', ...renewed.error, readMs, seen });
    });
  }

  #run<T>(steps: Steps<T>, done: (value: T) => void): void {
    const { clock } = this.#parts;
    let readBootMs = clock.bootMs();
    runSteps(
      steps,
      (effect, answer) => {
        if (this.#closed || this.#disk === null) return;
        if (effect.op === 'read') readBootMs = clock.bootMs();
        if (effect.op === 'sleep') {
          const reply = () =>
            ({ outcome: 'done', bytes: new Uint8Array(0), nowMs: clock.nowMs() }) as const;
          clock.after(effect.forMs, () => answer(reply(), null));
        } else {
          const { timeoutMs } = effect;
          const mayWrite = () =>
            !this.#closed &&
            mayWriteOwn(this.#membership, { bootMs: clock.bootMs(), readBootMs, timeoutMs });
          performOn(this.#disk, effect, { clock, mayWrite, urgent: true }, answer);
        }
      },
      done,
    );
  }
}
