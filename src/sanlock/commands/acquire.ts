import { assert, unreachable } from '../../base/assert.ts';
import { ERRNO } from '../../base/errno.ts';
import { toSafeNumber } from '../../base/units.ts';
import { decode } from '../../codec/struct.ts';
import type { LeaseAnswer } from '../../lease-process/messages.ts';
import {
  ACQUIRE_FLAGS,
  RES_FLAGS,
  type SanlkDisk,
  type SanlkResource,
  sanlkDisk,
  sanlkOptions,
  sanlkResource,
} from '../../wire/sanlock/socket.ts';
import type { Front } from '../front.ts';
import { recordGrant, recordMove, recordWant } from '../holder-journal.ts';
import { claimToken, settleClaim } from '../inherited-clients.ts';
import { grantsPaused } from '../lag.ts';
import { awaitTurn, nextTurn } from '../local-queue.ts';
import { type AskedLease, acquireRefused, type Why } from '../refusals.ts';
import { dropToken, releaseDead, releaseToken, removeResource } from '../release.ts';
import type { Request } from '../request.ts';
import { resultNumber } from '../result-number.ts';
import {
  type Client,
  type Lockspace,
  newResource,
  type Reply,
  type Resource,
  type Token,
} from '../state.ts';
import { takerOf } from '../taker.ts';
import { endWant } from '../undone.ts';
import { whyUnusable } from '../unusable.ts';
import { isAreaOffset } from './area-offset.ts';

interface Wanted {
  readonly resource: SanlkResource;
  readonly disk: SanlkDisk;
}

/** One ACQUIRE: its resources one after another, all or nothing. */
interface Job {
  readonly client: Client;
  readonly cmdFlags: number;
  readonly wanted: readonly Wanted[];
  readonly granted: Token[];
  readonly reply: Reply;
}

export function acquireCommand(front: Front, request: Request, client: Client, reply: Reply): void {
  const { wanted, ownerName } = parse(request);
  client.ownerName = ownerName;
  for (const { resource, disk } of wanted) {
    const usable = front.usableLockspace(resource.lockspaceName) !== null;
    const refused = usable ? refuseArea(resource, disk) : -ERRNO.ENOSPC;
    if (refused !== 0) {
      const why = usable ? { reason: 'no such place' } : whyUnusable(front, resource.lockspaceName);
      acquireRefused(front, askedLease({ resource, disk }, client), refused, why);
      client.active = 0;
      reply(refused);
      return;
    }
  }
  const { cmdFlags } = request.header;
  const job = { client, cmdFlags, wanted, granted: [], reply };
  // The journal must identify the holder; where /proc hides it, another process reads it.
  if (client.process === null) acquireNext(front, job);
  else front.awaitIdentity(client.process, () => acquireNext(front, job));
}

function parse(request: Request): { wanted: Wanted[]; ownerName: string } {
  const wanted: Wanted[] = [];
  let at = 0;
  for (let n = 0; n < request.header.data; n++) {
    const resource = decode(sanlkResource, request.body, at);
    const disk = decode(sanlkDisk, request.body, at + sanlkResource.size);
    wanted.push({ resource, disk });
    at += sanlkResource.size + resource.numDisks * sanlkDisk.size;
  }
  return { wanted, ownerName: decode(sanlkOptions, request.body, at).ownerName };
}

/** One disk only: reads of several disks were never proven in the original (spec 10 §8.5). */
function refuseArea(resource: SanlkResource, disk: SanlkDisk): number {
  if (resource.numDisks !== 1) return -ERRNO.EINVAL;
  if (disk.path === '') return -ERRNO.ENOENT;
  return isAreaOffset(disk.offset) ? 0 : -ERRNO.EINVAL;
}

