import type { ByteString } from '../base/bytes.ts';
import { ERRNO } from '../base/errno.ts';
import { decode } from '../codec/struct.ts';
import { leaseTimes } from '../lease/lease-times.ts';
import { SM_CMD, sanlkLockspace } from '../wire/sanlock/socket.ts';
import type { Front } from './front.ts';
import { mayRelease } from './lockspace-phase.ts';
import { clashes } from './named-lockspace.ts';
import type { HeldRequest, Request } from './request.ts';
import { isAboutAll, namedResources, namedSpace } from './request-names.ts';
import type { Client, Resource } from './state.ts';
import { isUndecided, type SurvivorPhase } from './survivor-step.ts';
import type { Survivor } from './survivors.ts';

/**
 * Requests about a lockspace of an earlier daemon wait until it is handed over, or cannot be, and
 * an add until it is out of the way: as if the daemon had been slow, and never been away. So do
 * those about a lease in it that is not compared with the disk yet. They are served in the order in
 * which they came; a client has one at a time.
 */

/**
 * Keeps a request that cannot be served yet.
 * @returns false: it can
 */
export function holdRequest(front: Front, request: Request): boolean {
  const cause = causeToWait(front, request);
  if (cause === null) return false;
  const { ioTimeoutS } = 'phase' in cause ? cause.space : cause.lockspace;
  const untilMs = front.nowMs + leaseTimes(ioTimeoutS).renewalFailMs;
  request.client.suspended = true;
  front.heldRequests.push({ request, cause, untilMs });
  return true;
}

/**
 * Something may be known now that requests waited for.
 * @param how.serve serves one, which may have to wait again
 * @param how.refuse answers one that has waited for too long
 */
export function wakeHeld(
  front: Front,
  how: {
    readonly serve: (request: Request) => void;
    readonly refuse: (request: Request, result: number) => void;
  },
): void {
  if (front.heldRequests.length === 0) return;
  const ready: HeldRequest[] = [];
  const waiting: HeldRequest[] = [];
  for (const held of front.heldRequests) {
    const isDue = !isOpen(held) || front.nowMs >= held.untilMs;
    (isDue ? ready : waiting).push(held);
  }
  front.heldRequests = waiting;
  for (const held of ready) {
    const { request } = held;
    request.client.suspended = false;
    if (isOpen(held)) how.refuse(request, -ERRNO.EAGAIN);
    else how.serve(request);
  }
}

/** The connection has ended: there is no client to answer any more. */
export function forgetHeld(front: Front, client: Client): void {
  if (front.heldRequests.length === 0) return;
  front.heldRequests = front.heldRequests.filter(({ request }) => request.client !== client);
}

/** It is not known yet what becomes of it. */
function isOpen({ request, cause }: HeldRequest): boolean {
  return 'phase' in cause ? holdsUp(cause.phase, request) : isRecovering(cause);
}

function holdsUp(phase: SurvivorPhase, { header }: Request): boolean {
  if (isUndecided(phase)) return true;
  // Given up, it stands in the way of the next join until our own process, which is killed, ends.
  // What an administrator does about it has not to wait: that process may hang for hours.
  return header.cmd === SM_CMD.ADD_LOCKSPACE && phase.kind === 'over' && phase.lease !== null;
}

/** In a lockspace that is being lost no lease is read any more, and each can be released. */
function isRecovering({ state, lockspace }: Resource): boolean {
  return state === 'recovering' && mayRelease(lockspace);
}

function causeToWait(front: Front, request: Request): HeldRequest['cause'] | null {
  for (const survivor of front.survivors) {
    if (holdsUp(survivor.phase, request) && isAbout(front, request, survivor)) return survivor;
  }
  for (const { recovery } of front.lockspaces) {
    if (recovery !== null) return leaseAwaited(front, request);
  }
  return null;
}

function isAbout(front: Front, request: Request, survivor: Survivor): boolean {
  const { name } = survivor.space;
  if (namedSpace(request) === name) return true;
  if (namedResources(request).some(({ lockspaceName }) => lockspaceName === name)) return true;
  if (request.header.cmd === SM_CMD.ADD_LOCKSPACE) {
    return clashes(survivor.space, decode(sanlkLockspace, request.body));
  }
  if (!isAboutAll(request)) return false;
  const pid = targetOf(front, request)?.process?.pid;
  return [...survivor.holders.values()].some(({ facts }) => facts.pid === pid);
}

function leaseAwaited(front: Front, request: Request): Resource | null {
  for (const { lockspaceName, name } of namedResources(request)) {
    const resource =
      name === '' ? anyRecovering(front, lockspaceName) : front.findResource(lockspaceName, name);
    if (resource !== null && isRecovering(resource)) return resource;
  }
  if (!isAboutAll(request)) return null;
  const tokens = targetOf(front, request)?.tokens ?? [];
  return tokens.find(({ resource }) => isRecovering(resource))?.resource ?? null;
}

/** For the release of all orphans of a lockspace. */
function anyRecovering(front: Front, lockspaceName: ByteString): Resource | null {
  const isOne = (one: Resource) => one.lockspace.name === lockspaceName && isRecovering(one);
  return front.resources.find(isOne) ?? null;
}

/** The client that the request is about: its own, or the one whose pid it names. */
function targetOf(front: Front, { client, header }: Request): Client | null {
  return header.data2 === -1 ? client : front.clientByPid(header.data2);
}
