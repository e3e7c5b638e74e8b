import { withoutDashes } from './adopt-locks.ts';
import { unlockUnasked } from './resource-effects.ts';
import { type DaemonState, type Lockspace, log, run } from './state.ts';
import { ofSpace } from './task-owner.ts';

/**
 * So long after a lock was adopted its LV is active, or will never be: the command that locked it
 * has activated it, or ended with the earlier lvmlockd.
 */
export const UNUSED_AFTER_MS = 30_000;

/** Releases adopted locks that no command has named since and whose LV is not active. */
export function releaseUnused(state: DaemonState, lockspace: Lockspace): void {
  run(state, ofSpace(lockspace), lockspace.space.activeLvs(), (active) => {
    if (active === null || lockspace.phase.kind !== 'running') return;
    const isActive = new Set(active);
    for (const resource of [...lockspace.resources]) {
      const { ref, locks, lastClientId, actions } = resource;
      const isAdopted = lastClientId === 0 && locks.some(({ clientId }) => clientId === 0);
      if (!isAdopted || actions.length > 0 || isActive.has(withoutDashes(ref.name))) continue;
      log(state, 'warn', 'orphan.released', { vg: lockspace.vg.vgName, resource: ref.name });
      unlockUnasked(state, lockspace, resource, 0);
    }
  });
}