function acquireNext(front: Front, job: Job): void {
  const wanted = job.wanted[job.granted.length];
  if (wanted === undefined) {
    finish(front, job);
    return;
  }
  const { lockspaceName, name, flags } = wanted.resource;
  const space = front.usableLockspace(lockspaceName);
  if (space === null) {
    refuse(front, job, -ERRNO.ENOSPC, whyUnusable(front, lockspaceName));
    return;
  }
  const shared = (flags & RES_FLAGS.SHARED) !== 0;
  const existing = front.findResource(lockspaceName, name);
  if (existing === null) {
    const needsOrphan = (job.cmdFlags & ACQUIRE_FLAGS.ORPHAN_ONLY) !== 0;
    const reason = 'there is no orphan of that name';
    if (needsOrphan) refuse(front, job, -ERRNO.ENOENT, { reason });
    else acquireOnDisk(front, job, { wanted, space, shared });
    return;
  }
  if (existing.shared === shared && existing.state === 'held') {
    const claimed = claimToken(front, job.client, existing);
    if (claimed !== null) {
      if (isPersistent(wanted) && !persist(front, claimed)) {
        rollBack(front, job, -ERRNO.EAGAIN);
        return;
      }
      job.granted.push(claimed); // it has it from an earlier daemon
      acquireNext(front, job);
      return;
    }
  }
  const local = localResult(existing, { shared, cmdFlags: job.cmdFlags });
  if (local !== 0) {
    const why = { reason: STATE_HERE[existing.state] };
    if (!endsSoon(existing, shared)) refuse(front, job, local, why);
    else
      awaitTurn(front, {
        resource: existing,
        retry: () => (job.client.dead ? rollBack(front, job, local) : acquireNext(front, job)),
        refuse: () => refuse(front, job, local, { reason: STATE_HERE[existing.state] }),
      });
    return;
  }
  const { state } = existing;
  existing.state = 'held';
  const token = front.newToken(job.client, existing, { persistent: isPersistent(wanted) });
  if (!recordGrant(front, token)) {
    dropToken(token);
    existing.state = state; // an orphan stays one
    rollBack(front, job, -ERRNO.EAGAIN);
    return;
  }
  existing.orphaned = false;
  job.granted.push(token);
  acquireNext(front, job);
}

function isPersistent({ resource }: Wanted): boolean {
  return (resource.flags & RES_FLAGS.PERSISTENT) !== 0;
}

/** Its client has it from an earlier daemon, and asks again. @returns whether it is recorded */
function persist(front: Front, token: Token): boolean {
  if (token.persistent) return true;
  token.persistent = true;
  if (recordMove(front, token)) return true;
  token.persistent = false;
  return false;
}

/** The state of the resource on this host decides first (spec 20 §4, table of ACQUIRE). */
function localResult(
  existing: Resource,
  asked: { readonly shared: boolean; readonly cmdFlags: number },
): number {
  switch (existing.state) {
    case 'removing':
      return -ERRNO.EAGAIN;
    case 'adding':
      return -ERRNO.EBUSY;
    case 'held':
      if (!existing.shared || !asked.shared) return -ERRNO.EEXIST;
      // On its way to exclusive: a sharer that joined now would stand beside the exclusive holder.
      return existing.converting ? -ERRNO.EBUSY : 0;
    case 'orphan': {
      const orphanWanted = asked.cmdFlags & (ACQUIRE_FLAGS.ORPHAN | ACQUIRE_FLAGS.ORPHAN_ONLY);
      return orphanWanted && existing.shared === asked.shared ? 0 : -ERRNO.EUCLEAN;
    }
    case 'recovering': // a request that names it waits before it is served
    case 'notHeld':
      return -ERRNO.EBUSY;
    default:
      return unreachable(existing.state);
  }
}

/** A refusal would be wrong a moment later: it is being released, or will be held shared. */
function endsSoon(existing: Resource, shared: boolean): boolean {
  const willShare = existing.state === 'adding' && existing.shared && shared;
  return existing.state === 'removing' || willShare;
}

function acquireOnDisk(
  front: Front,
  job: Job,
  of: { readonly wanted: Wanted; readonly space: Lockspace; readonly shared: boolean },
): void {
  const { space, shared } = of;
  const { resource: asked, disk } = of.wanted;
  if (grantsPaused(front, space)) {
    // The number for a lease that another host holds: lvmlockd and lvm try again later.
    const reason = 'the daemon or its lease process came late: grants are paused';
    refuse(front, job, -ERRNO.EAGAIN, { reason });
    return;
  }
  const resource = newResource({
    id: front.newResourceId(),
    lockspace: space,
    name: asked.name,
    path: disk.path,
    offset: toSafeNumber(disk.offset, 'offset'),
    shared,
    lvbWanted: (job.cmdFlags & ACQUIRE_FLAGS.LVB) !== 0,
    restricted: job.client.restricted,
    lastPid: job.client.pid,
  });
  front.resources.unshift(resource);
  if (!recordWant(front, resource, resource.lastPid)) {
    removeResource(front, resource);
    rollBack(front, job, -ERRNO.EAGAIN);
    return;
  }
  const command = {
    op: 'acquire',
    area: { path: resource.path, offset: resource.offset },
    name: { lockspaceName: space.name, resourceName: resource.name },
    shared,
    ownerNowait: (job.cmdFlags & ACQUIRE_FLAGS.OWNER_NOWAIT) !== 0,
    wantedLver: asked.flags & RES_FLAGS.LVER ? asked.lver : null,
    newNumHosts: asked.flags & RES_FLAGS.NUM_HOSTS ? asked.data32 : null,
    readLvb: resource.lvbWanted,
    taker: takerOf(job.client),
  } as const;
  front.command(space.lease, command, (result, unfinished) => {
    if (result.ok) {
      acquired(front, job, { resource, persistent: isPersistent(of.wanted) }, result);
      return;
    }
    removeResource(front, resource);
    endWant(front, resource, { result, unfinished });
    rollBack(front, job, resultNumber(result.error));
  });
}

