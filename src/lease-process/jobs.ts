import { assert, unreachable } from '../base/assert.ts';
import type { ByteString } from '../base/bytes.ts';
import { ERRNO } from '../base/errno.ts';
import { pathGroup } from '../base/path-group.ts';
import { Share } from '../base/share.ts';
import { INDEX_LEASE_NAME } from '../format/resource-index.ts';
import { errnoError, type Facts } from '../lease/io.ts';
import { areaKey, refused } from './command-context.ts';
import { dropHold, type Held, type Holds } from './holds.ts';
import type { AreaAddress, LeaseCommand, LeaseCommandResult } from './messages.ts';

/** Procedures under way at once; each may hold an area's memory. */
export const MAX_RUNNING = 64;
/**
 * Releases come on top of it, of which there are no more than leases held, and recoveries, of which
 * the front has at most 64 under way.
 */
export const MAX_QUEUED = 2048;

/** One command of the front, from its arrival until nothing of it is left to be done. */
export interface Job {
  readonly id: number;
  readonly command: LeaseCommand;
  /** The hold that the command names; null: it names none. */
  readonly held: Held | null;
  readonly path: ByteString;
  readonly offset: number;
  /** Of paths that are likely to hang together. */
  readonly group: string;
  /** Names its area, by the device where that is known. */
  area: string;
  /**
   * queued: waits for a place. behind: waits until earlier commands have finished on its area.
   * opening: its device is being opened. running: its procedure runs. finishing: it was answered,
   * and what its procedure left to be done on the area runs.
   */
  phase: 'queued' | 'behind' | 'opening' | 'running' | 'finishing';
  /** The front wants no more of it. */
  wasCancelled: boolean;
  /** It has one of the places of `MAX_RUNNING`. */
  hasPlace: boolean;
}

/** The commands of one lease process: which may start, and which must wait or are refused. */
export interface Jobs {
  readonly holds: Holds;
  readonly byId: Map<number, Job>;
  readonly queue: Job[];
  /** Areas on which earlier commands still have something to finish, and who waits for that. */
  readonly unfinished: Map<string, { readonly by: Set<Job>; readonly waiting: Job[] }>;
  /** Areas with a release or a recovery that is not answered yet. */
  readonly closed: Set<string>;
  /** By paths that hang together: a hung device has no more of them than it leaves for others. */
  readonly places: Share<string>;
  /** Commands on a resource index that have come, with what they left to be done. */
  onIndex: number;
  /** The lockspace is being lost: nothing that waits is granted any more. */
  isRefusing: boolean;
  effects: JobEffect[];
}

/** What happens to the commands of a lease process. */
export type JobEvent =
  /** `place`: of `placeOf`, with the device the path led to when it was last opened. */
  | {
      readonly kind: 'arrived';
      readonly id: number;
      readonly command: LeaseCommand;
      readonly place: AreaAddress | null;
      readonly deviceId: string;
    }
  /** The front wants no more of it; it is answered all the same. */
  | { readonly kind: 'cancelled'; readonly id: number }
  /** As if every command, also each that comes later, had been cancelled. */
  | { readonly kind: 'refuse' }
  | { readonly kind: 'opened'; readonly id: number; readonly deviceId: string }
  | { readonly kind: 'notOpened'; readonly id: number; readonly errno: number }
  /** Its procedure ended; `leftWork`: with something to be finished after the answer. */
  | {
      readonly kind: 'ran';
      readonly id: number;
      readonly result: LeaseCommandResult;
      readonly leftWork: boolean;
    }
  /** Everything that its procedure left to be done is done. */
  | { readonly kind: 'finished'; readonly id: number };

/** What the program is to do for its commands, in this order. */
export type JobEffect =
  /** `leftWork`: `tellFinished` follows. */
  | {
      readonly kind: 'answer';
      readonly id: number;
      readonly result: LeaseCommandResult;
      readonly leftWork: boolean;
    }
  | { readonly kind: 'tellFinished'; readonly id: number }
  /** Answered by `opened` or `notOpened`. */
  | { readonly kind: 'open'; readonly job: Job }
  /** Its procedure may begin, on the device that was opened for it. Answered by `ran`. */
  | { readonly kind: 'run'; readonly job: Job }
  /** What its procedure left to be done may begin. Answered by `finished`. */
  | { readonly kind: 'finish'; readonly job: Job }
  /** It needs its device no more. */
  | { readonly kind: 'leaveDevice'; readonly job: Job };

