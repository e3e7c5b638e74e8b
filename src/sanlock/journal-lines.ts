import type { Front } from './front.ts';
import { type HolderFacts, LEASE_HOLDER, type Line } from './holder-lines.ts';
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
  const { id, space, lastSuccessS, claimedBootMs, generation, holders, leases } = survivor;
  const lines: Line[] = [
    { kind: 'space', id, ...space, timestampS: lastSuccessS, claimedBootMs, generation },
  ];
  for (const [lease, resource] of leases) lines.push({ kind: 'lease', id, lease, resource });
  for (const { facts } of holders.values()) lines.push({ kind: 'holds', id, ...facts });
  return lines;
}

export function lineOfSpace(front: Front, space: Lockspace): Line {
  const { id, name, hostId, path, offset, ioTimeoutS } = space;
  const { lastSuccessS: timestampS, claimedBootMs } = space;
  const of = { id, name, hostId, path, offset, ioTimeoutS, hostName: front.settings.ourHostName };
  return { kind: 'space', ...of, timestampS, claimedBootMs, generation: `${space.generation}` };
}

export function lineOfResource({ id: lease, name: resource, lockspace }: Resource): Line {
  return { kind: 'lease', id: lockspace.id, lease, resource };
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
