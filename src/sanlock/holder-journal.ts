import { log } from './effects.ts';
import type { Front } from './front.ts';
import type { Line } from './holder-lines.ts';
import { LEASE_HOLDER } from './holder-lines.ts';
import {
  lineOfHolder,
  lineOfProcess,
  lineOfResource,
  lineOfSpace,
  linesOfSpace,
  linesOfSurvivor,
  processHolder,
} from './journal-lines.ts';
import type { Client, Lockspace, Resource } from './state.ts';
import { isAlive, newHolder, type Survivor } from './survivors.ts';

/** Lines beyond the needed ones, before the journal is written anew. */
const MAX_LINES = 4000;

/**
 * Before its lease process gets any message: a join that cannot be recorded is not begun.
 * @returns whether it may go on
 */
export function recordJoin(front: Front, space: Lockspace): boolean {
  const line = lineOfProcess(front, space);
  const isRecorded =
    line !== null && append(front, lineOfSpace(front, space)) && append(front, line);
  // Once: a client that wants to join tries again and again.
  const { journalState } = front;
  if (!isRecorded && journalState.tookLastJoin) logNotRecorded(front, space, -1);
  journalState.tookLastJoin = isRecorded;
  return isRecorded;
}

/** Its lease process has really ended. */
export function recordProcessEnd(front: Front, space: Pick<Lockspace, 'id'>): void {
  append(front, { kind: 'free', id: space.id, holder: LEASE_HOLDER });
}

/**
 * A renewal that cannot be recorded is no danger: the next daemon takes the host lease for older
 * than it is, and stops its users sooner.
 */
export function recordRenewal(
  front: Front,
  space: Pick<Lockspace, 'id' | 'lastSuccessS' | 'claimedBootMs'> & { generation: bigint | string },
): void {
  const { id, lastSuccessS: timestampS, claimedBootMs } = space;
  append(front, {
    kind: 'renewed',
    id,
    timestampS,
    claimedBootMs,
    generation: `${space.generation}`,
  });
}

/** The lockspace is forgotten, and with it the persistent leases that were still kept here. */
export function recordLeft(front: Front, space: Lockspace): void {
  const isKept = front.resources.some((one) => one.lockspace === space && one.isRecorded);
  if (isKept) append(front, { kind: 'left', id: space.id });
}

/**
 * Before a client hears of a lease that it was granted, and when the way to stop it has changed. A
 * lease that cannot be recorded is not granted: the next daemon would free it under a running
 * process.
 * @returns whether all its leases are recorded
 */
export function recordHolder(front: Front, client: Client): boolean {
  if (client.dead) return true; // what was granted meanwhile is released
  for (const { resource } of client.tokens) {
    if (recordPersistent(front, resource)) continue;
    logNotRecorded(front, resource.lockspace, client.pid);
    return false;
  }
  for (const space of spacesOf(client)) {
    if (recordHolds(front, client, space)) continue;
    logNotRecorded(front, space, client.pid);
    return false;
  }
  return true;
}

/**
 * After a client released a lease. The rest of its leases may all be persistent now; by its earlier
 * line it would count as a user until its process ends. Unwritten, that line only says more.
 */
export function recordRelease(front: Front, client: Client): void {
  for (const space of spacesOf(client)) {
    if (client.recorded.has(space.id)) recordHolds(front, client, space);
  }
  for (const id of [...client.recorded.keys()]) {
    if (client.tokens.some(({ resource }) => resource.lockspace.id === id)) continue;
    client.recorded.delete(id);
    append(front, { kind: 'free', id, holder: `${client.connection}` });
  }
}

/** No client of this host uses the persistent lease any more. */
export function recordLeaseEnd(front: Front, resource: Resource): void {
  if (!resource.isRecorded) return;
  resource.isRecorded = false;
  append(front, { kind: 'given', id: resource.lockspace.id, lease: resource.id });
}

function spacesOf({ tokens }: Client): Iterable<Lockspace> {
  const spaces = tokens.map(({ resource }) => resource.lockspace);
  return spaces.length < 2 ? spaces : new Set(spaces);
}

function recordHolds(front: Front, client: Client, space: Lockspace): boolean {
  const line = lineOfHolder(client, space);
  const text = JSON.stringify(line);
  const before = client.recorded.get(space.id);
  if (line !== null && before === text) return true;
  client.recorded.set(space.id, text); // first: the line may be written with all others
  if (line !== null && appendText(front, text)) return true;
  if (before === undefined) client.recorded.delete(space.id);
  else client.recorded.set(space.id, before);
  return false;
}

function recordPersistent(front: Front, resource: Resource): boolean {
  if (!resource.persistent || resource.hold === null || resource.isRecorded) return true;
  resource.isRecorded = true; // first, as above
  resource.isRecorded = append(front, lineOfResource(resource));
  return resource.isRecorded;
}

function logNotRecorded(front: Front, space: Lockspace, pid: number): void {
  log(front, 'error', 'holder.notRecorded', { lockspace: space.name, pid });
}

/** The membership of an earlier daemon is about to be resumed. @returns whether that is recorded */
export function recordResumption(front: Front, survivor: Survivor, lease: number): boolean {
  const bound = front.leaseProcess(lease);
  if (bound === null) return true; // it has ended already
  const facts = processHolder(front, lease);
  if (facts === null) return false;
  survivor.holders.set(LEASE_HOLDER, newHolder(facts, bound));
  return append(front, { kind: 'holds', id: survivor.id, ...facts });
}

/**
 * The persistent leases are released. A process that held only those released them by its request,
 * so it is no holder any more.
 */
export function recordSurvivorReleased(front: Front, survivor: Survivor): void {
  survivor.leases.clear();
  survivor.inherited.leases.clear();
  for (const [holder, { facts }] of [...survivor.holders]) {
    if (facts.persistent) survivor.holders.delete(holder);
  }
  front.survivors = front.survivors.filter(isAlive);
  rewrite(front);
}

/** @returns whether it is written */
function append(front: Front, line: Line): boolean {
  return appendText(front, JSON.stringify(line));
}

function appendText(front: Front, text: string): boolean {
  const { journalState } = front;
  journalState.lines++;
  // However many leases are kept, it is written anew only once in so many lines.
  const isLong = journalState.lines > journalState.neededLines + MAX_LINES;
  if (isLong && rewrite(front)) return true;
  // Where there is no room for one more line, a new journal without the old lines may have it.
  return front.journal.append(text) || rewrite(front);
}

/** Writes the journal anew, with only what still counts. @returns whether it is written */
export function rewrite(front: Front): boolean {
  const lines: Line[] = front.journalState.holdersUnknown ? [{ kind: 'unknown' }] : [];
  for (const survivor of front.survivors) lines.push(...linesOfSurvivor(survivor));
  for (const space of front.lockspaces) lines.push(...linesOfSpace(front, space));
  if (!front.journal.replace(lines.map((line) => JSON.stringify(line)))) return false;
  front.journalState.lines = lines.length;
  front.journalState.neededLines = lines.length;
  return true;
}