/** No command has come yet. */
export function newJobs(holds: Holds): Jobs {
  return {
    holds,
    byId: new Map(),
    queue: [],
    unfinished: new Map(),
    closed: new Set(),
    places: new Share(MAX_RUNNING),
    onIndex: 0,
    isRefusing: false,
    effects: [],
  };
}

/** The area a command is about; null: it names a hold that there is not (any more). */
export function placeOf(jobs: Jobs, command: LeaseCommand): AreaAddress | null {
  if (!('hold' in command)) return command.area;
  return jobs.holds.byNumber.get(command.hold)?.hold ?? null;
}

/** A procedure of it that waits, for an owner to die or for another try, ends. */
export function isCancelled({ isRefusing }: Jobs, { wasCancelled }: Job): boolean {
  return wasCancelled || isRefusing;
}

/** A command on a resource index has come, or has left something to be done. */
export function isIndexInUse({ onIndex }: Jobs): boolean {
  return onIndex > 0;
}

/** One event in, what to do out. */
export function stepJobs(jobs: Jobs, event: JobEvent): readonly JobEffect[] {
  jobs.effects = [];
  switch (event.kind) {
    case 'arrived':
      arrived(jobs, event);
      break;
    case 'cancelled': {
      const job = jobs.byId.get(event.id);
      // Once it is answered its work is finished whatever the front wants.
      if (job !== undefined && job.phase !== 'finishing') job.wasCancelled = true;
      break;
    }
    case 'refuse':
      jobs.isRefusing = true;
      break;
    case 'opened':
      opened(jobs, jobIn(jobs, event.id, 'opening'), event.deviceId);
      break;
    case 'notOpened':
      notOpened(jobs, jobIn(jobs, event.id, 'opening'), event.errno);
      break;
    case 'ran':
      ran(jobs, jobIn(jobs, event.id, 'running'), event);
      break;
    case 'finished':
      finished(jobs, jobIn(jobs, event.id, 'finishing'));
      break;
    default:
      unreachable(event);
  }
  return jobs.effects;
}

function jobIn(jobs: Jobs, id: number, phase: Job['phase']): Job {
  const job = jobs.byId.get(id);
  assert(job !== undefined && job.phase === phase, `a job is ${phase} when it is heard of`);
  return job;
}

function arrived(jobs: Jobs, event: Extract<JobEvent, { kind: 'arrived' }>): void {
  const { id, command, place, deviceId } = event;
  assert(!jobs.byId.has(id), 'a command has an id of its own');
  if (place === null) {
    jobs.effects.push({ kind: 'answer', id, result: noSuchHold(command), leftWork: false });
    return;
  }
  // No client asks again for a release that was refused: the lease would be held for ever.
  if (jobs.queue.length >= MAX_QUEUED && !comesOnTop(command)) {
    const result = again('lease command queue', { queued: MAX_QUEUED });
    jobs.effects.push({ kind: 'answer', id, result, leftWork: false });
    return;
  }
  const job: Job = {
    id,
    command,
    held: 'hold' in command ? (jobs.holds.byNumber.get(command.hold) ?? null) : null,
    path: place.path,
    offset: place.offset,
    group: pathGroup(place.path),
    area: areaKey(deviceId, place.offset),
    phase: 'queued',
    wasCancelled: false,
    hasPlace: false,
  };
  if (isClosed(jobs, job)) answer(jobs, job, CLOSED);
  else if (jobs.onIndex > 0 && takesIndexLease(command)) {
    answer(jobs, job, again('acquire of an index lease in use here', {}));
  } else {
    if (comesOnTop(command)) jobs.closed.add(job.area);
    if (command.op === 'index') jobs.onIndex++; // now: its device may be long in opening
    jobs.byId.set(id, job);
    enqueue(jobs, job);
  }
  startNext(jobs);
}

function enqueue(jobs: Jobs, job: Job): void {
  const unfinished = jobs.unfinished.get(job.area);
  if (unfinished === undefined) jobs.queue.push(job);
  else {
    job.phase = 'behind';
    unfinished.waiting.push(job);
  }
}

/**
 * What clients know of a resource still being released (spec 20 §4). By a new name it can be had
 * before its release is done, whose repetitions would go over what the acquire writes.
 */
function isClosed(jobs: Jobs, { command, area }: Job): boolean {
  return command.op === 'acquire' && (jobs.unfinished.has(area) || jobs.closed.has(area));
}

