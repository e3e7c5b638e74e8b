import assert from 'node:assert/strict';
import type { ByteString } from '../../base/bytes.ts';
import type { Front } from '../front.ts';
import { LEASE_HOLDER } from '../holder-lines.ts';
import { type InheritedLease, outlivesHolders } from '../inherited.ts';
import { type Contents, noContents, readLine } from '../journal-reader.ts';
import { isGivenUp } from '../lockspace-phase.ts';
import type { Client, Lockspace, Resource } from '../state.ts';
import type { Survivor } from '../survivors.ts';

/** What this host claims in one lockspace, in the words of the front or of its journal. */
export interface Claims {
  readonly space: Readonly<Record<string, ByteString | number | boolean>>;
  /** By the connections of clients that hold leases there: how each is stopped. */
  readonly clients: ReadonlyMap<string, string>;
  readonly leases: ReadonlyMap<number, LeaseClaim>;
  readonly wants: ReadonlyMap<number, string>;
}

export interface LeaseClaim {
  readonly place: string;
  readonly shared: boolean;
  readonly lver: bigint;
  readonly converting: InheritedLease['converting'];
  readonly kept: string;
  readonly lvb: string | null;
  /** What becomes of it without them; null where there are any. */
  readonly orphaned: boolean | null;
  /** Clients whose connections are open, and what each wants to become of it, sorted. */
  readonly holders: readonly string[];
}

/** By lockspace; those of an earlier daemon too, which are not handed over yet. */
export function claimsOf(front: Front): Map<number, Claims> {
  return new Map([
    ...front.lockspaces.map((space) => [space.id, ofSpace(front, space)] as const),
    ...front.survivors.map((survivor) => [survivor.id, ofSurvivor(survivor)] as const),
  ]);
}

function ofSpace(front: Front, space: Lockspace): Claims {
  const leases = new Map<number, LeaseClaim>();
  const wants = new Map<number, string>();
  for (const one of front.resources) {
    if (one.lockspace !== space) continue;
    if (one.isRecorded) leases.set(one.id, ofResource(front, one));
    else wants.set(one.id, placeText(one.name, one));
  }
  for (const one of space.undone) wants.set(one.id, placeText(one.name, one));
  const { name, hostId, path, offset, ioTimeoutS, generation, lastSuccessS, claimedBootMs } = space;
  const { used, usedByOrphans } = space;
  const of = { name, hostId, path, offset, ioTimeoutS, generation: `${generation}` };
  const process = front.leaseProcess(space.lease)?.pid ?? 0;
  const flags = { used, usedByOrphans, removal: isGivenUp(space) };
  const users = [...leases.values()].flatMap(clientsOf);
  const clients = [...front.clients.values()].filter(({ connection }) =>
    users.includes(`${connection}`),
  );
  return {
    space: { ...of, lastSuccessS, claimedBootMs, process, ...flags },
    clients: new Map(clients.map((client) => [`${client.connection}`, stoppingText(client)])),
    leases,
    wants,
  };
}

function ofResource(front: Front, one: Resource): LeaseClaim {
  const { shared, hold, lvb, lvbDirty } = one;
  const converting = one.converting || one.unconverted !== null;
  const all = one.holders.filter(({ isRecorded }) => isRecorded);
  const open = all.filter(({ client }) => front.clients.has(client.connection));
  const holders = open.map(({ client, persistent }) => {
    return holderText(`${client.connection}`, persistent);
  });
  const isOrphaned = all.length === 0 ? one.orphaned : all.some(({ persistent }) => persistent);
  return {
    place: placeText(one.name, one),
    shared,
    lver: hold?.lver ?? one.inheritedLver,
    converting: !converting ? null : shared ? 'toExclusive' : 'toShared',
    kept: keptText(one),
    lvb: lvbDirty && lvb !== null ? hex(lvb) : null,
    orphaned: holders.length === 0 ? isOrphaned : null,
    holders: holders.sort(),
  };
}

