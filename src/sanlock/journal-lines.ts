import type { Front } from './front.ts';
import {
  type ClientFacts,
  type HolderFacts,
  LEASE_HOLDER,
  type Line,
  NO_GENERATION,
} from './holder-lines.ts';
import { type Inherited, outlivesHolders } from './inherited.ts';
import { leaseText, wantsText } from './lease-texts.ts';
import { isGivenUp } from './lockspace-phase.ts';
import type { LostLockspace } from './lost-lockspace.ts';
import type { Client, Lockspace, Resource } from './state.ts';
import type { Survivor } from './survivors.ts';

/** All that the next daemon must know of a lockspace, each line as text. */
export function textsOfSpace(front: Front, space: Lockspace): string[] {
  const { id, used, usedByOrphans } = space;
  const lines = [lineOfSpace(space)];
  const ofProcess = lineOfProcess(front, space);
  if (ofProcess !== null) lines.push(ofProcess);
  for (const client of front.clients.values()) {
    const line = client.recorded.has(id) ? lineOfHolder(client, space) : null;
    if (line !== null) lines.push(line);
  }
  if (used || usedByOrphans) lines.push({ kind: 'config', id, used, usedByOrphans });
  if (isGivenUp(space)) lines.push({ kind: 'removal', id });
  const texts = lines.map((line) => JSON.stringify(line));
  for (const one of front.resources) {
    if (one.lockspace === space) texts.push(...textsOfResource(one));
  }
  for (const want of space.undone) texts.push(wantsText(want));
  return texts;
}

/** One that was granted to a client which never heard of it is only wanted. */
function textsOfResource(resource: Resource): string[] {
  if (!resource.isRecorded) return [wantsText(resource)];
  const texts = [leaseText(resource)];
  const { converting, unconverted } = resource;
  if (converting || unconverted !== null) texts.push(JSON.stringify(lineOfConversion(resource)));
  if (resource.lvbDirty) texts.push(JSON.stringify(lineOfLvb(resource)));
  return texts;
}

/** All that the next daemon must know of what an earlier one had, each line as text. */
export function textsOfSurvivor(survivor: Survivor): string[] {
  const { id, lastSuccessS: timestampS, claimedBootMs, generation, inherited } = survivor;
  const renewal = { timestampS, claimedBootMs, generation };
  const space = { ...survivor.space, ...renewal, allLeases: inherited.isWhole };
  const lines: Line[] = [{ kind: 'space', id, ...space }];
  for (const { facts } of survivor.holders.values()) lines.push({ kind: 'holds', id, ...facts });
  // Though it has ended: it may have left an end record.
  const { lastProcess, holders } = survivor;
  if (lastProcess !== null && !holders.has(LEASE_HOLDER)) {
    lines.push({ kind: 'holds', id, ...lastProcess });
  }
  lines.push(...linesOfInherited(id, inherited));
  return lines.map((line) => JSON.stringify(line));
}

function linesOfInherited(id: number, inherited: Inherited): Line[] {
  const { used, usedByOrphans } = inherited;
  const lines: Line[] = [];
  if (used || usedByOrphans) lines.push({ kind: 'config', id, used, usedByOrphans });
  if (inherited.removal) lines.push({ kind: 'removal', id });
  for (const [lease, place] of inherited.wants) lines.push({ kind: 'wants', id, lease, ...place });
  for (const [lease, one] of inherited.leases) {
    const { converting, lver, lvb, orphaned: _, ...facts } = one;
    const holders = one.holders.map(({ name }) => name);
    const keeps = one.holders.map(({ persistent }) => persistent);
    const persistent = outlivesHolders(one);
    const known = { ...facts, lver: `${lver}`, persistent, holders, keeps };
    lines.push({ kind: 'lease', id, lease, ...known });
    const toShared = converting === 'toShared';
    if (converting !== null) lines.push({ kind: 'converts', id, lease, toShared });
    if (lvb !== null) lines.push({ kind: 'lvb', id, lease, value: base64(lvb) });
  }
  return lines;
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

/** One that is to be joined again; nothing in it is claimed. */
export function textsOfLost(front: Front, { id, space }: LostLockspace): string[] {
  const { ourHostName: hostName } = front.settings;
  const renewal = { timestampS: 0, claimedBootMs: 0, generation: NO_GENERATION };
  const line = {
    kind: 'space',
    id,
    ...space,
    hostName,
    ...renewal,
    joinedS: 0,
    allLeases: true,
  } as const;
  const lines: Line[] = [line, { kind: 'lost', id }];
  return lines.map((one) => JSON.stringify(one));
}

export function lineOfSpace(space: Lockspace): Line {
  const { id, name, hostId, path, offset, ioTimeoutS, hostName } = space;
  const { lastSuccessS: timestampS, claimedBootMs, joinedS } = space;
  const of = { id, name, hostId, path, offset, ioTimeoutS, hostName, joinedS };
  const renewal = { timestampS, claimedBootMs, generation: `${space.generation}` };
  return { kind: 'space', ...of, ...renewal, allLeases: true };
}

/** The conversion that is under way. */
export function lineOfConversion({ id: lease, lockspace, shared }: Resource): Line {
  return { kind: 'converts', id: lockspace.id, lease, toShared: !shared };
}

export function lineOfMode({
  id: lease,
  lockspace: { id },
  shared,
  hold,
  inheritedLver,
}: Resource): Line {
  return { kind: 'mode', id, lease, shared, lver: `${hold?.lver ?? inheritedLver}` };
}

/** The value that is to be written to the disk; '' where there is none. */
export function lineOfLvb({ id: lease, lockspace, lvb, lvbDirty }: Resource): Line {
  const value = lvbDirty && lvb !== null ? base64(lvb) : '';
  return { kind: 'lvb', id: lockspace.id, lease, value };
}

/** null: its process has ended, or the kernel does not distinguish it from a later one of its pid. */
export function lineOfHolder(client: Client, space: Lockspace): Line | null {
  const facts = clientFacts(client);
  return facts === null ? null : { kind: 'holds', id: space.id, ...facts, persistent: false };
}

/** null as above. */
export function lineOfRegistered(client: Client): Line | null {
  const facts = clientFacts(client);
  return facts === null ? null : { kind: 'registered', ...facts };
}

function clientFacts(client: Client): ClientFacts | null {
  const { process: bound, killpath, killargs, killpathPid, restricted, ownerName } = client;
  const started = bound?.identity ?? null;
  if (bound === null || started === null) return null;
  const how = { killpath, killargs, killpathPid, restricted };
  return { holder: `${client.connection}`, pid: bound.pid, started, ...how, ownerName };
}

/** Of all clients that have registered, each line as text. */
export function textsOfClients({ clients }: Front): string[] {
  const texts: string[] = [];
  for (const client of clients.values()) {
    const line = client.registered ? lineOfRegistered(client) : null;
    if (line !== null) texts.push(JSON.stringify(line));
  }
  return texts;
}

/** The lease process of a lockspace is a holder too; null as above. */
export function lineOfProcess(front: Front, space: Lockspace): Line | null {
  const facts = processHolder(front, space.lease);
  return facts === null ? null : { kind: 'holds', id: space.id, ...facts };
}

/** null as above. */
export function processHolder(front: Front, lease: number | null): HolderFacts | null {
  const bound = front.leaseProcess(lease);
  const started = bound?.identity ?? null;
  if (bound === null || started === null) return null;
  const how = { killpath: '', killargs: '', killpathPid: false, restricted: 0, persistent: false };
  return { holder: LEASE_HOLDER, pid: bound.pid, started, ...how, ownerName: '' };
}
