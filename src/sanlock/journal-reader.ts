import { unreachable } from '../base/assert.ts';
import {
  type ClientFacts,
  LEASE_HOLDER,
  type Line,
  NO_GENERATION,
  parseHolderLine,
} from './holder-lines.ts';
import { type Inherited, nothingInherited, outlivesHolders } from './inherited.ts';
import { newHolder, newSurvivor, type Survivor } from './survivors.ts';

type About<Kind extends Line['kind']> = Extract<Line, { readonly kind: Kind }>;
type ClientLine = About<'registered' | 'closed'>;
type LeaseLine = About<'shares' | 'drops' | 'converts' | 'mode' | 'lvb'>;

/** What the lines of a journal say. */
export interface Contents {
  /** By the numbers of the daemon that wrote them, as all names here. */
  readonly survivors: Map<number, Survivor>;
  /** Clients that had registered, oldest first, whether or not they hold leases. */
  readonly registered: Map<string, ClientFacts>;
}

export function noContents(): Contents {
  return { survivors: new Map(), registered: new Map() };
}

/**
 * Takes one line of the journal of an earlier daemon, oldest first.
 * @returns false: the line has no meaning, so what it was to record is unknown
 */
export function readLine({ survivors: found, registered }: Contents, text: string): boolean {
  const line = parseHolderLine(text);
  if (line === null || line.kind === 'unknown') return false;
  if (line.kind === 'registered' || line.kind === 'closed') return readClient(registered, line);
  if (line.kind === 'space') {
    const { kind: _, id, ...space } = line;
    if (found.has(id)) return false; // no daemon gives a number twice
    found.set(id, newSurvivor(id, space, nothingInherited({ isWhole: space.allLeases })));
    return true;
  }
  const survivor = found.get(line.id);
  if (survivor === undefined) return endsOnly(line); // of which lockspace?
  switch (line.kind) {
    case 'renewed': {
      const { timestampS: lastSuccessS, claimedBootMs, generation } = line;
      const isFirst = survivor.generation === NO_GENERATION;
      const space = isFirst ? { ...survivor.space, joinedS: lastSuccessS } : survivor.space;
      found.set(line.id, { ...survivor, space, lastSuccessS, claimedBootMs, generation });
      return true;
    }
    case 'free':
      survivor.holders.delete(line.holder);
      return true;
    case 'holds': {
      const { kind: _, id: __, ...facts } = line;
      survivor.holders.set(facts.holder, newHolder(facts, null));
      rename(registered, facts);
      return true;
    }
    case 'left':
    case 'lost':
      found.set(line.id, leftOf(survivor, { isLost: line.kind === 'lost' }));
      return true;
    case 'wants':
    case 'lease':
    case 'given':
      readLease(survivor.inherited, line);
      return true;
    case 'shares':
    case 'drops':
    case 'converts':
    case 'mode':
    case 'lvb':
      return readChange(survivor, line);
    case 'config':
      survivor.inherited.used = line.used;
      survivor.inherited.usedByOrphans = line.usedByOrphans;
      return true;
    case 'removal':
      survivor.inherited.removal = true;
      return true;
    default:
      return unreachable(line);
  }
}

function readClient(registered: Contents['registered'], line: ClientLine): true {
  if (line.kind === 'closed') {
    registered.delete(line.holder);
    return true;
  }
  const { kind: _, ...facts } = line;
  registered.set(facts.holder, facts);
  return true;
}

/** It registered before it asked for a lease, and was named then. */
function rename(registered: Contents['registered'], { holder, ownerName }: ClientFacts): void {
  const known = registered.get(holder);
  if (known !== undefined) registered.set(holder, { ...known, ownerName });
}

/** Without its lockspace such a line names nothing that a process or the disk could still hold. */
function endsOnly({ kind }: Exclude<Line, About<'unknown' | 'space'> | ClientLine>): boolean {
  const isEnd = kind === 'free' || kind === 'given' || kind === 'removal' || kind === 'left';
  return isEnd || kind === 'lost' || kind === 'renewed';
}

/** A lease process that has not ended may still write, whatever the front decided. */
function leftOf(survivor: Survivor, { isLost }: { readonly isLost: boolean }): Survivor {
  const { id, space, lastSuccessS, claimedBootMs, holders } = survivor;
  const left = newSurvivor(id, space, { ...nothingInherited({ isWhole: true }), isLost });
  const process = holders.get(LEASE_HOLDER);
  if (process !== undefined) left.holders.set(LEASE_HOLDER, process);
  return { ...left, lastSuccessS, claimedBootMs, generation: NO_GENERATION };
}

function readLease(inherited: Inherited, line: About<'wants' | 'lease' | 'given'>): void {
  const { leases, wants } = inherited;
  switch (line.kind) {
    case 'wants': {
      const { resource, path, offset } = line;
      leases.delete(line.lease); // its release began
      wants.set(line.lease, { resource, path, offset });
      return;
    }
    case 'lease': {
      const { kind: _, id: __, lease, persistent, keeps, ...facts } = line;
      if (facts.path === '') inherited.isWhole = false;
      wants.delete(lease);
      const lver = BigInt(facts.lver);
      const holders = facts.holders.map((name, n) => ({
        name,
        persistent: keeps[n] ?? persistent,
      }));
      const orphaned = holders.length === 0 && persistent;
      // Once more, as its holders have changed: the rest of what is known of it stays.
      const { converting = null, lvb = null } = leases.get(lease) ?? {};
      leases.set(lease, { ...facts, lver, holders, orphaned, converting, lvb });
      return;
    }
    case 'given':
      wants.delete(line.lease);
      leases.delete(line.lease);
      return;
    default:
      unreachable(line);
  }
}

/** false: there is no such lease, or no such holder. */
function readChange({ inherited, holders }: Survivor, line: LeaseLine): boolean {
  const lease = inherited.leases.get(line.lease);
  if (lease === undefined) return false;
  switch (line.kind) {
    case 'shares':
      lease.holders.push({ name: line.holder, persistent: outlivesHolders(lease) });
      lease.lastPid = holders.get(line.holder)?.facts.pid ?? lease.lastPid;
      return true;
    case 'drops': {
      const at = lease.holders.findIndex(({ name }) => name === line.holder);
      if (at >= 0) lease.holders.splice(at, 1);
      lease.orphaned = false; // without holders it is being released
      return at >= 0;
    }
    case 'converts':
      lease.converting = line.toShared ? 'toShared' : 'toExclusive';
      return true;
    case 'mode':
      lease.shared = line.shared;
      lease.lver = BigInt(line.lver);
      lease.converting = null;
      return true;
    case 'lvb':
      lease.lvb =
        line.value === '' ? null : Uint8Array.from(atob(line.value), (c) => c.charCodeAt(0));
      return true;
    default:
      return unreachable(line);
  }
}
