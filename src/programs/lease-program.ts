import { assert, unreachable } from '../base/assert.ts';
import type { Random } from '../base/units.ts';
import type { Steps } from '../lease/steps.ts';
import type { AreaGuesses } from '../lease-process/command-context.ts';
import { commandSteps } from '../lease-process/commands.ts';
import { newHolds } from '../lease-process/holds.ts';
import {
  isCancelled,
  isIndexInUse,
  type Job,
  type JobEffect,
  type JobEvent,
  newJobs,
  placeOf,
  stepJobs,
} from '../lease-process/jobs.ts';
import type { FromLeaseProcess, ToLeaseProcess } from '../lease-process/messages.ts';
import type { BootClock } from '../ports/clock.ts';
import type { Disks } from '../ports/disk.ts';
import type { Log } from '../ports/log.ts';
import type { LeaseEnd } from '../ports/processes.ts';
import { type Device, LeaseDevices, performOn } from './lease-devices.ts';
import { LeaseMembership } from './lease-membership.ts';
import { type Perform, runSteps } from './run-steps.ts';

export interface LeaseProgramParts {
  readonly clock: BootClock;
  readonly disks: Disks;
  readonly random: Random;
  readonly log: Log;
  readonly send: (message: FromLeaseProcess) => void;
}

const OPEN_TIMEOUT_MS = 10_000;
/** How long answers are awaited when the front is gone, and how often that is looked at. */
const LAST_ANSWERS_MS = 60_000;
const LOOK_MS = 5;

/** A job whose device is open. */
interface Running {
  readonly device: Device;
  /** An operation on the device failed. */
  isBroken: boolean;
  /** What its procedure left to be done after the answer. */
  readonly rest: (() => Steps<void>)[];
}

/**
 * The program of a lease process: runs lease procedures next to the disk for one lockspace, or for
 * none. It decides nothing that outlives one procedure; its silence means expiry.
 */
export class LeaseProgram {
  readonly #parts: LeaseProgramParts;
  readonly #devices: LeaseDevices;
  readonly #holds = newHolds();
  readonly #jobs = newJobs(this.#holds);
  readonly #running = new Map<number, Running>();
  readonly #guesses: AreaGuesses = new Map();
  #membership: LeaseMembership | null = null;
  #closed = false;

  constructor(parts: LeaseProgramParts) {
    this.#parts = parts;
    this.#devices = new LeaseDevices(parts.disks, parts.clock, parts.log);
  }

