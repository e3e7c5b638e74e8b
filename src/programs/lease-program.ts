import { assert, unreachable } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import { pathGroup } from '../base/path-group.ts';
import { Share } from '../base/share.ts';
import type { Random } from '../base/units.ts';
import { errnoError } from '../lease/io.ts';
import type { LeaseError } from '../lease/lease-error.ts';
import type { Member } from '../lease/member.ts';
import { INDEX_LEASE_NAME } from '../lease/rindex-area.ts';
import type { Steps } from '../lease/steps.ts';
import {
  type AreaGuesses,
  type CommandContext,
  refused,
} from '../lease-process/command-context.ts';
import { areaKey, commandSteps } from '../lease-process/commands.ts';
import { dropHold, type Held, newHolds } from '../lease-process/holds.ts';
import type {
  AreaAddress,
  FromLeaseProcess,
  LeaseCommand,
  LeaseCommandResult,
  ToLeaseProcess,
} from '../lease-process/messages.ts';
import type { BootClock } from '../ports/clock.ts';
import type { Disks } from '../ports/disk.ts';
import type { Log } from '../ports/log.ts';
import { type Device, LeaseDevices, performOn } from './lease-devices.ts';
import { Membership } from './lease-membership.ts';
import { type Perform, runSteps } from './run-steps.ts';

export interface LeaseProgramParts {
  readonly clock: BootClock;
  readonly disks: Disks;
  readonly random: Random;
  readonly log: Log;
  readonly send: (message: FromLeaseProcess) => void;
}

/** Procedures under way at once; each may hold an area's memory. */
const MAX_RUNNING = 64;
/** Releases come on top of it: there are no more of them than leases held. */
const MAX_QUEUED = 2048;
const OPEN_TIMEOUT_MS = 10_000;

