import { assert } from '../base/assert.ts';
import { SANLK_OK } from '../wire/sanlock/codes.ts';
import { log } from './effects.ts';
import type { Front } from './front.ts';
import { recordHolders, recordLeaseEnd } from './holder-journal.ts';
import { LEASE_HOLDER } from './holder-lines.ts';
import { INDEX_TASK, type InheritedLease, outlivesHolders, type WantedLease } from './inherited.ts';
import { claimForConnections } from './inherited-clients.ts';
import { LIVE } from './lockspace-phase.ts';
import { advance } from './lockspaces.ts';
import { lostOpened } from './lost-lockspaces.ts';
import { beginRecovery } from './recovering.ts';
import { type KnownLease, type Lockspace, newResource, type Resource, type Want } from './state.ts';
import type { Survivor } from './survivors.ts';

/**
 * The membership of an earlier daemon goes on, renewed and with its duty at wdmd: from here on it
 * is a lockspace as any other. Its leases are in it at once, and recovered one after the other.
 */
export function handOver(front: Front, survivor: Survivor): void {
  const { lockspace: space, inherited } = survivor;
  assert(space !== null, 'a membership is handed over when it is renewed');
  assert(inherited.isWhole, 'a membership is handed over with all its leases');
  space.phase = LIVE;
  space.acquireResult = SANLK_OK;
  space.used = inherited.used;
  space.usedByOrphans = inherited.usedByOrphans;
  front.survivors = front.survivors.filter((other) => other !== survivor);
  front.lockspaces.unshift(space);
  const claims = claimsOf(front, survivor, space);
  front.resources.unshift(...[...claims.known.keys()].reverse());
  // Not before: the journal may be written anew, with all that is there.
  for (const want of claims.found) recordLeaseEnd(front, want);
  for (const resource of claims.left) recordHolders(front, resource);
  logHandedOver(front, survivor, space);
  beginRecovery(front, space, claims);
  claimForConnections(front);
  lostOpened(front, space);
  if (inherited.removal || front.ending) advance(front, space, { kind: 'removeAsked' });
}

interface Claims {
  readonly known: Map<Resource, KnownLease>;
  readonly indexes: Set<Want>;
  /** Acquires in the area of a lease: what is done for that does for them. */
  readonly found: Want[];
  /** Leases that some of their holders have left by ending, while others live. */
  readonly left: Resource[];
}

/** Each area once: to recover a lease puts its area in order, whatever else was under way there. */
function claimsOf(front: Front, survivor: Survivor, space: Lockspace): Claims {
  const { leases, wants } = survivor.inherited;
  const known = new Map<Resource, KnownLease>();
  const indexes = new Set<Want>();
  const areas = new Set<string>();
  const [found, left]: [Want[], Resource[]] = [[], []];
  for (const [id, lease] of leases) {
    const resource = inheritedResource(space, id, lease);
    giveTokens(front, survivor, resource, lease);
    const living = resource.holders.length;
    if (living === 0) resource.orphaned = outlivesHolders(lease);
    else if (living < lease.holders.length) left.push(resource);
    known.set(resource, knownLease(resource, lease));
    areas.add(areaOf(lease));
  }
  for (const [id, wanted] of wants) {
    const { resource: name, path, offset } = wanted;
    const want = { id, lockspace: space, name, path, offset };
    if (name === INDEX_TASK) {
      space.undone.add(want);
      indexes.add(want);
    } else if (areas.has(areaOf(wanted))) found.push(want);
    else known.set(wantedResource(want), NONE);
    areas.add(areaOf(wanted));
  }
  return { known, indexes, found, left };
}

function areaOf({ path, offset }: WantedLease): string {
  return `${path}:${offset}`;
}

/** Whatever it left on the disk is taken back. */
const NONE: KnownLease = { mode: 'none', lver: null, begun: 'nothing' };

function wantedResource(want: Want): Resource {
  const facts = { shared: false, lvbWanted: false, restricted: 0, lastPid: -1 };
  const resource = newResource({ ...want, ...facts });
  resource.state = 'recovering';
  return resource;
}

function inheritedResource(space: Lockspace, id: number, lease: InheritedLease): Resource {
  const { resource: name, path, offset, shared, lvbWanted } = lease;
  const { restricted, lastPid } = lease;
  const of = { id, lockspace: space, name, path, offset, shared, lvbWanted };
  const resource = newResource({ ...of, restricted, lastPid });
  resource.state = 'recovering';
  resource.isRecorded = true;
  resource.inheritedLver = lease.lver;
  resource.converting = lease.converting !== null;
  resource.lvb = lease.lvb;
  resource.lvbDirty = lease.lvb !== null;
  return resource;
}

function giveTokens(
  front: Front,
  survivor: Survivor,
  resource: Resource,
  lease: InheritedLease,
): void {
  for (const { name, persistent } of lease.holders) {
    const client = survivor.holders.get(name)?.client;
    if (client === undefined || client.dead) continue; // its process has ended
    client.recorded.add(resource.lockspace.id);
    front.inheritedToken(client, resource, { persistent });
  }
}

function knownLease({ holders, orphaned, lvbDirty }: Resource, lease: InheritedLease): KnownLease {
  // Its process has ended, so it is released; a value that it set is written first.
  if (holders.length === 0 && !orphaned && !lvbDirty) return NONE;
  const { shared, lver, converting } = lease;
  const begun = converting ?? (lease.holders.length === 0 ? 'release' : 'nothing');
  return { mode: shared ? 'sh' : 'ex', lver, begun };
}

function logHandedOver(front: Front, { holders, inherited }: Survivor, space: Lockspace): void {
  const { name: lockspace, hostId, generation } = space;
  const clients = [...holders.keys()].filter((holder) => holder !== LEASE_HOLDER).length;
  const counts = { clients, leases: inherited.leases.size };
  log(front, 'info', 'lockspace.handedOver', { lockspace, hostId, generation, ...counts });
}
