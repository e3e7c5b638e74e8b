import type { Front } from './front.ts';
import { type ClientFacts, type HolderFacts, LEASE_HOLDER } from './holder-lines.ts';
import type { Inherited, InheritedLease, WantedLease } from './inherited.ts';
import { inheritClient } from './inherited-clients.ts';
import { type Client, newClient } from './state.ts';
import { expiryS, type SurvivingHolder, type Survivor } from './survivors.ts';
import type { UserProcess } from './user-process.ts';

/** A holder of an earlier daemon, which had one connection and perhaps several lockspaces. */
export interface FoundHolder {
  readonly facts: HolderFacts;
  /** null: it has ended. */
  readonly process: UserProcess | null;
  client: Client | null;
}

/** Tells holders of the journal apart. */
export function keyOf({ holder, pid, started }: ClientFacts): string {
  return `${holder} ${pid} ${started}`;
}

/**
 * The survivor in the numbers of this daemon, as a client's connection, a lockspace or a lease of
 * the earlier one may have the number of another one here.
 */
export function inherit(
  front: Front,
  survivor: Survivor,
  found: ReadonlyMap<string, FoundHolder>,
): Survivor {
  const names = new Map<string, string>();
  const holders = new Map<string, SurvivingHolder>();
  let lastProcess: HolderFacts | null = null;
  for (const [name, { facts }] of survivor.holders) {
    const holder = found.get(keyOf(facts));
    const process = holder?.process ?? null;
    if (name === LEASE_HOLDER) {
      if (process === null) lastProcess = facts;
      else holders.set(name, { facts, client: clientOf(process) });
    } else if (holder !== undefined && process !== null) {
      holder.client ??= inheritClient(front, facts, process);
      const { client } = holder;
      const newName = `${client.connection}`;
      names.set(name, newName);
      holders.set(newName, { facts: { ...facts, holder: newName }, client });
    }
  }
  const inherited = renumbered(front, survivor.inherited, names);
  const id = front.newLockspaceId();
  const oldExpireS = expiryS({
    timestampS: survivor.lastSuccessS,
    ioTimeoutS: survivor.space.ioTimeoutS,
  });
  const processes = { oldExpireS, lastProcess, processEndedMs: front.nowMs };
  return { ...survivor, id, holders, inherited, ...processes };
}

/** A lease process that is left is no client. */
function clientOf(process: UserProcess): Client {
  return newClient({ connection: -1, slot: -1, fd: -1, process });
}

function renumbered(front: Front, inherited: Inherited, names: Map<string, string>): Inherited {
  const leases = new Map<number, InheritedLease>();
  const wants = new Map<number, WantedLease>();
  for (const lease of inherited.leases.values()) {
    const holders = lease.holders.map(({ name, persistent }) => ({
      name: nameOf(front, names, name),
      persistent,
    }));
    leases.set(front.newResourceId(), { ...lease, holders });
  }
  for (const wanted of inherited.wants.values()) wants.set(front.newResourceId(), wanted);
  return { ...inherited, leases, wants };
}

/** Of a client that has ended a name that no client will have. */
function nameOf(front: Front, names: Map<string, string>, name: string): string {
  const known = names.get(name);
  if (known !== undefined) return known;
  const unused = `${front.newInheritedConnection()}`;
  names.set(name, unused);
  return unused;
}
