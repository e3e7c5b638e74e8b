import { log } from './effects.ts';
import type { Front } from './front.ts';
import { resourcesText, type Survivor } from './survivors.ts';

/**
 * Persistent leases of an earlier daemon are kept until an administrator releases them: a daemon
 * that keeps some does not end, forced or not. While it waited for their end it would serve no
 * request, that of the administrator included. Logs what to do.
 */
export function keepsLeases(front: Front): boolean {
  const kept = front.survivors.filter(({ leases }) => leases.size > 0);
  for (const survivor of kept) log(front, 'error', 'daemon.keepsLeases', keptFields(survivor));
  return kept.length > 0;
}

/** Why the lockspace is not joined, and what to do. */
export function logKeptLeases(front: Front, survivor: Survivor): void {
  log(front, 'error', 'lockspace.keptLeases', keptFields(survivor));
}

/** For the log. */
export function keptFields(survivor: Survivor) {
  const { name: lockspace } = survivor.space;
  return { lockspace, resources: resourcesText(survivor), advice: adviceOf(survivor) };
}

/** What an administrator can do. */
function adviceOf({ space }: Survivor): string {
  const { name, hostId, path, offset } = space;
  return (
    'deactivate here what uses these leases (lvchange -an), then lvmlockctl --drop VG, or without ' +
    `lvmlockd: sanlock client rem_lockspace -s ${name}:${hostId}:${path}:${offset}`
  );
}
