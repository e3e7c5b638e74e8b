import { assert } from '../base/assert.ts';
import { log } from './effects.ts';
import type { Front } from './front.ts';
import { LEASE_HOLDER } from './holder-lines.ts';
import {
  lineOfConversion,
  lineOfHolder,
  lineOfLvb,
  lineOfMode,
  lineOfProcess,
  lineOfRegistered,
  lineOfSpace,
  processHolder,
} from './journal-lines.ts';
import { append, appendText, rewrite } from './journal-writer.ts';
import { givenText, leaseText, sharerText, wantsText } from './lease-texts.ts';
import type { Client, Lockspace, Resource, Token, Want } from './state.ts';
import { isAlive, newHolder, type Survivor } from './survivors.ts';

/**
 * Before its lease process gets any message: a join that cannot be recorded is not begun.
 * @returns whether it may go on
 */
export function recordJoin(front: Front, space: Lockspace): boolean {
  const line = lineOfProcess(front, space);
  space.isRecorded = true; // first: where there is no room for a line, the journal is written anew
  const isRecorded = line !== null && append(front, lineOfSpace(space)) && append(front, line);
  // Once: a client that wants to join tries again and again.
  const { journalState } = front;
  if (!isRecorded && journalState.tookLastJoin) logNotRecorded(front, space, -1);
  journalState.tookLastJoin = isRecorded;
  return isRecorded;
}

/** A process that an earlier daemon had as a client has ended. */
export function recordHolderEnd(front: Front, survivor: Survivor, holder: string): void {
  append(front, { kind: 'free', id: survivor.id, holder });
}

/**
 * Its lease process has really ended: after the line that says that the lockspace was left. Cut
 * between the two the other way round, the next daemon would go on with the membership, and not
 * know whose refused writes may land.
 */
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

/** The lockspace is forgotten: nothing in it is claimed any more. */
export function recordForgotten(front: Front, id: number): void {
  recordLeft(front, { kind: 'left', id });
}

/** As above, but it is to be joined again. */
export function recordLost(front: Front, id: number): void {
  recordLeft(front, { kind: 'lost', id });
}

function recordLeft(front: Front, line: { readonly kind: 'left' | 'lost'; readonly id: number }) {
  append(front, line);
  for (const client of front.clients.values()) client.recorded.delete(line.id);
}

/** Its removal was asked for, or its host id is being released. */
export function recordRemoval(front: Front, space: Lockspace): void {
  append(front, { kind: 'removal', id: space.id });
}

/** @returns whether the next daemon will know */
export function recordConfig(front: Front, { id, used, usedByOrphans }: Lockspace): boolean {
  return append(front, { kind: 'config', id, used, usedByOrphans });
}

/**
 * Before its lease process is asked: what an acquire left on the disk is found by its line only.
 * @returns whether it may go on
 */
export function recordWant(front: Front, want: Want, pid: number): boolean {
  if (appendText(front, wantsText(want))) return true;
  logNotRecorded(front, want.lockspace, pid);
  return false;
}

/**
 * Before a client hears that it was granted a lease. One that cannot be recorded is not granted:
 * the next daemon would free it under a running process.
 * @returns whether it is recorded
 */
export function recordGrant(front: Front, token: Token): boolean {
  const { client, resource } = token;
  if (client.dead) return true; // what was granted meanwhile is released
  if (recordHolds(front, client, resource.lockspace) && recordHold(front, token)) return true;
  logNotRecorded(front, resource.lockspace, client.pid);
  return false;
}

function recordHold(front: Front, token: Token): boolean {
  const { resource } = token;
  const isFirst = !resource.isRecorded;
  // The line of a sharer says nothing else of it. Who adopts an orphan is its only holder.
  const isAlone = resource.holders.length === 1;
  const isWhole = isFirst || isAlone || isUnlike(token);
  token.isRecorded = true; // first: the line may be written with all others
  resource.isRecorded = true;
  const text = isWhole ? leaseText(resource) : sharerText('shares', token);
  if (appendText(front, text)) return true;
  token.isRecorded = false;
  if (isFirst) resource.isRecorded = false;
  return false;
}

/**
 * A claim goes on in another client of its process, or as a persistent one, as `token` says already.
 * One line says who has the lease from now on: cut between two, the next daemon would find it held
 * twice, or not at all.
 * @returns whether it is recorded
 */
