import type { Front } from './front.ts';
import type { Usage } from './lockspace-events.ts';
import { stop } from './signals.ts';
import type { Client, Lockspace, Resource } from './state.ts';

const MAX_KILL_ATTEMPTS = 100;

/** What uses a lockspace at this moment. */
export function usageOf(front: Front, space: Lockspace): Usage {
  return {
    byProcesses: isUsedByProcesses(front, space),
    byOrphans: space.usedByOrphans && hasOrphans(front, space),
    external: space.used,
  };
}

function isUsedByProcesses(front: Front, space: Lockspace): boolean {
  for (const client of front.clients.values()) if (uses(client, space)) return true;
  return false;
}

/** A registered process that holds something in the lockspace. */
function uses({ tokens }: Client, space: Lockspace): boolean {
  for (const { resource } of tokens) if (resource.lockspace === space) return true;
  return false;
}

function hasOrphans(front: Front, space: Lockspace): boolean {
  return front.resources.some((one) => one.lockspace === space && isOrphan(one));
}

/** One that is recovered is an orphan until the disk says otherwise. */
function isOrphan({ state, orphaned, holders }: Resource): boolean {
  return state === 'orphan' || (state === 'recovering' && orphaned && holders.length === 0);
}

/** One attempt for each process, at most once a second, and a hundred times. */
export function stopUsers(
  front: Front,
  space: Lockspace,
  how: { readonly removal: boolean },
): void {
  const { removal } = how;
  const inGrace = front.inGrace(space, space.ioTimeoutS);
  for (const client of front.clients.values()) {
    if (!uses(client, space)) continue;
    if (client.killCount >= MAX_KILL_ATTEMPTS || client.killLastS === front.nowS) continue;
    client.killCount++;
    client.killLastS = front.nowS;
    stop(front, client, { removal, inGrace });
  }
}
