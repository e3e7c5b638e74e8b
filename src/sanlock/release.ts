import { assert } from '../base/assert.ts';
import type { ByteString } from '../base/bytes.ts';
import { log } from './effects.ts';
import type { Front } from './front.ts';
import { recordDrop, recordHolders, recordLeaseEnd, recordReleaseBegun } from './holder-journal.ts';
import { nextTurn } from './local-queue.ts';
import { isDead, isRemoved, mayRelease } from './lockspace-phase.ts';
import { resultNumber } from './result-number.ts';
import type { Client, Lockspace, Pending, Resource, Token } from './state.ts';
import { endWant } from './undone.ts';

/** Takes a token from its client and its resource. */
export function dropToken(token: Token): void {
  remove(token.client.tokens, token);
  remove(token.resource.holders, token);
  if (token.client.tokens.length === 0) {
    // It holds no lease any more: it may acquire again, and a later kill sequence begins anew.
    token.client.killCount = 0;
    token.client.killLastS = 0;
    token.client.killpathSent = false;
  }
}

/** This host holds it no more: requests of other clients that wait for that try again. */
export function removeResource(front: Front, resource: Resource): void {
  front.resources = front.resources.filter((other) => other !== resource);
  nextTurn(front, resource);
}

function remove<T>(list: T[], item: T): void {
  const at = list.indexOf(item);
  assert(at >= 0, 'a token is dropped once');
  list.splice(at, 1);
}

/**
 * Ends one client's claim; the end of the last claim writes the release to the disk. Until the disk
 * has answered the resource is `removing`, so that no client of this host acquires it while a release
 * is still on its way.
 * @param options.done is given 0 or a negative result number; called once, perhaps at once
 */
export function releaseToken(
  front: Front,
  token: Token,
  options: { readonly rename: ByteString | null; readonly done: (result: number) => void },
): void {
  const { resource } = token;
  dropToken(token);
  const isLast = resource.holders.length === 0;
  if (isLast) resource.orphaned = false;
  if (!isLast || resource.lvbDirty) recordDrop(front, token);
  if (isLast) releaseResource(front, resource, options);
  else options.done(0);
}

export function releaseResource(
  front: Front,
  resource: Resource,
  options: { readonly rename: ByteString | null; readonly done: (result: number) => void },
): void {
  const { lockspace, hold, state } = resource;
  assert(resource.holders.length === 0, 'a lease is released when no client holds it');
  assert(state !== 'adding' && state !== 'removing', 'a lease is released once, after its grant');
  if (hold === null || !mayRelease(lockspace)) {
    // In a lockspace that is being lost no lease is written: the end of the host id frees them.
    removeResource(front, resource);
    recordLeaseEnd(front, resource);
    options.done(0);
    return;
  }
  assert(!resource.converting, 'a release comes after the answer to a conversion');
  resource.state = 'removing';
  recordReleaseBegun(front, resource);
  const lvb = resource.lvbDirty ? resource.lvb : null;
  const command = { op: 'release', hold: hold.number, lvb, rename: options.rename } as const;
  const released: Pending['done'] = (result, unfinished) => {
    removeResource(front, resource);
    endWant(front, resource, { result, unfinished });
    options.done(result.ok ? 0 : resultNumber(result.error));
  };
  front.command(lockspace.lease, command, released, resource);
}

/**
 * A persistent lease outlives its last client: its user (an active LV) is no process. Where orphans
 * count as users they count in a lost lockspace too: if they were released there, the watchdog
 * would not reset a machine on which an LV is still active.
 */
export function keepsOrphans(space: Lockspace): boolean {
  return !isDead(space) || (space.usedByOrphans && !isRemoved(space));
}

/**
 * Whether its lease outlives it, if it is the last one. Where the disk has not been compared with
 * the journal yet, the journal counts. The users of a lost lockspace are stopped, and end in
 * whatever order: any of them counts.
 */
function isPersistent({ persistent, resource }: Token): boolean {
  const { hold, lockspace, orphaned, state } = resource;
  const isWanted = persistent || (orphaned && isDead(lockspace));
  return isWanted && (hold !== null || state === 'recovering');
}

/** The process of a registered connection has ended: its leases are released or become orphans. */
export function releaseDead(front: Front, client: Client): void {
  for (const token of [...client.tokens]) {
    const { resource } = token;
    const { lockspace } = resource;
    const last = resource.holders.length === 1;
    if (resource.state === 'recovering' && mayRelease(lockspace)) {
      dropToken(token); // what becomes of it, the disk decides
      if (last) resource.orphaned = token.persistent;
      else recordDrop(front, token);
      continue;
    }
    if (last && isPersistent(token) && keepsOrphans(lockspace)) {
      dropToken(token);
      resource.orphaned = true;
      if (!token.persistent) recordHolders(front, resource);
      resource.state = 'orphan';
      log(front, 'info', 'resource.orphaned', {
        lockspace: lockspace.name,
        resource: resource.name,
        pid: resource.lastPid,
      });
      continue;
    }
    if (isDead(lockspace) && isPersistent(token)) {
      if (last) lockspace.lostOrphans = true;
      else resource.orphaned = true;
    }
    releaseToken(front, token, { rename: null, done: () => {} });
  }
}
