import type { Front } from './front.ts';
import { type HolderFacts, LEASE_HOLDER, type Line } from './holder-lines.ts';
import type { Inherited } from './inherited.ts';
import type { Client, Lockspace, Resource } from './state.ts';
import type { Survivor } from './survivors.ts';

/** All that the next daemon must know of a lockspace. */
export function linesOfSpace(front: Front, space: Lockspace): Line[] {
  const lines = [lineOfSpace(front, space)];
  for (const one of front.resources) {
    if (one.lockspace === space && one.isRecorded) lines.push(lineOfResource(one));
  }
  const ofProcess = lineOfProcess(front, space);
  if (ofProcess !== null) lines.push(ofProcess);
  for (const client of front.clients.values()) {
    const line = client.recorded.has(space.id) ? lineOfHolder(client, space) : null;
    if (line !== null) lines.push(line);
  }
  return lines;
}

/** All that the next daemon must know of what an earlier one had. */
export function linesOfSurvivor(survivor: Survivor): Line[] {
  const { id, lastSuccessS: timestampS, claimedBootMs, generation, inherited } = survivor;
  const renewal = { timestampS, claimedBootMs, generation };
  const space = { ...survivor.space, ...renewal, allLeases: inherited.isWhole };
  const lines: Line[] = [{ kind: 'space', id, ...space }];
  for (const { facts } of survivor.holders.values()) lines.push({ kind: 'holds', id, ...facts });
  lines.push(...linesOfInherited(id, inherited));
  return lines;
}

function linesOfInherited(id: number, inherited: Inherited): Line[] {
  const { used, usedByOrphans } = inherited;
  const lines: Line[] = [];
  if (used || usedByOrphans) lines.push({ kind: 'config', id, used, usedByOrphans });
  if (inherited.removal) lines.push({ kind: 'removal', id });
  for (const [lease, place] of inherited.wants) lines.push({ kind: 'wants', id, lease, ...place });
  for (const [lease, one] of inherited.leases) {
    const { converting, lver, lvb, ...facts } = one;
    lines.push({ kind: 'lease', id, lease, ...facts, lver: `${lver}` });
    const toShared = converting === 'toShared';
    if (converting !== null) lines.push({ kind: 'converts', id, lease, toShared });
    if (lvb !== null) lines.push({ kind: 'lvb', id, lease, value: base64(lvb) });
  }
  return lines;
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

export function lineOfSpace(front: Front, space: Lockspace): Line {
  const { id, name, hostId, path, offset, ioTimeoutS } = space;
  const { lastSuccessS: timestampS, claimedBootMs } = space;
  const of = { id, name, hostId, path, offset, ioTimeoutS, hostName: front.settings.ourHostName };
  const renewal = { timestampS, claimedBootMs, generation: `${space.generation}` };
  return { kind: 'space', ...of, ...renewal, allLeases: false };
}

export function lineOfResource(of: Resource): Line {
  const { id: lease, name: resource, lockspace, path, offset, hold } = of;
  const { shared, persistent, lvbWanted, restricted, lastPid } = of;
  const facts = { shared, persistent, lvbWanted, restricted, lastPid, holders: [] };
  const place = { resource, path, offset };
  return { kind: 'lease', id: lockspace.id, lease, ...place, ...facts, lver: `${hold?.lver ?? 0}` };
}

/** null: its process has ended, or the kernel does not distinguish it from a later one of its pid. */
export function lineOfHolder(client: Client, space: Lockspace): Line | null {
  const { process: bound, killpath, killargs, killpathPid, restricted, connection } = client;
  const started = bound?.identity ?? null;
  if (bound === null || started === null) return null;
  const { pid } = bound;
  const here = client.tokens.filter(({ resource }) => resource.lockspace === space);
  const persistent = here.every(({ resource }) => resource.persistent);
  const how = { killpath, killargs, killpathPid, restricted, persistent };
  return { kind: 'holds', id: space.id, holder: `${connection}`, pid, started, ...how };
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
  return { holder: LEASE_HOLDER, pid: bound.pid, started, ...how };
}
