import { assert } from '../base/assert.ts';
import { SECOND_MS } from '../base/units.ts';
import type { LeaseCommandResult } from '../lease-process/messages.ts';
import { log } from './effects.ts';
import type { Front } from './front.ts';
import { recordLeaseEnd, recordMode } from './holder-journal.ts';
import { nextTurn } from './local-queue.ts';
import { mayRelease } from './lockspace-phase.ts';
import { logNotHeld, refuseHold } from './not-held.ts';
import { refusalFields } from './refusals.ts';
import { keepsOrphans, releaseResource, removeResource } from './release.ts';
import type { KnownLease, Lockspace, Resource, Want } from './state.ts';

/**
 * The leases of a lockspace that was handed over are in the journal; whether this host has them,
 * the disk says. The lease process is asked about each, and puts its area in order. Until it has
 * answered, nobody here is granted the lease, and who has it keeps it.
 */
const MAX_UNDER_WAY = 64;
/** Ticks at which some areas are unreadable: the first one and each so many are logged. */
const LOGGED_EACH = 10;

export function beginRecovery(
  front: Front,
  space: Lockspace,
  of: { readonly known: Map<Resource, KnownLease>; readonly indexes: Set<Want> },
): void {
  const queue = [...of.known.keys()];
  const counts = { underWay: 0, beganMs: front.nowMs, delays: 0, held: 0 };
  space.recovery = { ...of, queue, again: [], indexesAgain: [], ...counts };
  for (const want of of.indexes) askIndex(front, want);
  next(front, space);
}

/** Once a second: those that the disk did not answer are asked again. */
export function tickRecovery(front: Front, space: Lockspace): void {
  const { recovery } = space;
  if (recovery === null || !mayRelease(space)) return;
  for (const want of recovery.indexesAgain.splice(0)) askIndex(front, want);
  if (recovery.again.length === 0) return;
  if (recovery.delays++ % LOGGED_EACH === 0) {
    const fields = { lockspace: space.name, leases: recovery.again.length };
    log(front, 'warn', 'leases.unreadable', fields);
  }
  recovery.queue.push(...recovery.again.splice(0));
  next(front, space);
}

function next(front: Front, space: Lockspace): void {
  const { recovery } = space;
  if (recovery === null) return;
  while (recovery.underWay < MAX_UNDER_WAY) {
    const resource = recovery.queue.shift();
    if (resource === undefined) break;
    recovery.underWay++;
    ask(front, space, resource);
  }
  if (recovery.known.size > 0 || recovery.indexes.size > 0) return;
  space.recovery = null;
  const tookMs = Math.round(front.nowMs - recovery.beganMs);
  log(front, 'info', 'leases.recovered', { lockspace: space.name, held: recovery.held, tookMs });
}

function ask(front: Front, space: Lockspace, resource: Resource): void {
  const known = space.recovery?.known.get(resource);
  assert(known !== undefined, 'a lease is asked about until it is known');
  const { name: resourceName, path, offset, lvbWanted: readLvb } = resource;
  const name = { lockspaceName: space.name, resourceName };
  const command = { op: 'recover', area: { path, offset }, name, known, readLvb } as const;
  front.command(space.lease, command, (result) => answered(front, resource, result), resource);
}

/** A task on an index of resource names was cut off: what it had of the index's lease is taken back. */
function askIndex(front: Front, want: Want): void {
  const { lockspace: space, path, offset } = want;
  space.indexBusy = true; // one at a time, and this one is not over
  const command = {
    op: 'index',
    area: { path, offset },
    lockspaceName: space.name,
    writeTimeoutMs: front.settings.writeInitIoTimeoutS * SECOND_MS,
    task: { kind: 'recover' },
  } as const;
  front.command(space.lease, command, (result) => {
    const { recovery } = space;
    assert(recovery !== null, 'an answer comes while leases are recovered');
    if (!result.ok) {
      recovery.indexesAgain.push(want);
      return;
    }
    recovery.indexes.delete(want);
    space.indexBusy = recovery.indexes.size > 0;
    space.undone.delete(want);
    recordLeaseEnd(front, want);
    next(front, space);
  });
}

function answered(front: Front, resource: Resource, result: LeaseCommandResult): void {
  const { lockspace: space } = resource;
  const { recovery } = space;
  assert(recovery !== null, 'an answer comes while leases are recovered');
  recovery.underWay--;
  if (!result.ok) {
    if (recovery.again.length === 0 && recovery.delays % LOGGED_EACH === 0) {
      const fields = { lockspace: space.name, resource: resource.name, path: resource.path };
      log(front, 'warn', 'lease.unreadable', { ...fields, ...refusalFields(result) });
    }
    recovery.again.push(resource);
    return;
  }
  const known = recovery.known.get(resource);
  recovery.known.delete(resource);
  if (result.op === 'recover' && result.hold !== null) {
    recovery.held++;
    const { hold, lvb } = result;
    assert(hold.generation === space.generation, 'a lease is of the generation that goes on');
    const isAsKnown = known?.lver === hold.lver && resource.shared === hold.shared;
    resource.hold = hold;
    resource.shared = hold.shared;
    if (!resource.lvbDirty) resource.lvb = lvb;
    if (resource.converting || !isAsKnown) recordMode(front, resource);
    resource.converting = false;
    held(front, resource);
  } else if (resource.holders.length > 0) refuseHold(front, resource);
  else {
    // One with a value to be written may have been on its release.
    const wasOrphan = known?.mode !== 'none' && resource.orphaned && !resource.lvbDirty;
    if (wasOrphan) logNotHeld(front, resource);
    forgetLease(front, resource);
  }
  next(front, space);
}

function held(front: Front, resource: Resource): void {
  resource.state = 'held';
  if (resource.holders.length === 0) {
    if (resource.orphaned && keepsOrphans(resource.lockspace)) resource.state = 'orphan';
    else releaseResource(front, resource, { rename: null, done: () => {} });
  }
  nextTurn(front, resource);
}

/** It was only wanted, or released, or its client has ended. */
function forgetLease(front: Front, resource: Resource): void {
  resource.state = 'removing'; // requests that wait for it see that it is known now
  recordLeaseEnd(front, resource);
  removeResource(front, resource);
}
