import { log } from './effects.ts';
import type { Front } from './front.ts';
import { LEASE_HOLDER } from './holder-lines.ts';
import { readLine } from './journal-reader.ts';
import { rewrite } from './journal-writer.ts';
import { lostLockspace } from './lost-lockspace.ts';
import { isAlive, newHolder, pidsText, resourcesText, type Survivor } from './survivors.ts';
import { ADVICE } from './survivors-join.ts';
import type { UserProcess } from './user-process.ts';

/** Reads the journal of the earlier daemon; once, before anything is served. */
export function restore(
  front: Front,
  journal: { readonly lines: readonly string[]; readonly damaged: number },
  restored: () => void,
): void {
  const found = new Map<number, Survivor>();
  let { damaged } = journal;
  for (const text of journal.lines) if (!readLine(found, text)) damaged++;
  for (const survivor of found.values()) {
    if (damaged > 0) survivor.inherited.isWhole = false;
    sortUsers(survivor);
  }
  let searches = 1;
  const searched = (): void => {
    searches--;
    if (searches > 0) return;
    takeOver(front, [...found.values()], damaged);
    restored();
  };
  for (const survivor of found.values()) {
    for (const [name, { facts }] of survivor.holders) {
      searches++;
      front.findProcess({ pid: facts.pid, identity: facts.started }, (bound) => {
        if (bound === null) survivor.holders.delete(name);
        else survivor.holders.set(name, newHolder(facts, bound));
        searched();
      });
    }
  }
  searched();
}

/** Which of its leases are kept without a process, and which of its clients hold none. */
function sortUsers({ inherited, holders, leases }: Survivor): void {
  const users = new Map<string, { persistent: boolean }>();
  for (const [lease, { resource, persistent, holders: names }] of inherited.leases) {
    if (persistent) leases.set(lease, resource);
    for (const name of names) {
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
function takeOver(front: Front, found: readonly Survivor[], damaged: number): void {
  for (const survivor of found) {
    const { inherited, holders, space } = survivor;
    if (inherited.isLost && holders.size === 0) {
      const at = { nowMs: front.nowMs, isSettled: false };
      front.lost.push(lostLockspace(front.newLockspaceId(), space, at));
    }
    if (isAlive(survivor)) front.survivors.push({ ...survivor, id: front.newLockspaceId() });
  }
  for (const survivor of front.survivors) {
    const fields = { lockspace: survivor.space.name, pids: pidsText(survivor) };
    const resources = resourcesText(survivor);
    log(front, 'warn', 'holders.survived', { ...fields, resources });
  }
  if (damaged > 0) {
    front.journalState.holdersUnknown = true;
    log(front, 'error', 'holders.unknown', { places: damaged, advice: ADVICE });
  }
  rewrite(front);
}

/** A process of that time has ended. */
export function holderEnded(front: Front, ended: UserProcess): void {
  const before = front.survivors.length;
  for (const { holders } of front.survivors) {
    for (const [name, { client }] of [...holders])
      if (client.process === ended) holders.delete(name);
  }
  front.survivors = front.survivors.filter(isAlive);
  if (front.survivors.length < before) rewrite(front);
}
