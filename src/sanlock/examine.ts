import type { Front } from './front.ts';
import type { HostSignal, LeaseCommandResult } from './lease-messages.ts';
import { runKillpath, signal } from './signals.ts';
import type { Client, Lockspace, Resource } from './state.ts';

/** `force_mode` of a request record (spec 10 §10.2). */
const FORCE = 1;
const GRACEFUL = 2;

/**
 * Other hosts' renewals carried our bit: somebody may have asked for what we hold. A host that
 * keeps its bit set for a while makes us look once in that time, not at each of its renewals.
 */
export function signalled(front: Front, space: Lockspace, signals: readonly HostSignal[]): void {
  const everyS = front.settings.setBitmapS || 6 * space.ioTimeoutS;
  const due = signals.filter(({ fromHostId }) => {
    const lastS = space.examinedS.get(fromHostId);
    return lastS === undefined || front.nowS - lastS >= everyS;
  });
  if (due.length === 0) return;
  for (const { fromHostId } of due) space.examinedS.set(fromHostId, front.nowS);
  examine(front, space, () => true);
}

/** Reads the request records of held resources, one after another, and does what they ask. */
export function examine(
  front: Front,
  space: Lockspace,
  wanted: (resource: Resource) => boolean,
): void {
  const isIdle = space.examining.size === 0;
  for (const resource of front.resources) {
    if (resource.lockspace === space && isAsked(resource) && wanted(resource)) {
      space.examining.add(resource);
    }
  }
  if (isIdle) next(front, space);
}

/** A shared hold shows no owner on the disk, so nobody's request is about it. */
function isAsked(resource: Resource): boolean {
  return resource.state === 'held' && !resource.shared && resource.hold !== null;
}

function next(front: Front, space: Lockspace): void {
  for (const resource of space.examining) {
    const { hold } = resource;
    const isUsable = front.usableLockspace(space.name) === space;
    if (!isUsable || space.lease === null || hold === null || !isAsked(resource)) {
      space.examining.delete(resource);
      continue;
    }
    front.command(space.lease, { op: 'readRequest', hold }, (result) => {
      space.examining.delete(resource);
      requested(front, resource, result);
      next(front, space);
    });
    return;
  }
}

function requested(front: Front, resource: Resource, result: LeaseCommandResult): void {
  if (!result.ok || result.op !== 'readRequest' || !isAsked(resource)) return;
  const { lver, forceMode } = result;
  const held = resource.hold?.leader.lver ?? 0n;
  if (lver <= held) return; // about an owner before us, or nothing
  const client = resource.holders[0]?.client;
  if (client === undefined || (forceMode !== FORCE && forceMode !== GRACEFUL)) return;
  front.outside.log('warn', 'resource.requested', {
    lockspace: resource.lockspace.name,
    resource: resource.name,
    lver,
    forceMode,
    pid: client.pid,
  });
  askHolder(front, client, { resource, forceMode });
}

/** As it was restricted when it acquired (spec 20 §4 RESTRICT); its program, else a signal. */
function askHolder(
  front: Front,
  client: Client,
  how: { readonly resource: Resource; readonly forceMode: number },
): void {
  const { pid, killCount } = client;
  const { restricted } = how.resource;
  if (how.forceMode === FORCE) signal(front, { pid, killCount, restricted }, 'SIGKILL');
  else if (client.killpath !== '') runKillpath(front, client, { withPid: false });
  else signal(front, { pid, killCount, restricted }, 'SIGTERM');
}