export function recordMove(front: Front, { client, resource }: Token): boolean {
  const { lockspace } = resource;
  if (recordHolds(front, client, lockspace) && appendText(front, leaseText(resource))) return true;
  logNotRecorded(front, lockspace, client.pid);
  return false;
}

/**
 * Some of its holders had ended before it was handed over, and what they asked for counts no more;
 * or it is an orphan, and the last one had not asked for that.
 */
export function recordHolders(front: Front, resource: Resource): void {
  appendText(front, leaseText(resource));
}

/** Once for a client in a lockspace: it may have leases there. */
function recordHolds(front: Front, client: Client, space: Lockspace): boolean {
  if (client.recorded.has(space.id)) return true;
  const line = lineOfHolder(client, space);
  if (line === null) return false;
  client.recorded.add(space.id); // first, as above
  if (append(front, line)) return true;
  client.recorded.delete(space.id);
  return false;
}

/**
 * The next daemon must know the processes that hold nothing, too. libvirt asks for a lease for the
 * process of a guest that it lets go on; a process that is unknown here goes on without.
 * @returns false: there was no room for it. One whose process is not known yet is recorded then
 */
export function recordRegistered(front: Front, client: Client): boolean {
  const line = lineOfRegistered(client);
  return line === null || append(front, line);
}

/** The way to stop a client has changed. @returns whether the next daemon will stop it so */
export function recordStopping(front: Front, client: Client): boolean {
  if (client.registered && !recordRegistered(front, client)) return false;
  for (const space of front.lockspaces) {
    if (!client.recorded.has(space.id)) continue;
    const line = lineOfHolder(client, space);
    if (line !== null && append(front, line)) continue;
    logNotRecorded(front, space, client.pid);
    return false;
  }
  return true;
}

/** Another one that shares the lease wants the contrary to become of it. */
function isUnlike({ persistent, resource }: Token): boolean {
  for (const other of resource.holders) if (other.persistent !== persistent) return true;
  return false;
}

/**
 * A client released its claim, or has ended, and others share the lease; or there is a value to be
 * written first.
 */
export function recordDrop(front: Front, token: Token): void {
  if (!token.isRecorded) return;
  const text = isUnlike(token) ? leaseText(token.resource) : sharerText('drops', token);
  appendText(front, text);
}

/** Its connection has ended, and all its claims. */
export function recordClosed(front: Front, client: Client): void {
  for (const id of client.recorded) {
    append(front, { kind: 'free', id, holder: `${client.connection}` });
  }
  client.recorded.clear();
  if (client.registered) append(front, { kind: 'closed', holder: `${client.connection}` });
}

/**
 * Before its lease process is asked: from now on nobody has it, and whatever the next daemon finds
 * of it is taken back. With a value that is to be written first it stays a lease, without holders.
 */
export function recordReleaseBegun(front: Front, resource: Resource): void {
  if (!resource.isRecorded || resource.lvbDirty) return;
  resource.isRecorded = false;
  appendText(front, wantsText(resource));
}

/** This host holds the lease no more, or does not get it. */
export function recordLeaseEnd(front: Front, want: Want): void {
  appendText(front, givenText(want));
}

/** Before its lease process is asked. @returns whether it may go on */
export function recordConversion(front: Front, resource: Resource): boolean {
  assert(resource.isRecorded, 'the lease of a client that can convert it is recorded');
  if (append(front, lineOfConversion(resource))) return true;
  logNotRecorded(front, resource.lockspace, resource.lastPid);
  return false;
}

/** A conversion has ended, well or not. @returns whether the next daemon will know */
export function recordMode(front: Front, resource: Resource): boolean {
  return append(front, lineOfMode(resource));
}

/** A value was set, or is written to the disk. @returns whether the next daemon will know */
export function recordLvb(front: Front, resource: Resource): boolean {
  if (!resource.isRecorded) return true; // it will be released before a client hears of it
  return append(front, lineOfLvb(resource));
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
  survivor.inherited.leases.clear();
  for (const [holder, { facts }] of [...survivor.holders]) {
    if (facts.persistent) survivor.holders.delete(holder);
  }
  front.survivors = front.survivors.filter(isAlive);
  rewrite(front);
}
