import { unreachable } from '../base/assert.ts';
import { log } from './effects.ts';
import type { Front } from './front.ts';
import { rewrite } from './holder-journal.ts';
import { parseHolderLine } from './holder-lines.ts';
import {
  isAlive,
  newHolder,
  newSurvivor,
  pidsText,
  resourcesText,
  type Survivor,
} from './survivors.ts';
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

/** All their processes have been searched for. */
function takeOver(front: Front, found: readonly Survivor[], damaged: number): void {
  for (const survivor of found) {
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

/** false: the line has no meaning, so what it was to record is unknown. */
function readLine(found: Map<number, Survivor>, text: string): boolean {
  const line = parseHolderLine(text);
  if (line === null || line.kind === 'unknown') return false;
  if (line.kind === 'space') {
    const { kind: _, id, ...space } = line;
    found.set(id, newSurvivor(id, space));
    return true;
  }
  const survivor = found.get(line.id);
  if (survivor === undefined) return line.kind !== 'holds' && line.kind !== 'lease'; // of which?
  switch (line.kind) {
    case 'renewed': {
      const { timestampS: lastSuccessS, claimedBootMs, generation } = line;
      found.set(line.id, { ...survivor, lastSuccessS, claimedBootMs, generation });
      return true;
    }
    case 'free':
      survivor.holders.delete(line.holder);
      return true;
    case 'lease':
      survivor.leases.set(line.lease, line.resource);
      return true;
    case 'given':
      survivor.leases.delete(line.lease);
      return true;
    case 'left':
      survivor.leases.clear();
      return true;
    case 'holds': {
      const { kind: _, id: __, ...facts } = line;
      survivor.holders.set(facts.holder, newHolder(facts, null));
      return true;
    }
    default:
      return unreachable(line);
  }
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
