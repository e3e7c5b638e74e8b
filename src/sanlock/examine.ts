import type { HostSignal, LeaseCommandResult } from '../lease-process/messages.ts';
import { log } from './effects.ts';
import type { Front } from './front.ts';
import { announceS } from './host-events.ts';
import { runKillpath, signal } from './signals.ts';
import type { Client, Lockspace, Resource } from './state.ts';

/** `force_mode` of a request record (spec 10 §10.2). */
const FORCE = 1;
const GRACEFUL = 2;

/**
 * Renewals of other hosts carried our bit: one of them may have requested a lease that we hold. A
 * host keeps our bit set for a while: in that time its requests are read once, not at each renewal.
 */
export function signalled(front: Front, space: Lockspace, signals: readonly HostSignal[]): void {
  let isDue = false;
  for (const { fromHostId } of signals) {
    if (wasExamined(front, space, fromHostId)) {
      space.signalledAgain.add(fromHostId);
    } else {
      isDue = true;
      space.signalledAgain.delete(fromHostId);
      space.examinedS.set(fromHostId, front.nowS);
    }
  }
  if (isDue) examine(front, space, () => true);
}

/** So recently that its bit may be the one that we have followed already. */
function wasExamined(front: Front, space: Lockspace, hostId: number): boolean {
  const lastS = space.examinedS.get(hostId);
  return lastS !== undefined && front.nowS - lastS < announceS(front, space);
}

/**
 * A bit that came again too soon may have announced a newer request, and may be cleared before the
 * next bit would be followed: so the requests are read once more when that time is over. Requests
 * that were followed already are not followed again.
 */
export function examineAgain(front: Front, space: Lockspace): void {
  const due = [...space.signalledAgain].filter((hostId) => !wasExamined(front, space, hostId));
  if (due.length === 0) return;
  for (const hostId of due) space.signalledAgain.delete(hostId);
  examine(front, space, () => true, { onlyNew: true });
}

/** Reads the request records of held resources, one after another, and follows them. */
export function examine(
  front: Front,
  space: Lockspace,
  wanted: (resource: Resource) => boolean,
  { onlyNew } = { onlyNew: false },
): void {
  const isIdle = space.examining.size === 0;
  for (const resource of front.resources) {
    if (resource.lockspace !== space || !isAsked(resource) || !wanted(resource)) continue;
    const isForAll = space.examining.get(resource)?.onlyNew === false;
    space.examining.set(resource, { onlyNew: onlyNew && !isForAll });
  }
  if (isIdle) next(front, space);
}

/** A shared hold shows no owner on the disk, so no request is about it. */
function isAsked(resource: Resource): boolean {
  return resource.state === 'held' && !resource.shared && resource.hold !== null;
}

function next(front: Front, space: Lockspace): void {
  for (const resource of space.examining.keys()) {
    const { hold } = resource;
    const isUsable = front.usableLockspace(space.name) === space;
    if (!isUsable || hold === null || !isAsked(resource)) {
      space.examining.delete(resource);
      continue;
    }
    const read = (result: LeaseCommandResult): void => {
      const how = space.examining.get(resource);
      space.examining.delete(resource);
      if (how !== undefined) requested(front, resource, result, how);
      next(front, space);
    };
    const command = { op: 'readRequest', hold: hold.number } as const;
    front.command(space.lease, command, read, resource);
    return;
  }
}

function requested(
  front: Front,
  resource: Resource,
  result: LeaseCommandResult,
  { onlyNew }: { readonly onlyNew: boolean },
): void {
  if (!result.ok || result.op !== 'readRequest' || !isAsked(resource)) return;
  const { lver, forceMode } = result;
  const held = resource.hold?.lver ?? 0n;
  if (lver <= held) return; // it is about an earlier owner, or the record is empty
  const { followed } = resource;
  if (onlyNew && followed?.lver === lver && followed.forceMode === forceMode) return;
  const client = resource.holders[0]?.client;
  if (client === undefined || (forceMode !== FORCE && forceMode !== GRACEFUL)) return;
  resource.followed = { lver, forceMode };
  log(front, 'warn', 'resource.requested', {
    lockspace: resource.lockspace.name,
    resource: resource.name,
    lver,
    forceMode,
    pid: client.pid,
  });
  askHolder(front, client, { resource, forceMode });
}

/**
 * Runs the holder's killpath program, or signals it, within the restrictions that it had when it
 * acquired the lease (spec 20 §4 RESTRICT).
 */
function askHolder(
  front: Front,
  client: Client,
  how: { readonly resource: Resource; readonly forceMode: number },
): void {
  const { process, killCount } = client;
  const { restricted } = how.resource;
  if (how.forceMode === FORCE) signal(front, { process, killCount, restricted }, 'SIGKILL');
  else if (client.killpath !== '') runKillpath(front, client, { withPid: false });
  else signal(front, { process, killCount, restricted }, 'SIGTERM');
}
