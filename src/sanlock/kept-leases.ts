import { log } from './effects.ts';
import type { Front } from './front.ts';
import { isUndecided } from './survivor-step.ts';
import { hasPersistent, resourcesText, type Survivor } from './survivors.ts';

/**
 * The lockspace of an earlier daemon is kept until an administrator decides: it could not be handed
 * over, and has leases whose users are no processes, or leases that the journal does not name.
 */
export function isKept(survivor: Survivor): boolean {
  const { phase } = survivor;
  return phase.kind === 'keeping' || (!isUndecided(phase) && hasPersistent(survivor));
}

/**
 * A daemon that keeps some does not end, forced or not. While it waited for their end it would
 * serve no request, that of the administrator included. Logs what to do.
 */
export function keepsLeases(front: Front): boolean {
  const kept = front.survivors.filter(isKept);
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