function startNext(jobs: Jobs): void {
  for (;;) {
    const at = jobs.queue.findIndex((job) => mayStart(jobs, job));
    const job = at < 0 ? undefined : jobs.queue.splice(at, 1)[0];
    if (job === undefined) return;
    job.hasPlace = jobs.places.fits(job.group);
    if (job.hasPlace) jobs.places.take(job.group);
    job.phase = 'opening';
    jobs.effects.push({ kind: 'open', job });
  }
}

function mayStart(jobs: Jobs, { command, group }: Job): boolean {
  return comesOnTop(command) || jobs.places.fits(group);
}

/**
 * A release frees others, and a recovery says what is held: neither waits behind requests that wait
 * for an owner to die. Meanwhile the area is closed to acquires.
 */
function comesOnTop({ op }: LeaseCommand): boolean {
  return op === 'release' || op === 'recover';
}

function opened(jobs: Jobs, job: Job, deviceId: string): void {
  isOn(jobs, job, deviceId);
  if (isClosed(jobs, job)) {
    jobs.effects.push({ kind: 'leaveDevice', job });
    answer(jobs, job, CLOSED);
    end(jobs, job);
    return;
  }
  job.phase = 'running';
  jobs.effects.push({ kind: 'run', job });
}

/** Before its first opening a path may have seemed another device. */
function isOn(jobs: Jobs, job: Job, deviceId: string): void {
  const area = areaKey(deviceId, job.offset);
  if (area === job.area) return;
  if (comesOnTop(job.command) && jobs.closed.delete(job.area)) jobs.closed.add(area);
  job.area = area;
}

function notOpened(jobs: Jobs, job: Job, errno: number): void {
  const error = errnoError(errno, 'device open', { path: job.path });
  answer(jobs, job, { ok: false, step: 'open', error, leader: null });
  end(jobs, job);
}

function ran(jobs: Jobs, job: Job, event: Extract<JobEvent, { kind: 'ran' }>): void {
  if (event.leftWork) {
    job.phase = 'finishing';
    const unfinished = jobs.unfinished.get(job.area);
    if (unfinished !== undefined) unfinished.by.add(job);
    else jobs.unfinished.set(job.area, { by: new Set([job]), waiting: [] });
  }
  answer(jobs, job, event.result, event.leftWork);
  if (event.leftWork) jobs.effects.push({ kind: 'finish', job });
  else {
    jobs.effects.push({ kind: 'leaveDevice', job });
    end(jobs, job);
  }
}

function finished(jobs: Jobs, job: Job): void {
  const unfinished = jobs.unfinished.get(job.area);
  assert(unfinished?.by.delete(job) === true, 'a job that finishes had left work on its area');
  // Only whoever left work ends the wait for it: others read the area meanwhile.
  if (unfinished.by.size === 0) {
    jobs.unfinished.delete(job.area);
    for (const waiting of unfinished.waiting) waiting.phase = 'queued';
    jobs.queue.unshift(...unfinished.waiting);
  }
  jobs.effects.push({ kind: 'tellFinished', id: job.id });
  jobs.effects.push({ kind: 'leaveDevice', job });
  end(jobs, job);
}

/** Nothing of it is left to be done: its places are there for others. */
function end(jobs: Jobs, job: Job): void {
  jobs.byId.delete(job.id);
  if (job.command.op === 'index') jobs.onIndex--;
  if (job.hasPlace) jobs.places.give(job.group);
  job.hasPlace = false;
  startNext(jobs);
}

function answer(jobs: Jobs, job: Job, result: LeaseCommandResult, leftWork = false): void {
  if (comesOnTop(job.command)) jobs.closed.delete(job.area);
  if (job.command.op === 'release') dropHold(jobs.holds, job.command.hold);
  jobs.effects.push({ kind: 'answer', id: job.id, result, leftWork });
}

/** Ours already while we work on the index: a second procedure would write the same block. */
function takesIndexLease(command: LeaseCommand): boolean {
  return command.op === 'acquire' && command.name.resourceName === INDEX_LEASE_NAME;
}

function again(during: string, facts: Facts): LeaseCommandResult {
  return refused(errnoError(ERRNO.EAGAIN, during, facts));
}

function noSuchHold(command: LeaseCommand): LeaseCommandResult {
  return refused(errnoError(ERRNO.ENOENT, command.op, { reason: 'no such hold' }));
}

const CLOSED = again('acquire, still being released or recovered', {});