  receive(message: ToLeaseProcess): void {
    if (this.#closed) return;
    switch (message.kind) {
      case 'join':
        assert(this.#membership === null, 'a lease process joins one lockspace, once');
        this.#devices.expectRefused(message.resume?.refusedUntilMs ?? null);
        this.#membership = new LeaseMembership(message, { ...this.#parts, devices: this.#devices });
        this.#membership.begin();
        return;
      case 'leave':
        this.#leave(message.release);
        return;
      case 'announce':
        this.#membership?.step(message);
        return;
      case 'refuse':
        this.#step(message);
        this.#membership?.step(message);
        return;
      case 'run': {
        const { id, command } = message;
        const place = placeOf(this.#jobs, command);
        const deviceId = place === null ? '' : this.#devices.idOf(place.path);
        this.#step({ kind: 'arrived', id, command, place, deviceId });
        return;
      }
      case 'cancel':
        this.#step({ kind: 'cancelled', id: message.id });
        return;
      default:
        unreachable(message);
    }
  }

  /**
   * The front is gone: nothing is begun or gone on with any more. `ended` hears, when each write
   * that was sent has an answer, until when refused ones may land; null: that is not known.
   */
  frontLost(ended: (end: LeaseEnd | null) => void): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#membership?.close();
    const { clock } = this.#parts;
    const untilMs = clock.nowMs() + LAST_ANSWERS_MS;
    // One that has joined nothing yet was not told what the process before it was refused.
    const isTold = this.#membership !== null;
    const look = (): void => {
      const { isUnanswered, refusedUntilMs } = this.#devices;
      if (!isUnanswered) ended(isTold ? { refusedUntilMs } : null);
      else if (clock.nowMs() >= untilMs) ended(null);
      else clock.after(LOOK_MS, look);
    };
    look();
  }

  close(): void {
    this.#closed = true;
    this.#membership?.close();
    this.#devices.closeAll();
  }

  #leave(release: boolean): void {
    if (this.#membership === null) this.#parts.send({ kind: 'left', released: false });
    // A resource format may still be on its way to the disk: others must not take us for gone.
    else this.#membership.step({ kind: 'leave', release: release && !isIndexInUse(this.#jobs) });
  }

  #step(event: JobEvent): void {
    for (const effect of stepJobs(this.#jobs, event)) this.#apply(effect);
  }

  #apply(effect: JobEffect): void {
    switch (effect.kind) {
      case 'answer': {
        const { id, result } = effect;
        if (effect.leftWork) this.#parts.send({ kind: 'ran', id, result, unfinished: true });
        else this.#parts.send({ kind: 'ran', id, result });
        return;
      }
      case 'tellFinished':
        this.#parts.send({ kind: 'finished', id: effect.id });
        return;
      case 'open':
        this.#open(effect.job);
        return;
      case 'run':
        this.#run(effect.job);
        return;
      case 'finish':
        this.#finish(effect.job);
        return;
      case 'leaveDevice': {
        const { device, isBroken } = this.#runningOf(effect.job);
        this.#running.delete(effect.job.id);
        this.#devices.leave(device, { forget: isBroken || this.#membership === null });
        return;
      }
      default:
        unreachable(effect);
    }
  }

  #runningOf({ id }: Job): Running {
    const running = this.#running.get(id);
    assert(running !== undefined, 'a job that runs has its device');
    return running;
  }

  #open({ id, path }: Job): void {
    const timeoutMs = this.#membership?.ioTimeoutMs ?? OPEN_TIMEOUT_MS;
    this.#devices.open(path, timeoutMs, (opened) => {
      if (this.#closed) return;
      if (!opened.ok) {
        this.#step({ kind: 'notOpened', id, errno: opened.errno });
        return;
      }
      const { device } = opened;
      this.#running.set(id, { device, isBroken: false, rest: [] });
      this.#step({ kind: 'opened', id, deviceId: device.id });
    });
  }

  #run(job: Job): void {
    const { id, command, held } = job;
    const running = this.#runningOf(job);
    const cancelled = () => isCancelled(this.#jobs, job);
    const later = (rest: () => Steps<void>) => running.rest.push(rest);
    const { clock, random } = this.#parts;
    const nowMs = clock.nowMs();
    const steps = commandSteps(command, {
      member: this.#membership?.member(cancelled, later) ?? null,
      deviceSectorSize: running.device.sectorSize,
      guesses: this.#guesses,
      holds: this.#holds,
      held,
      nowMs,
      wallAheadMs: clock.wallMs() - nowMs,
      random,
    });
    runSteps(steps, this.#performer(running), (result) =>
      this.#step({ kind: 'ran', id, result, leftWork: running.rest.length > 0 }),
    );
  }

  /** Runs what was left, one after the other. */
  #finish(job: Job): void {
    const running = this.#runningOf(job);
    const rest = running.rest.shift();
    if (rest === undefined) this.#step({ kind: 'finished', id: job.id });
    else runSteps(rest(), this.#performer(running), () => this.#finish(job));
  }

  #performer(running: Running): Perform {
    const { clock } = this.#parts;
    // After own expiry no lease write starts: others' clocks may run out while it travels.
    const mayWrite = () => !this.#closed && this.#membership?.hasEnded() !== true;
    const rules = { clock, mayWrite };
    return (effect, answer) => {
      if (this.#closed) return; // a crash: the procedure is not resumed
      if (effect.op === 'sleep') {
        clock.after(effect.forMs, () =>
          answer({ outcome: 'done', bytes: NOTHING, nowMs: clock.nowMs() }, null),
        );
        return;
      }
      // A command names one device; 'lockspace' means our own lockspace's only for a member.
      const own = effect.disk === 'lockspace' ? this.#membership?.disk : null;
      performOn(own ?? running.device.disk, effect, rules, (reply, release) => {
        if (this.#closed) return;
        running.isBroken ||= reply.outcome === 'failed';
        answer(reply, release);
      });
    };
  }
}

const NOTHING = new Uint8Array(0);
