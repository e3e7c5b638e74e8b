import { assert, unreachable } from '../base/assert.ts';
import type { Random } from '../base/units.ts';
import type { LeaseError } from '../lease/lease-error.ts';
import type { Effect, Reply, Steps } from '../lease/steps.ts';
import type { Clock } from '../ports/clock.ts';
import type { Disks } from '../ports/disk.ts';
import type { Log } from '../ports/log.ts';
import type {
  FromLeaseProcess,
  LeaseCommand,
  LeaseCommandResult,
  ToLeaseProcess,
} from '../sanlock/lease-messages.ts';
import { type CommandWorld, commandSteps, devicePath } from './lease-commands.ts';
import { type Device, LeaseDevices, performOn } from './lease-devices.ts';
import { Membership } from './lease-membership.ts';
import { runSteps } from './run-steps.ts';

export interface LeaseProgramParts {
  readonly clock: Clock;
  readonly disks: Disks;
  readonly random: Random;
  readonly log: Log;
  readonly send: (message: FromLeaseProcess) => void;
}

/** Procedures under way at once; each may hold an area's memory. */
const MAX_RUNNING = 32;
const MAX_QUEUED = 2048;
const OPEN_TIMEOUT_MS = 10_000;
const EAGAIN = 11;
const ENOSPC = 28;

interface Job {
  readonly id: number;
  readonly command: LeaseCommand;
  cancelled: boolean;
}

/**
 * The program of a lease process: runs lease procedures next to the disk for one lockspace, or for
 * none. It decides nothing that outlives one procedure; its silence means expiry.
 */
export class LeaseProgram {
  readonly #parts: LeaseProgramParts;
  readonly #devices: LeaseDevices;
  readonly #jobs = new Map<number, Job>();
  readonly #queue: Job[] = [];
  #running = 0;
  #membership: Membership | null = null;
  #refusing = false;
  #closed = false;

  constructor(parts: LeaseProgramParts) {
    this.#parts = parts;
    this.#devices = new LeaseDevices(parts.disks, parts.clock);
  }

  receive(message: ToLeaseProcess): void {
    if (this.#closed) return;
    switch (message.kind) {
      case 'join':
        assert(this.#membership === null, 'a lease process joins one lockspace, once');
        this.#membership = new Membership(message, { ...this.#parts, devices: this.#devices });
        this.#membership.join();
        return;
      case 'leave':
        this.#leave(message.release);
        return;
      case 'announce':
        this.#membership?.announce(message);
        return;
      case 'refuse':
        this.#refusing = true;
        this.#membership?.refuse();
        return;
      case 'run':
        this.#enqueue({ id: message.id, command: message.command, cancelled: false });
        return;
      case 'cancel': {
        const job = this.#jobs.get(message.id);
        if (job !== undefined) job.cancelled = true;
        return;
      }
      default:
        unreachable(message);
    }
  }

  close(): void {
    this.#closed = true;
    this.#membership?.close();
    this.#devices.closeAll();
  }

  #leave(release: boolean): void {
    if (this.#membership === null) this.#parts.send({ kind: 'left', released: false });
    else this.#membership.leave(release);
  }

  #enqueue(job: Job): void {
    if (this.#queue.length >= MAX_QUEUED) {
      const error: LeaseError = {
        code: 'ERRNO',
        errno: EAGAIN,
        during: 'lease command queue',
        facts: { queued: MAX_QUEUED },
      };
      this.#parts.send({ kind: 'ran', id: job.id, result: { ok: false, error, leader: null } });
      return;
    }
    this.#jobs.set(job.id, job);
    this.#queue.push(job);
    this.#startNext();
  }

  #startNext(): void {
    while (this.#running < MAX_RUNNING) {
      const job = this.#queue.shift();
      if (job === undefined) return;
      this.#running++;
      this.#open(job);
    }
  }

  #open(job: Job): void {
    const path = devicePath(job.command);
    const timeoutMs = this.#membership?.ioTimeoutMs ?? OPEN_TIMEOUT_MS;
    this.#devices.open(path, timeoutMs, (opened) => {
      if (this.#closed) return;
      if (!opened.ok) {
        const facts = { path };
        const error: LeaseError = {
          code: 'ERRNO',
          errno: opened.errno,
          during: 'device open',
          facts,
        };
        this.#finish(job, { ok: false, error, leader: null });
        return;
      }
      const world: CommandWorld = {
        member: this.#membership?.member(() => job.cancelled || this.#refusing) ?? null,
        deviceSectorSize: opened.device.sectorSize,
        guesses: this.#membership?.guesses ?? null,
        nowMs: this.#parts.clock.nowMs(),
        random: this.#parts.random,
      };
      this.#run(job, commandSteps(job.command, world), opened.device);
    });
  }

  #run(job: Job, steps: Steps<LeaseCommandResult>, resource: Device): void {
    let broken = false;
    const perform = (
      effect: Readonly<Effect>,
      answer: (reply: Reply, release: (() => void) | null) => void,
    ): void => {
      if (this.#closed) return; // a crash: nobody resumes the procedure
      const { clock } = this.#parts;
      if (effect.op === 'sleep') {
        clock.after(effect.forMs, () =>
          answer({ outcome: 'done', bytes: NOTHING, nowMs: clock.nowMs() }, null),
        );
        return;
      }
      // After own expiry no lease write starts: the others' clocks may run out while it travels.
      if (effect.op === 'write' && this.#membership?.expired() === true) {
        clock.after(0, () =>
          answer({ outcome: 'failed', errno: ENOSPC, nowMs: clock.nowMs() }, null),
        );
        return;
      }
      // A command names one device; 'lockspace' means our own lockspace's only for a member.
      const own = effect.disk === 'lockspace' ? this.#membership?.disk : null;
      performOn(own ?? resource.disk, effect, {
        clock,
        answer: (reply, release) => {
          if (this.#closed) return;
          broken ||= reply.outcome === 'failed';
          answer(reply, release);
        },
      });
    };
    runSteps(steps, perform, (result) => {
      this.#devices.leave(resource, { forget: broken || this.#membership === null });
      this.#finish(job, result);
    });
  }

  #finish(job: Job, result: LeaseCommandResult): void {
    this.#jobs.delete(job.id);
    this.#running--;
    this.#parts.send({ kind: 'ran', id: job.id, result });
    this.#startNext();
  }
}

const NOTHING = new Uint8Array(0);
