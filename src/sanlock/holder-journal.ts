import type { ByteString } from '../base/bytes.ts';
import { leaseTimes } from '../lease/lease-times.ts';
import type { Front } from './front.ts';
import { type HolderFacts, type Line, parseHolderLine, type SpaceFacts } from './holder-lines.ts';
import { stop } from './signals.ts';
import { type Client, type Lockspace, newClient } from './state.ts';

/** A lockspace of an earlier daemon with processes that may still work by its leases. */
export interface LeftBehind {
  readonly id: number;
  readonly space: SpaceFacts;
  lastSuccessS: number;
  asleepMs: number;
  readonly holders: Map<string, { readonly facts: HolderFacts; readonly client: Client }>;
  told: boolean;
}

const MAX_LINES = 4000;

const LEASE = 'lease';

/**
 * Before its lease process is told anything. What cannot be recorded is not begun.
 * @returns whether it may go on
 */
export function spaceBegins(front: Front, space: Lockspace): boolean {
  const line = leaseLine(front, space);
  const isNoted = note(front, spaceLine(space)) && (line === null || note(front, line));
  if (!isNoted) notRecorded(front, space, -1);
  return isNoted;
}

/** Its lease process has really ended. */
export function spaceEnds(front: Front, space: Lockspace): void {
  note(front, { kind: 'free', id: space.id, holder: LEASE });
}

/** Where it cannot be written, the next daemon takes the lease for older than it is: sooner. */
export function spaceRenewed(front: Front, space: Lockspace): void {
  const { id, lastSuccessS: timestampS, asleepMs } = space;
  note(front, { kind: 'renewed', id, timestampS, asleepMs });
}

/**
 * Before the client hears of a lease it was granted; again when how to stop it has changed. What
 * cannot be recorded is not granted: the next daemon would free it under a running process.
 * @returns whether all of it is recorded
 */
export function holdsNow(front: Front, client: Client): boolean {
  if (client.dead) return true; // what was granted meanwhile is given back
  for (const space of new Set(client.tokens.map(({ resource }) => resource.lockspace))) {
    const line = holderLine(front, client, space);
    const text = JSON.stringify(line);
    const before = client.noted.get(space.id);
    if (line !== null && before === text) continue;
    client.noted.set(space.id, text);
    if (line !== null && note(front, line)) continue;
    if (before === undefined) client.noted.delete(space.id);
    else client.noted.set(space.id, before);
    notRecorded(front, space, client.pid);
    return false;
  }
  return true;
}

function notRecorded(front: Front, space: Lockspace, pid: number): void {
  front.outside.log('error', 'holder.notRecorded', { lockspace: space.name, pid });
}

