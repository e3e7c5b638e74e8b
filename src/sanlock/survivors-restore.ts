import { closed } from './clients.ts';
import { log } from './effects.ts';
import type { Front } from './front.ts';
import { recordHolderEnd } from './holder-journal.ts';
import { type ClientFacts, type HolderFacts, LEASE_HOLDER } from './holder-lines.ts';
import { inheritClient } from './inherited-clients.ts';
import { noContents, readLine } from './journal-reader.ts';
import { rewrite } from './journal-writer.ts';
import { lostLockspace } from './lost-lockspace.ts';
import { clashes, named } from './named-lockspace.ts';
import {
  isAlive,
  isResumable,
  newHolder,
  pidsText,
  resourcesText,
  type Survivor,
} from './survivors.ts';
import { type FoundHolder, inherit, keyOf } from './survivors-inherit.ts';
import { ADVICE } from './survivors-join.ts';
import type { UserProcess } from './user-process.ts';

/** Reads the journal of the earlier daemon; once, before anything is served. */
export function restore(
  front: Front,
  journal: { readonly lines: readonly string[]; readonly damaged: number },
  restored: () => void,
): void {
  const contents = noContents();
  let { damaged } = journal;
  for (const text of journal.lines) if (!readLine(contents, text)) damaged++;
  const survivors = [...contents.survivors.values()];
  damaged += endDoubles(survivors);
  const wanted = new Map<string, HolderFacts>();
  for (const survivor of survivors) {
    if (damaged > 0) survivor.inherited.isWhole = false;
    sortUsers(survivor);
    for (const { facts } of survivor.holders.values()) wanted.set(keyOf(facts), facts);
  }
  const idle = idleOf(contents.registered.values(), wanted.values());
  for (const facts of idle) wanted.set(keyOf(facts), { ...facts, persistent: false });
  searchHolders(front, wanted, (holders) => {
    takeOver(front, { found: survivors, idle, holders, damaged });
    restored();
  });
}

/**
 * No daemon has two lockspaces in one place, or with one name: the journal is damaged. The later
 * one may have the record on the disk. An earlier one is not resumed beside it: two processes would
 * write one host lease.
 * @returns how many
 */
function endDoubles(found: readonly Survivor[]): number {
  const open = found.filter(isResumable);
  const doubles = open.filter((one, n) =>
    open.slice(n + 1).some(({ space }) => clashes(space, named(one.space))),
  );
  for (const one of doubles) one.phase = { kind: 'over', lease: null };
  return doubles.length;
}

/** One client of each process that had registered and holds nothing. */
function idleOf(
  registered: Iterable<ClientFacts>,
  holders: Iterable<HolderFacts>,
): readonly ClientFacts[] {
  const processes = new Set<string>();
  const isNew = ({ pid, started }: ClientFacts): boolean => {
    const { size } = processes;
    return processes.add(`${pid} ${started}`).size > size;
  };
  for (const facts of holders) isNew(facts);
  return [...registered].filter(isNew);
}

/** Whether the processes of that time still live. */
function searchHolders(
  front: Front,
  wanted: ReadonlyMap<string, HolderFacts>,
  searched: (found: Map<string, FoundHolder>) => void,
): void {
  const found = new Map<string, FoundHolder>();
  if (wanted.size === 0) searched(found);
  for (const [key, facts] of wanted) {
    front.findProcess({ pid: facts.pid, identity: facts.started }, (process) => {
      found.set(key, { facts, process, client: null });
      if (found.size === wanted.size) searched(found);
    });
  }
}

/** Which of its leases are kept without a process, and which of its clients hold none. */
function sortUsers({ inherited, holders }: Survivor): void {
  const users = new Map<string, { persistent: boolean }>();
  for (const lease of inherited.leases.values()) {
    for (const { name, persistent } of lease.holders) {
      const isPersistent = persistent && (users.get(name)?.persistent ?? true);
      users.set(name, { persistent: isPersistent });
    }
  }
  if (!inherited.isWhole) return; // they may hold leases that are not recorded
  for (const [name, { facts }] of [...holders]) {
    if (name === LEASE_HOLDER) continue;
    const user = users.get(name);
    if (user === undefined) holders.delete(name);
    else holders.set(name, newHolder({ ...facts, ...user }, null));
  }
}

/** All their processes have been searched for. */
function takeOver(
  front: Front,
  of: {
    readonly found: readonly Survivor[];
    readonly idle: readonly ClientFacts[];
    readonly holders: ReadonlyMap<string, FoundHolder>;
    readonly damaged: number;
  },
): void {
  for (const one of of.found) {
    const survivor = inherit(front, one, of.holders);
    // One that was never joined, or was left, is only closed while its lease process lives.
    if (!isResumable(survivor)) survivor.phase = { kind: 'over', lease: null };
    const { inherited, holders, space } = survivor;
    if (hasTwoOwners(survivor)) inherited.isWhole = false;
    if (inherited.isLost && holders.size === 0) {
      const at = { nowMs: front.nowMs, isSettled: false, usedByOrphans: true };
      front.lost.push(lostLockspace(survivor.id, space, at));
    } else if (isAlive(survivor)) front.survivors.push(survivor);
  }
  rememberOnlyClients(front);
  for (const facts of of.idle) {
    const process = of.holders.get(keyOf(facts))?.process ?? null;
    if (process !== null) inheritClient(front, facts, process);
  }
  for (const survivor of front.survivors) {
    const fields = { lockspace: survivor.space.name, pids: pidsText(survivor) };
    const resources = resourcesText(survivor);
    if (fields.pids === '' && resources === '') continue;
    log(front, 'warn', 'holders.survived', { ...fields, resources });
  }
  if (of.damaged > 0) {
    front.journalState.holdersUnknown = true;
    log(front, 'error', 'holders.unknown', { places: of.damaged, advice: ADVICE });
  }
  // Lines in the numbers of this daemon must not stand behind those of the earlier one.
  front.journalState.isBehind = !rewrite(front);
}

/** No daemon wrote that an exclusive lease has several holders: which of them has it is not known. */
function hasTwoOwners({ inherited, holders }: Survivor): boolean {
  for (const { shared, holders: holds } of inherited.leases.values()) {
    if (!shared && holds.filter(({ name }) => holders.has(name)).length > 1) return true;
  }
  return false;
}

/** Those of a process that had one connection: where it had several, each has its own leases. */
function rememberOnlyClients(front: Front): void {
  const clients = [...front.clients.values()];
  for (const client of clients) {
    const isOnly = clients.every((one) => one === client || one.pid !== client.pid);
    if (isOnly) front.onlyInherited.add(client);
  }
}

/** A process of that time has ended. */
export function holderEnded(front: Front, ended: UserProcess): void {
  for (const survivor of front.survivors) {
    const { holders } = survivor;
    for (const [name, { facts, client }] of [...holders]) {
      if (client.process !== ended) continue;
      holders.delete(name);
      if (name !== LEASE_HOLDER) {
        recordHolderEnd(front, survivor, name);
        continue;
      }
      survivor.lastProcess = facts;
      survivor.processEndedMs = front.nowMs;
    }
  }
  for (const [connection, { process }] of [...front.clients]) {
    if (connection >= 0 || process !== ended) continue;
    closed(front, connection);
    front.effects.push({ kind: 'unwatch', process: ended });
  }
}