/** By lockspace, as the next daemon reads them; every line is sound. */
export function claimsRead(lines: readonly string[]): Map<number, Claims> {
  return new Map([...survivorsRead(lines)].map(([id, one]) => [id, ofSurvivor(one)]));
}

function contentsOf(lines: readonly string[]): Contents {
  const contents = noContents();
  for (const line of lines) assert.ok(readLine(contents, line), `no sense in ${line}`);
  return contents;
}

/** The processes of clients that have registered, and how each is stopped. */
export function registeredOf({ clients }: Front): string[] {
  const known = [...clients.values()].filter(({ registered }) => registered);
  return known.map((client) => `${client.connection} ${stoppingText(client)}`).sort();
}

/** The same, as the next daemon reads it. */
export function registeredRead(lines: readonly string[]): string[] {
  const { registered } = contentsOf(lines);
  return [...registered].map(([holder, facts]) => `${holder} ${stoppingText(facts)}`).sort();
}

export function survivorsRead(lines: readonly string[]): Map<number, Survivor> {
  const { survivors: found } = contentsOf(lines);
  for (const [id, { generation, holders, inherited }] of found) {
    const { leases, wants } = inherited;
    const isNothing = generation === '0' && holders.size + leases.size + wants.size === 0;
    if (isNothing) found.delete(id); // it was left
  }
  return found;
}

function ofSurvivor(survivor: Survivor): Claims {
  const { space, lastSuccessS, claimedBootMs, generation, holders, inherited } = survivor;
  const { name, hostId, path, offset, ioTimeoutS } = space;
  const { used, usedByOrphans, removal } = inherited;
  const of = { name, hostId, path, offset, ioTimeoutS, generation };
  const leases = new Map<number, LeaseClaim>();
  for (const [id, lease] of inherited.leases) leases.set(id, ofInherited(survivor, lease));
  const users = [...leases.values()].flatMap(clientsOf);
  const clients = [...holders].filter(([holder]) => users.includes(holder));
  // It stays in the journal when it has ended: it may have left an end record.
  const { pid: process } = holders.get(LEASE_HOLDER)?.facts ?? survivor.lastProcess ?? { pid: 0 };
  return {
    space: { ...of, lastSuccessS, claimedBootMs, process, used, usedByOrphans, removal },
    clients: new Map(clients.map(([holder, { facts }]) => [holder, stoppingText(facts)])),
    leases,
    wants: new Map([...inherited.wants].map(([id, want]) => [id, placeText(want.resource, want)])),
  };
}

function ofInherited({ holders: clients }: Survivor, lease: InheritedLease): LeaseClaim {
  const { shared, lver, converting, lvb } = lease;
  const open = lease.holders.filter(({ name }) => clients.has(name));
  const holders = open.map(({ name, persistent }) => holderText(name, persistent));
  return {
    place: placeText(lease.resource, lease),
    shared,
    lver,
    converting,
    kept: keptText(lease),
    lvb: lvb === null ? null : hex(lvb),
    orphaned: holders.length === 0 ? outlivesHolders(lease) : null,
    holders: holders.sort(),
  };
}

function placeText(name: ByteString, { path, offset }: { path: string; offset: number }): string {
  return `${name} at ${path}:${offset}`;
}

/** A client by its connection. */
export function holderText(connection: string, persistent: boolean): string {
  return persistent ? `${connection} persistent` : connection;
}

function clientsOf({ holders }: LeaseClaim): string[] {
  return holders.map((holder) => holder.replace(' persistent', ''));
}

function keptText(of: Pick<Resource, 'lvbWanted' | 'restricted'>): string {
  return `lvb ${of.lvbWanted}, restricted ${of.restricted}`;
}

function stoppingText(
  of: Pick<Client, 'pid' | 'killpath' | 'killargs' | 'killpathPid' | 'restricted'>,
): string {
  return [of.pid, of.killpath, of.killargs, of.killpathPid, of.restricted].join(' ');
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