/** After it has let a lease go. */
export function holdsLess(front: Front, client: Client): void {
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
    // Watched first: a pid that is free now must not come to mean another process meanwhile.
    for (const pid of pidsOf(left)) front.outside.watchProcess(pid);
    for (const [holder, { facts }] of [...left.holders]) {
      if (front.outside.startTime(facts.pid) !== facts.started) left.holders.delete(holder);
    }
    if (left.holders.size > 0) front.leftBehind.push({ ...left, id: front.newLockspaceId() });
  }
  for (const left of front.leftBehind) {
    const fields = { lockspace: left.space.name, pids: pidsOf(left).join(' ') };
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

function pidsOf({ holders }: LeftBehind): number[] {
  return [...new Set([...holders.values()].map(({ facts }) => facts.pid))];
}

/** false: it says nothing we know, so what it was to say is unknown. */
function readLine(found: Map<number, LeftBehind>, text: string): boolean {
  const line = parseHolderLine(text);
  if (line === null || line.kind === 'unknown') return false;
  if (line.kind === 'space') {
    const { kind: _, id, ...space } = line;
    const { timestampS: lastSuccessS, asleepMs } = space;
    found.set(id, { id, space, lastSuccessS, asleepMs, holders: new Map(), told: false });
    return true;
  }
  const left = found.get(line.id);
  if (left === undefined) return line.kind !== 'holds'; // of what lockspace?
  if (line.kind === 'renewed') {
    left.lastSuccessS = line.timestampS;
    left.asleepMs = line.asleepMs;
  } else if (line.kind === 'free') left.holders.delete(line.holder);
  else {
    const { kind: _, id: __, ...facts } = line;
    const client = newClient({ connection: -1, slot: -1, fd: -1, peerPid: facts.pid });
    const { pid, killpath, killargs, killpathPid, restricted } = facts;
    Object.assign(client, { pid, killpath, killargs, killpathPid, restricted });
    left.holders.set(facts.holder, { facts, client });
  }
  return true;
}

export function processGone(front: Front, pid: number): void {
  const before = front.leftBehind.length;
  for (const { holders } of front.leftBehind) {
    for (const [holder, { facts }] of [...holders]) if (facts.pid === pid) holders.delete(holder);
  }
  front.leftBehind = front.leftBehind.filter(({ holders }) => holders.size > 0);
  if (front.leftBehind.length < before) rewrite(front);
}

/** A lockspace that must not be joined yet. */
export function isHaunted(
  front: Front,
  asked: { readonly name: ByteString; readonly path: ByteString; readonly offset: bigint },
): boolean {
  if (front.holdersUnknown) {
    front.outside.log('error', 'lockspace.closed', { lockspace: asked.name, goOn: GO_ON });
    return true;
  }
  const left = front.leftBehind.find(
    ({ space }) =>
      space.name === asked.name ||
      (space.path === asked.path && BigInt(space.offset) === asked.offset),
  );
  if (left === undefined) return false;
  const fields = { lockspace: asked.name, pids: pidsOf(left).join(' ') };
  front.outside.log('warn', 'lockspace.stillHeld', fields);
  return true;
}

/** Their lease has run out, and nobody else will stop them. */
export function stopLeftBehind(front: Front): void {
  for (const left of front.leftBehind) {
    const { ioTimeoutS } = left.space;
    const isExpired = front.claimAgeMs(left) >= leaseTimes(ioTimeoutS).renewalFailMs;
    if (!isExpired && !front.ending) continue; // a forced end kills them as it does all users
    if (isExpired && !left.told) {
      left.told = true;
      front.outside.log('error', 'holders.expired', { lockspace: left.space.name });
    }
    const graceEndS = front.graceEndS(left, ioTimeoutS);
    for (const [holder, { client }] of left.holders) {
      if (holder === LEASE || client.killLastS === front.nowS) continue;
      client.killCount++;
      client.killLastS = front.nowS;
      stop(front, client, { removal: front.ending, inGrace: front.nowS < graceEndS });
    }
  }
}

/** @returns whether it is written */
function note(front: Front, line: Line): boolean {
  front.journalLines++;
  if (front.journalLines > MAX_LINES && rewrite(front)) return true;
  // Where there is no room for one more line, the old ones may have left some.
  return front.outside.remember(JSON.stringify(line)) || rewrite(front);
}

/** Only what still counts. @returns whether it is written */
function rewrite(front: Front): boolean {
  const lines: Line[] = front.holdersUnknown ? [{ kind: 'unknown' }] : [];
  for (const { id, space, lastSuccessS, asleepMs, holders } of front.leftBehind) {
    lines.push({ kind: 'space', id, ...space, timestampS: lastSuccessS, asleepMs });
    for (const { facts } of holders.values()) lines.push({ kind: 'holds', id, ...facts });
  }
  for (const space of front.lockspaces) {
    lines.push(spaceLine(space));
    const lease = leaseLine(front, space);
    if (lease !== null) lines.push(lease);
    for (const client of front.clients.values()) {
      const line = client.noted.has(space.id) ? holderLine(front, client, space) : null;
      if (line !== null) lines.push(line);
    }
  }
  if (!front.outside.rememberAll(lines.map((line) => JSON.stringify(line)))) return false;
  front.journalLines = lines.length;
  return true;
}

function spaceLine(space: Lockspace): Line {
  const { id, name, hostId, path, offset, ioTimeoutS } = space;
  const { lastSuccessS: timestampS, asleepMs } = space;
  return { kind: 'space', id, name, hostId, path, offset, ioTimeoutS, timestampS, asleepMs };
}

/** null: its process has ended already. */
function holderLine(front: Front, client: Client, space: Lockspace): Line | null {
  if (client.started === '') client.started = front.outside.startTime(client.pid) ?? '';
  const { pid, started, killpath, killargs, killpathPid, restricted, connection } = client;
  if (started === '' || pid <= 0) return null;
  const how = { killpath, killargs, killpathPid, restricted };
  return { kind: 'holds', id: space.id, holder: `${connection}`, pid, started, ...how };
}

function leaseLine(front: Front, space: Lockspace): Line | null {
  const pid = space.lease === null ? null : front.outside.leasePid(space.lease);
  const started = pid === null ? null : front.outside.startTime(pid);
  if (pid === null || started === null) return null;
  const how = { killpath: '', killargs: '', killpathPid: false, restricted: 0 };
  return { kind: 'holds', id: space.id, holder: LEASE, pid, started, ...how };
}
