import type { ByteString } from '../base/bytes.ts';
import { leaseTimes } from '../lease/lease-times.ts';
import type { Front } from './front.ts';
import { type HolderFacts, type Line, parseHolderLine, type SpaceFacts } from './holder-lines.ts';
import type { UserProcess } from './outside.ts';
import type { Resumption } from './resuming.ts';
import { stop } from './signals.ts';
import { type Client, type Lockspace, newClient, type Reply, type Resource } from './state.ts';

/** A lockspace of an earlier daemon with leases that may still be used. */
export interface LeftBehind {
  readonly id: number;
  readonly space: SpaceFacts;
  lastSuccessS: number;
  claimedBootMs: number;
  readonly generation: string;
  readonly holders: Map<string, LeftHolder>;
  /** Persistent ones, by the number that daemon gave them: their resources. */
  readonly leases: Map<number, ByteString>;
  told: boolean;
  phase: Resumption;
  /** The process that renews on; null: none does. */
  lease: number | null;
  /** The next attempt to resume. */
  notBeforeMs: number;
  /** Who removes the lockspace, and waits for its end. */
  readonly waiters: Reply[];
}

interface LeftHolder {
  readonly facts: HolderFacts;
  readonly client: Client;
}

const MAX_LINES = 4000;
const MAX_NAMES = 8;

/** The holder that is a lease process. */
export const LEASE = 'lease';

/**
 * Before its lease process is told anything. What cannot be recorded is not begun.
 * @returns whether it may go on
 */
export function spaceBegins(front: Front, space: Lockspace): boolean {
  const line = leaseLine(front, space);
  const isNoted = line !== null && note(front, spaceLine(front, space)) && note(front, line);
  // Once: whoever wants to join asks again and again.
  if (!isNoted && front.canRecord) notRecorded(front, space, -1);
  front.canRecord = isNoted;
  return isNoted;
}

/** Its lease process has really ended. */
export function spaceEnds(front: Front, space: Lockspace): void {
  note(front, { kind: 'free', id: space.id, holder: LEASE });
}

/** Where it cannot be written, the next daemon takes the lease for older than it is: sooner. */
export function spaceRenewed(front: Front, space: Lockspace): void {
  const { id, lastSuccessS: timestampS, claimedBootMs } = space;
  note(front, {
    kind: 'renewed',
    id,
    timestampS,
    claimedBootMs,
    generation: `${space.generation}`,
  });
}

/** It is forgotten, and whatever lease of it was still kept here. */
export function spaceLeft(front: Front, space: Lockspace): void {
  const isKept = front.resources.some((one) => one.lockspace === space && one.isNoted);
  if (isKept) note(front, { kind: 'left', id: space.id });
}

/**
 * Before the client hears of a lease it was granted; again when how to stop it has changed. What
 * cannot be recorded is not granted: the next daemon would free it under a running process.
 * @returns whether all of it is recorded
 */
export function holdsNow(front: Front, client: Client): boolean {
  if (client.dead) return true; // what was granted meanwhile is given back
  for (const { resource } of client.tokens) {
    if (leaseIsNoted(front, resource)) continue;
    notRecorded(front, resource.lockspace, client.pid);
    return false;
  }
  for (const space of spacesOf(client)) {
    if (holderIsNoted(front, client, space)) continue;
    notRecorded(front, space, client.pid);
    return false;
  }
  return true;
}

function spacesOf({ tokens }: Client): Iterable<Lockspace> {
  const spaces = tokens.map(({ resource }) => resource.lockspace);
  return spaces.length < 2 ? spaces : new Set(spaces);
}

function holderIsNoted(front: Front, client: Client, space: Lockspace): boolean {
  const line = holderLine(client, space);
  const text = JSON.stringify(line);
  const before = client.noted.get(space.id);
  if (line !== null && before === text) return true;
  client.noted.set(space.id, text);
  if (line !== null && noteText(front, text)) return true;
  if (before === undefined) client.noted.delete(space.id);
  else client.noted.set(space.id, before);
  return false;
}

function leaseIsNoted(front: Front, resource: Resource): boolean {
  if (!resource.persistent || resource.hold === null || resource.isNoted) return true;
  resource.isNoted = true; // first: the line may be written with all others
  resource.isNoted = note(front, leaseLineOf(resource));
  return resource.isNoted;
}