function acquired(
  front: Front,
  job: Job,
  of: { readonly resource: Resource; readonly persistent: boolean },
  answer: LeaseAnswer,
): void {
  const { resource, persistent } = of;
  assert(answer.op === 'acquire', 'an acquire is answered');
  assert(resource.state === 'adding', 'a lease is granted while it is being acquired');
  const { generation } = resource.lockspace;
  assert(answer.hold.generation === generation, 'a lease is granted to the generation that joined');
  resource.hold = answer.hold;
  resource.lvb = answer.lvb;
  resource.state = 'held';
  const token = front.newToken(job.client, resource, { persistent });
  job.granted.push(token);
  if (!recordGrant(front, token)) {
    rollBack(front, job, -ERRNO.EAGAIN);
    return;
  }
  // A grant that comes after our own expiry, or while users are being stopped, is released again.
  if (front.usableLockspace(resource.lockspace.name) !== resource.lockspace) {
    refuseUnusable(front, job, job.granted.length - 1);
    return;
  }
  nextTurn(front, resource);
  acquireNext(front, job);
}

function finish(front: Front, job: Job): void {
  const { client } = job;
  client.active = 0;
  if (client.dead) {
    // The client died while it waited and never heard of the grant. A persistent lease is released
    // too: as an orphan it would stay, and no client would know of it (spec 20 §4).
    for (const token of job.granted) {
      if (!token.inherited) releaseToken(front, token, { rename: null, done: () => {} });
    }
    releaseDead(front, client);
    job.reply(-ERRNO.ENOTTY);
    return;
  }
  const lost = job.granted.findIndex(
    ({ resource }) => front.usableLockspace(resource.lockspace.name) !== resource.lockspace,
  );
  if (lost >= 0) {
    refuseUnusable(front, job, lost);
    return;
  }
  for (const token of job.granted) settleClaim(token);
  job.reply(0);
}

/** Why another client of this host cannot have the resource, by its state here. */
const STATE_HERE: Readonly<Record<Resource['state'], string>> = {
  held: 'a process of this host holds it',
  adding: 'another acquire of this host is under way',
  removing: 'this host is releasing it',
  orphan: 'this host holds it as an orphan',
  recovering: 'an earlier daemon of this host had it, and the disk is asked',
  notHeld: 'a process of this host uses it without having it, and is being stopped',
};

/** A refusal by this host itself; those of a lease process are logged when they arrive. */
function refuse(front: Front, job: Job, result: number, why: Why, at = job.granted.length): void {
  const wanted = job.wanted[at];
  if (wanted !== undefined) {
    acquireRefused(front, askedLease(wanted, job.client), result, why);
  }
  rollBack(front, job, result);
}

/** The lockspace was lost meanwhile. @param at the lease in it that was granted */
function refuseUnusable(front: Front, job: Job, at: number): void {
  const name = job.wanted[at]?.resource.lockspaceName ?? '';
  refuse(front, job, -ERRNO.ENOSPC, whyUnusable(front, name), at);
}

function askedLease({ resource, disk }: Wanted, client: Client): AskedLease {
  const { lockspaceName, name, flags } = resource;
  const shared = (flags & RES_FLAGS.SHARED) !== 0;
  return { lockspaceName, name, path: disk.path, offset: disk.offset, shared, client };
}

/** Releases all that was granted so far; then the first refusal is the answer. */
function rollBack(front: Front, job: Job, result: number): void {
  const token = job.granted.pop();
  if (token === undefined) {
    job.client.active = 0;
    if (job.client.dead) releaseDead(front, job.client);
    job.reply(result);
    return;
  }
  if (token.inherited) {
    rollBack(front, job, result); // it was not granted by this request
    return;
  }
  releaseToken(front, token, { rename: null, done: () => rollBack(front, job, result) });
}
