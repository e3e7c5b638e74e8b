import { unreachable } from '../base/assert.ts';
import type { Front } from './front.ts';
import { rewrite } from './holder-journal.ts';
import { type HolderFacts, parseHolderLine } from './holder-lines.ts';
import type { Client } from './state.ts';
import {
  isAlive,
  newHolder,
  newSurvivor,
  pidsText,
  resourcesText,
  type SurvivingHolder,
  type Survivor,
} from './survivors.ts';
import { GO_ON } from './survivors-join.ts';

/** Reads the journal of the earlier daemon; once, before anything is served. */
export function restore(
  front: Front,
  journal: { readonly lines: readonly string[]; readonly damaged: number },
): void {
  const found = new Map<number, Survivor>();
  let { damaged } = journal;
  for (const text of journal.lines) if (!readLine(found, text)) damaged++;
  for (const survivor of found.values()) {
    for (const [name, { facts }] of [...survivor.holders]) {
      const holder = findHolder(front, facts);
      if (holder === null) survivor.holders.delete(name);
      else survivor.holders.set(name, holder);
    }
    if (isAlive(survivor)) front.survivors.push({ ...survivor, id: front.newLockspaceId() });
  }
  for (const survivor of front.survivors) {
    const fields = { lockspace: survivor.space.name, pids: pidsText(survivor) };
    const resources = resourcesText(survivor);
    front.outside.log('warn', 'holders.survived', { ...fields, resources });
  }
  if (damaged > 0) {
    front.holdersUnknown = true;
    front.outside.log('error', 'holders.unknown', { places: damaged, goOn: GO_ON });
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

/** The very process of that time, watched until it ends; null: it has ended. */
function findHolder(front: Front, facts: HolderFacts): SurvivingHolder | null {
  const { pid, started } = facts;
  const bound = front.outside.findProcess(pid, started, () => forgetHolder(front, holder.client));
  const holder = newHolder(facts, bound);
  return bound === null ? null : holder;
}

function forgetHolder(front: Front, ended: Client): void {
  const before = front.survivors.length;
  for (const { holders } of front.survivors) {
    for (const [name, { client }] of [...holders]) if (client === ended) holders.delete(name);
  }
  front.survivors = front.survivors.filter(isAlive);
  if (front.survivors.length < before) rewrite(front);
}