/** Nobody here uses it any more. */
export function leaseGiven(front: Front, resource: Resource): void {
  if (!resource.isNoted) return;
  resource.isNoted = false;
  note(front, { kind: 'given', id: resource.lockspace.id, lease: resource.id });
}

function notRecorded(front: Front, space: Lockspace, pid: number): void {
  front.outside.log('error', 'holder.notRecorded', { lockspace: space.name, pid });
}

/**
 * After it has let a lease go. What it still holds may all be persistent now: by its line of before
 * it would be taken for a user that nothing but its end makes go. Unwritten, it only says more.
 */
export function holdsLess(front: Front, client: Client): void {
  for (const space of spacesOf(client)) {
    if (client.noted.has(space.id)) holderIsNoted(front, client, space);
  }
  for (const id of [...client.noted.keys()]) {
    if (client.tokens.some(({ resource }) => resource.lockspace.id === id)) continue;
    client.noted.delete(id);
    note(front, { kind: 'free', id, holder: `${client.connection}` });
  }
}

/** Once, before anything is served: takes over what was left behind. */
export function restore(
  front: Front,
  remembered: { readonly lines: readonly string[]; readonly damaged: number },
): void {
  const found = new Map<number, LeftBehind>();
  let { damaged } = remembered;
  for (const text of remembered.lines) if (!readLine(found, text)) damaged++;
  for (const left of found.values()) {
    for (const [holder, { facts }] of [...left.holders]) {
      const client = find(front, facts);
      if (client === null) left.holders.delete(holder);
      else left.holders.set(holder, { facts, client });
    }
    if (counts(left)) front.leftBehind.push({ ...left, id: front.newLockspaceId() });
  }
  for (const left of front.leftBehind) {
    const pids = pidsOf(left).join(' ');
    const fields = { lockspace: left.space.name, pids, resources: namesOf(left) };
    front.outside.log('warn', 'holders.leftBehind', fields);
  }
  if (damaged > 0) {
    front.holdersUnknown = true;
    front.outside.log('error', 'holders.unknown', { places: damaged, goOn: GO_ON });
  }
  rewrite(front);
}

/** What became of whoever the damaged part named, only a person can find out. */
const GO_ON =
  'no lockspace is joined until the machine is rebooted, or until nothing here uses leases of the ' +
  'daemon before, sanlock.holders in the run directory is removed, and sanlock is started again';

function counts({ holders, leases }: LeftBehind): boolean {
  return holders.size > 0 || leases.size > 0;
}

/** Processes that may work by its leases; `asker` may say of its own persistent ones that it does not. */
export function usersOf({ holders }: LeftBehind, asker: number): number[] {
  return [...holders].flatMap(([holder, { facts }]) =>
    holder === LEASE || (facts.persistent && facts.pid === asker) ? [] : [facts.pid],
  );
}

/** For the log. */
export function namesOf({ leases }: LeftBehind): string {
  const some = [...leases.values()].slice(0, MAX_NAMES).join(' ');
  return leases.size <= MAX_NAMES ? some : `${some} and ${leases.size - MAX_NAMES} more`;
}

function pidsOf({ holders }: LeftBehind): number[] {
  return [...new Set([...holders.values()].map(({ facts }) => facts.pid))];
}

/** false: it says nothing we know, so what it was to say is unknown. */
function readLine(found: Map<number, LeftBehind>, text: string): boolean {
  const line = parseHolderLine(text);
  if (line === null || line.kind === 'unknown') return false;
  if (line.kind === 'space') {
    const { kind: _, id, ...space } = line;
    found.set(id, newLeft(id, space));
    return true;
  }
  const left = found.get(line.id);
  if (left === undefined) return line.kind !== 'holds' && line.kind !== 'lease'; // of which?
  if (line.kind === 'renewed') {
    const { timestampS: lastSuccessS, claimedBootMs, generation } = line;
    found.set(line.id, { ...left, lastSuccessS, claimedBootMs, generation });
  } else if (line.kind === 'free') left.holders.delete(line.holder);
  else if (line.kind === 'lease') left.leases.set(line.lease, line.resource);
  else if (line.kind === 'given') left.leases.delete(line.lease);
  else if (line.kind === 'left') left.leases.clear();
  else {
    const { kind: _, id: __, ...facts } = line;
    left.holders.set(facts.holder, { facts, client: clientOf(facts, null) });
  }
  return true;
}