interface Job {
  readonly id: number;
  readonly command: LeaseCommand;
  /** The hold it names; null: none. */
  readonly held: Held | null;
  readonly place: AreaAddress;
  /** Of paths that hang together. */
  readonly group: string;
  /** Names its area, by the device where that is known. */
  area: string;
  cancelled: boolean;
  /** Whether it has one of the places of `MAX_RUNNING`. */
  hasPlace: boolean;
  /** What a procedure left to be done after the answer. */
  readonly rest: (() => Steps<void>)[];
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
  readonly #holds = newHolds();
  readonly #guesses: AreaGuesses = new Map();
  /** Areas on which earlier commands still have something to finish, and who waits for that. */
  readonly #unfinished = new Map<string, { readonly by: Set<Job>; readonly waiting: Job[] }>();
  /** Areas with a release that is not answered yet. */
  readonly #releasing = new Set<string>();
  /** By paths that hang together: a hung device has no more of them than it leaves for others. */
  readonly #places = new Share<string>(MAX_RUNNING);
  /** Commands on a resource index that have come, with what they left to be done. */
  #onIndex = 0;
  #membership: Membership | null = null;
  #refusing = false;
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
        this.#run(message);
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
    // A resource format may still be on its way to the disk: others must not take us for gone.
    else this.#membership.leave(release && this.#onIndex === 0);
  }

  #run({ id, command }: Extract<ToLeaseProcess, { kind: 'run' }>): void {
    const named = holdNamedBy(command);
    const held = named === null ? null : (this.#holds.byNumber.get(named) ?? null);
    const place = 'area' in command ? command.area : held?.hold;
    if (place === undefined) {
      const error = errnoError(ERRNO.ENOENT, command.op, {
        reason: 'no such hold',
        hold: named ?? 0,
      });
      this.#parts.send({ kind: 'ran', id, result: refused(error) });
      return;
    }
    const { path, offset } = place;
    const area = areaKey({ path: this.#devices.idOf(path), offset });
    this.#enqueue({
      id,
      command,
      held,
      place: { path, offset },
      group: pathGroup(path),
      area,
      cancelled: false,
      hasPlace: false,
      rest: [],
    });
  }

  #enqueue(job: Job): void {
    // A release that is refused is asked for by nobody again: the lease would be held for ever.
    if (this.#queue.length >= MAX_QUEUED && job.command.op !== 'release') {
      this.#answer(job, again('lease command queue', { queued: MAX_QUEUED }));
      return;
    }
    this.#jobs.set(job.id, job);
    if (this.#isGivingBack(job)) this.#answer(job, GIVING_BACK);
    else if (this.#onIndex > 0 && takesIndexLease(job.command)) {
      this.#answer(job, again('acquire of an index lease in use here', {}));
    } else {
      if (job.command.op === 'release') this.#releasing.add(job.area);
      if (job.command.op === 'index') this.#onIndex++; // now: its device may be long in opening
      (this.#unfinished.get(job.area)?.waiting ?? this.#queue).push(job);
    }
    this.#startNext();
  }

  /**
   * What clients know of a resource still being released (spec 20 §4). By a new name it can be had
   * before its release is done, whose repetitions would go over what the acquire writes.
   */
  #isGivingBack({ command, area }: Job): boolean {
    return command.op === 'acquire' && (this.#unfinished.has(area) || this.#releasing.has(area));
  }

  #startNext(): void {
    for (;;) {
      const at = this.#queue.findIndex((job) => this.#mayStart(job));
      const job = at < 0 ? undefined : this.#queue.splice(at, 1)[0];
      if (job === undefined) return;
      job.hasPlace = this.#places.fits(job.group);
      if (job.hasPlace) this.#places.take(job.group);
      this.#open(job);
    }
  }

  /** A release frees others: it never waits behind requests that wait for an owner to die. */
  #mayStart({ command, group }: Job): boolean {
    return command.op === 'release' || this.#places.fits(group);
  }

  #leavesPlace(job: Job): void {
    if (job.hasPlace) this.#places.give(job.group);
    job.hasPlace = false;
  }

  #open(job: Job): void {
    const { path } = job.place;
    const timeoutMs = this.#membership?.ioTimeoutMs ?? OPEN_TIMEOUT_MS;
    this.#devices.open(path, timeoutMs, (opened) => {
      if (this.#closed) return;
      if (!opened.ok) {
        const { errno } = opened;
        const error = { code: 'ERRNO', errno, during: 'device open', facts: { path } } as const;
        this.#leavesPlace(job);
        if (job.command.op === 'index') this.#onIndex--;
        this.#answer(job, { ok: false, step: 'open', error, leader: null });
        this.#startNext();
        return;
      }
      this.#isOn(job, opened.device);
      if (this.#isGivingBack(job)) {
        this.#devices.leave(opened.device, { forget: false });
        this.#leavesPlace(job);
        this.#answer(job, GIVING_BACK);
        this.#startNext();
        return;
      }
      const context: CommandContext = {
        member: this.#memberFor(job),
        deviceSectorSize: opened.device.sectorSize,
        guesses: this.#guesses,
        holds: this.#holds,
        held: job.held,
        nowMs: this.#parts.clock.nowMs(),
        random: this.#parts.random,
      };
      this.#perform(job, commandSteps(job.command, context), opened.device);
    });
  }

  /** Before its first opening a path may have looked like another device. */
  #isOn(job: Job, { id }: Device): void {
    const area = areaKey({ path: id, offset: job.place.offset });
    if (job.command.op === 'release' && this.#releasing.delete(job.area)) this.#releasing.add(area);
    job.area = area;
  }

  #memberFor(job: Job): Member | null {
    const cancelled = () => job.cancelled || this.#refusing;
    const later = (rest: () => Steps<void>) => job.rest.push(rest);
    return this.#membership?.member(cancelled, later) ?? null;
  }

  #perform(job: Job, steps: Steps<LeaseCommandResult>, resource: Device): void {
    const io = { broken: false };
    runSteps(steps, this.#performer(resource, io), (result) => {
      if (job.rest.length > 0) this.#leavesWork(job);
      this.#answer(job, result);
      this.#finish(job, resource, io);
    });
  }

  #leavesWork(job: Job): void {
    const unfinished = this.#unfinished.get(job.area) ?? { by: new Set(), waiting: [] };
    unfinished.by.add(job);
    this.#unfinished.set(job.area, unfinished);
  }

  /** Runs what was left, one after the other, then lets those wait no longer who want the area. */
  #finish(job: Job, resource: Device, io: { broken: boolean }): void {
    const rest = job.rest.shift();
    if (rest !== undefined) {
      runSteps(rest(), this.#performer(resource, io), () => this.#finish(job, resource, io));
      return;
    }
    const unfinished = this.#unfinished.get(job.area);
    // Only whoever left work ends the wait for it: others look at the area meanwhile.
    if (unfinished?.by.delete(job) === true && unfinished.by.size === 0) {
      this.#unfinished.delete(job.area);
      this.#queue.unshift(...unfinished.waiting);
    }
    if (job.command.op === 'index') this.#onIndex--;
    this.#devices.leave(resource, { forget: io.broken || this.#membership === null });
    this.#leavesPlace(job);
    this.#startNext();
  }

  #performer(resource: Device, io: { broken: boolean }): Perform {
    const { clock } = this.#parts;
    // After own expiry no lease write starts: others' clocks may run out while it travels.
    const rules = { clock, mayWrite: () => this.#membership?.ended() !== true };
    return (effect, answer) => {
      if (this.#closed) return; // a crash: nobody resumes the procedure
      if (effect.op === 'sleep') {
        clock.after(effect.forMs, () =>
          answer({ outcome: 'done', bytes: NOTHING, nowMs: clock.nowMs() }, null),
        );
        return;
      }
      // A command names one device; 'lockspace' means our own lockspace's only for a member.
      const own = effect.disk === 'lockspace' ? this.#membership?.disk : null;
      performOn(own ?? resource.disk, effect, rules, (reply, release) => {
        if (this.#closed) return;
        io.broken ||= reply.outcome === 'failed';
        answer(reply, release);
      });
    };
  }

  #answer(job: Job, result: LeaseCommandResult): void {
    this.#jobs.delete(job.id);
    if (job.command.op === 'release') {
      this.#releasing.delete(job.area);
      dropHold(this.#holds, job.command.hold);
    }
    this.#parts.send({ kind: 'ran', id: job.id, result });
  }
}

function holdNamedBy(command: LeaseCommand): number | null {
  return 'hold' in command ? command.hold : null;
}

/** Ours already while we work on the index: a second procedure would write the same block. */
function takesIndexLease(command: LeaseCommand): boolean {
  return command.op === 'acquire' && command.name.resourceName === INDEX_LEASE_NAME;
}

function again(during: string, facts: LeaseError['facts']): LeaseCommandResult {
  return refused({ code: 'ERRNO', errno: ERRNO.EAGAIN, during, facts });
}

const GIVING_BACK = again('acquire, still being given back', {});
const NOTHING = new Uint8Array(0);
