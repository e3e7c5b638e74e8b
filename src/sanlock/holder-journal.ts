import type { ByteString } from '../base/bytes.ts';
import { leaseTimes } from '../lease/lease-times.ts';
import type { Front } from './front.ts';
import { stop } from './signals.ts';
import { type Client, type Lockspace, newClient } from './state.ts';

/**
 * Who holds leases of which lockspace, written down as it changes, so that a daemon started again
 * after a crash knows whom the one before it left running. Their leases end with the host lease,
 * which nobody renews any more. Until they are gone the lockspace is not joined again, as a new
 * generation would free their leases at once; and when its time is up they are stopped. A lease
 * process counts too: stuck on its device, it may still write what it was told long ago.
 */
type Line =
  | ({ readonly kind: 'space'; readonly id: number } & SpaceFacts)
  | ({ readonly kind: 'renewed'; readonly id: number } & RenewalFacts)
  | ({ readonly kind: 'holds'; readonly id: number } & HolderFacts)
  | { readonly kind: 'free'; readonly id: number; readonly holder: string };

interface RenewalFacts {
  readonly timestampS: number;
  /** How long the machine had been suspended, ever, when that renewal began. */
  readonly asleepMs: number;
}

interface SpaceFacts extends RenewalFacts {
  readonly name: ByteString;
  readonly hostId: number;
  readonly path: ByteString;
  readonly offset: number;
  readonly ioTimeoutS: number;
}

interface HolderFacts {
  /** A client's connection, or 'lease'. */
  readonly holder: string;
  readonly pid: number;
  /** Of the process, in the kernel's ticks: another process of that pid has another. */
  readonly started: string;
  readonly killpath: ByteString;
  readonly killargs: ByteString;
  readonly killpathPid: boolean;
  readonly restricted: number;
}

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

/** Before its lease process is told anything. */
export function spaceBegins(front: Front, space: Lockspace): void {
  note(front, spaceLine(space));
  const line = leaseLine(front, space);
  if (line !== null) note(front, line);
}

/** Its lease process has really ended. */
export function spaceEnds(front: Front, space: Lockspace): void {
  note(front, { kind: 'free', id: space.id, holder: LEASE });
}

export function spaceRenewed(front: Front, space: Lockspace): void {
  const { id, lastSuccessS: timestampS, asleepMs } = space;
  note(front, { kind: 'renewed', id, timestampS, asleepMs });
}

/** Before the client hears of a lease it was granted; again when how to stop it has changed. */
export function holdsNow(front: Front, client: Client): void {
  for (const space of new Set(client.tokens.map(({ resource }) => resource.lockspace))) {
    const line = holderLine(front, client, space);
    const text = JSON.stringify(line);
    if (line === null || client.noted.get(space.id) === text) continue;
    client.noted.set(space.id, text);
    note(front, line);
  }
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
export function restore(front: Front, lines: readonly string[]): void {
  const found = new Map<number, LeftBehind>();
  for (const text of lines) readLine(found, text);
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
  rewrite(front);
}

function pidsOf({ holders }: LeftBehind): number[] {
  return [...new Set([...holders.values()].map(({ facts }) => facts.pid))];
}

function readLine(found: Map<number, LeftBehind>, text: string): void {
  const line = JSON.parse(text) as Line; // written by a daemon of ours, whole lines only
  if (line.kind === 'space') {
    const { kind: _, id, ...space } = line;
    const { timestampS: lastSuccessS, asleepMs } = space;
    found.set(id, { id, space, lastSuccessS, asleepMs, holders: new Map(), told: false });
    return;
  }
  const left = found.get(line.id);
  if (left === undefined) return;
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

function note(front: Front, line: Line): void {
  front.journalLines++;
  if (front.journalLines > MAX_LINES) rewrite(front);
  else front.outside.remember(JSON.stringify(line));
}

/** Only what still counts. */
function rewrite(front: Front): void {
  const lines: Line[] = [];
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
  front.journalLines = lines.length;
  front.outside.rememberAll(lines.map((line) => JSON.stringify(line)));
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