/** To be stopped as it had asked. */
function clientOf(facts: HolderFacts, bound: UserProcess | null): Client {
  const { pid, killpath, killargs, killpathPid, restricted } = facts;
  const client = newClient({ connection: -1, slot: -1, fd: -1, process: bound });
  return Object.assign(client, { pid, killpath, killargs, killpathPid, restricted });
}

/** The very process; null: it has ended. */
function find(front: Front, facts: HolderFacts): Client | null {
  const { pid, started } = facts;
  const bound = front.outside.findProcess(pid, started, () => forget(front, client));
  const client = clientOf(facts, bound);
  return bound === null ? null : client;
}

function newLeft(id: number, space: SpaceFacts): LeftBehind {
  const { timestampS: lastSuccessS, claimedBootMs, generation } = space;
  const known = { id, space, lastSuccessS, claimedBootMs, generation };
  const nothing = { holders: new Map(), leases: new Map(), told: false, waiters: [] };
  return { ...known, ...nothing, phase: 'waiting', lease: null, notBeforeMs: 0 };
}

function forget(front: Front, ended: Client): void {
  const before = front.leftBehind.length;
  for (const { holders } of front.leftBehind) {
    for (const [holder, { client }] of [...holders]) if (client === ended) holders.delete(holder);
  }
  front.leftBehind = front.leftBehind.filter(counts);
  if (front.leftBehind.length < before) rewrite(front);
}

/** Its membership is about to be resumed. @returns whether that is written */
export function leftStarts(front: Front, left: LeftBehind): boolean {
  const bound = left.lease === null ? null : front.outside.leaseProcess(left.lease);
  if (bound === null) return true; // it has ended already
  const facts = leaseHolder(front, left.lease);
  if (facts === null) return false;
  left.holders.set(LEASE, { facts, client: clientOf(facts, bound) });
  return note(front, { kind: 'holds', id: left.id, ...facts });
}

export function leftEnds(front: Front, left: LeftBehind): void {
  left.holders.delete(LEASE);
  note(front, { kind: 'free', id: left.id, holder: LEASE });
}

export function leftRenewed(front: Front, left: LeftBehind): void {
  const { id, lastSuccessS: timestampS, claimedBootMs, generation } = left;
  note(front, { kind: 'renewed', id, timestampS, claimedBootMs, generation });
}

/** Its leases are given back; who held none but those, and gave them, is no holder any more. */
export function forgetLeft(front: Front, left: LeftBehind): void {
  left.leases.clear();
  for (const [holder, { facts }] of [...left.holders]) {
    if (facts.persistent) left.holders.delete(holder);
  }
  front.leftBehind = front.leftBehind.filter(counts);
  rewrite(front);
}

interface Place {
  readonly name: ByteString;
  readonly path: ByteString;
  readonly offset: bigint;
}

export function leftAt(front: Front, asked: Place): LeftBehind | null {
  const found = front.leftBehind.find(
    ({ space }) =>
      space.name === asked.name ||
      (space.path === asked.path && BigInt(space.offset) === asked.offset),
  );
  return found ?? null;
}

/** No lockspace must be joined, until a person does something about it. */
export function isClosed(front: Front, asked: Place): boolean {
  if (!front.holdersUnknown) return false;
  front.outside.log('error', 'lockspace.closed', { lockspace: asked.name, goOn: GO_ON });
  return true;
}

/** A lockspace that must not be joined yet. Its holders end by themselves, or are stopped. */
export function isStillHeld(front: Front, asked: Place): boolean {
  const left = leftAt(front, asked);
  if (left === null) return false;
  const fields = { lockspace: asked.name, pids: pidsOf(left).join(' ') };
  front.outside.log('warn', 'lockspace.stillHeld', fields);
  return true;
}

export function isExpired(front: Front, left: LeftBehind): boolean {
  return front.claimAgeMs(left) >= leaseTimes(left.space.ioTimeoutS).renewalFailMs;
}

