import { withoutDashes } from './adopt-locks.ts';
import type { LockManager } from './managers/manager.ts';
import type { Resource } from './resource.ts';
import { unlockUnasked } from './resource-effects.ts';
import { type DaemonState, type Lockspace, log, run } from './state.ts';
import { ofSpace } from './task-owner.ts';

/** A command needs so long at most from the lock to the activation, if its storage answers. */
const UNUSED_AFTER_MS = 30_000;

/**
 * So long after a lock was adopted its LV is active, or will never be: the command that locked it
 * for the earlier lvmlockd has activated it, or ended. It may have hung on its storage meanwhile;
 * if that hangs for longer than a lock manager bears (sanlock: 8·t), the VG is lost.
 */
export function unusedAfterMs({ patienceMs }: LockManager): number {
  return patienceMs + UNUSED_AFTER_MS;
}

/**
 * Releases adopted locks that no command has named since and whose LV is not active. While other
 * LVs are active whose lock is not here, they may be parts of such an LV: a check of a thin pool's
 * metadata takes minutes before the pool itself is active. Then it is looked again later.
 */
export function releaseUnused(state: DaemonState, lockspace: Lockspace): void {
  run(state, ofSpace(lockspace), lockspace.space.activeLvs(), (active) => {
    if (active === null || lockspace.phase.kind !== 'running') return;
    const isActive = new Set(active);
    const unused: Resource[] = [];
    for (const resource of lockspace.resources) {
      const { ref, locks, lastClientId, actions } = resource;
      const isHere = isActive.delete(withoutDashes(ref.name));
      const isAdopted = lastClientId === 0 && locks.some(({ clientId }) => clientId === 0);
      if (isAdopted && actions.length === 0 && !isHere) unused.push(resource);
    }
    if (unused.length > 0 && isActive.size > 0) {
      lockspace.checkMs = state.nowMs + UNUSED_AFTER_MS;
      return;
    }
    for (const resource of unused) {
      const { name } = resource.ref;
      log(state, 'warn', 'orphan.released', { vg: lockspace.vg.vgName, resource: name });
      unlockUnasked(state, lockspace, resource, 0);
    }
  });
}