/** Their lease has run out, and nobody else will stop them. */
export function stopLeftBehind(front: Front): void {
  for (const left of front.leftBehind) {
    const { ioTimeoutS } = left.space;
    const isLate = isExpired(front, left);
    if (!isLate && !front.ending) continue; // a forced end kills them as it does all users
    if (isLate && !left.told && left.holders.size > 0) {
      left.told = true;
      front.outside.log('error', 'holders.expired', { lockspace: left.space.name });
    }
    const inGrace = front.inGrace(left, ioTimeoutS);
    for (const [holder, { client }] of left.holders) {
      if (holder === LEASE || client.killLastS === front.nowS) continue;
      client.killCount++;
      client.killLastS = front.nowS;
      stop(front, client, { removal: front.ending, inGrace });
    }
  }
}

/** @returns whether it is written */
function note(front: Front, line: Line): boolean {
  return noteText(front, JSON.stringify(line));
}

function noteText(front: Front, text: string): boolean {
  front.journalLines++;
  // However many leases are kept, it is written anew only once in so many lines.
  if (front.journalLines > front.journalNeeds + MAX_LINES && rewrite(front)) return true;
  // Where there is no room for one more line, the old ones may have left some.
  return front.outside.remember(text) || rewrite(front);
}

/** Only what still counts. @returns whether it is written */
function rewrite(front: Front): boolean {
  const lines: Line[] = front.holdersUnknown ? [{ kind: 'unknown' }] : [];
  for (const {
    id,
    space,
    lastSuccessS,
    claimedBootMs,
    generation,
    holders,
    leases,
  } of front.leftBehind) {
    lines.push({
      kind: 'space',
      id,
      ...space,
      timestampS: lastSuccessS,
      claimedBootMs,
      generation,
    });
    for (const [lease, resource] of leases) lines.push({ kind: 'lease', id, lease, resource });
    for (const { facts } of holders.values()) lines.push({ kind: 'holds', id, ...facts });
  }
  for (const space of front.lockspaces) {
    lines.push(spaceLine(front, space));
    const kept = front.resources.filter((one) => one.lockspace === space && one.isNoted);
    lines.push(...kept.map(leaseLineOf));
    const lease = leaseLine(front, space);
    if (lease !== null) lines.push(lease);
    for (const client of front.clients.values()) {
      const line = client.noted.has(space.id) ? holderLine(client, space) : null;
      if (line !== null) lines.push(line);
    }
  }
  if (!front.outside.rememberAll(lines.map((line) => JSON.stringify(line)))) return false;
  front.journalLines = lines.length;
  front.journalNeeds = lines.length;
  return true;
}

function spaceLine(front: Front, space: Lockspace): Line {
  const { id, name, hostId, path, offset, ioTimeoutS } = space;
  const { lastSuccessS: timestampS, claimedBootMs } = space;
  const of = { id, name, hostId, path, offset, ioTimeoutS, hostName: front.settings.ourHostName };
  return { kind: 'space', ...of, timestampS, claimedBootMs, generation: `${space.generation}` };
}

function leaseLineOf({ id: lease, name: resource, lockspace }: Resource): Line {
  return { kind: 'lease', id: lockspace.id, lease, resource };
}

/** null: its process has ended, or the kernel does not tell it from a later one. */
function holderLine(client: Client, space: Lockspace): Line | null {
  const { process: bound, killpath, killargs, killpathPid, restricted, connection } = client;
  const started = bound?.identity ?? null;
  if (bound === null || started === null) return null;
  const { pid } = bound;
  const here = client.tokens.filter(({ resource }) => resource.lockspace === space);
  const persistent = here.every(({ resource }) => resource.persistent);
  const how = { killpath, killargs, killpathPid, restricted, persistent };
  return { kind: 'holds', id: space.id, holder: `${connection}`, pid, started, ...how };
}

function leaseLine(front: Front, space: Lockspace): Line | null {
  const facts = leaseHolder(front, space.lease);
  return facts === null ? null : { kind: 'holds', id: space.id, ...facts };
}

/** null as above. */
function leaseHolder(front: Front, lease: number | null): HolderFacts | null {
  const bound = lease === null ? null : front.outside.leaseProcess(lease);
  const started = bound?.identity ?? null;
  if (bound === null || started === null) return null;
  const how = { killpath: '', killargs: '', killpathPid: false, restricted: 0, persistent: false };
  return { holder: LEASE, pid: bound.pid, started, ...how };
}
