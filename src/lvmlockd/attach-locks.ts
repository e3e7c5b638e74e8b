import { continueStop } from './lockspace-end.ts';
import type { KnownLock, LostLock } from './managers/manager.ts';
import { changePhase } from './reattach.ts';
import { heldLock } from './resource.ts';
import { advanceResource } from './resource-effects.ts';
import { type DaemonState, type Lockspace, log, run } from './state.ts';
import { ofSpace } from './task-owner.ts';

/** Begins the attempts to attach locks that fell due in this step (lockspace-phase.ts). */
export function beginAttempts(state: DaemonState): void {
  for (const lockspace of state.lockspaces) {
    if (lockspace.attempt !== 'due') continue;
    const isWanted = lockspace.phase.kind === 'reattaching';
    lockspace.attempt = isWanted ? 'underWay' : 'none';
    if (isWanted) attempt(state, lockspace);
  }
}

function attempt(state: DaemonState, lockspace: Lockspace): void {
  const { space, manager } = lockspace;
  const held = lockspace.resources.flatMap((resource): readonly KnownLock[] => {
    // A lock that is being released has no owner here any more: its release is done again.
    const lock = resource.locks.length === 0 ? null : heldLock(resource);
    if (lock === null) return [];
    const { running } = resource;
    const isSteppingDown = running?.op === 'convert' && running.mode === 'sh';
    return [{ lock, isSteppingDown }];
  });
  run(state, ofSpace(lockspace), space.reattach(held, manager.patienceMs), (outcome) => {
    lockspace.attempt = 'none';
    if (lockspace.phase.kind === 'reattaching') {
      for (const lost of outcome.lost) loseLock(state, lockspace, lost);
    }
    changePhase(state, lockspace, { kind: 'attempted', found: outcome.found });
    continueStop(state, lockspace); // an order to stop waits for the attempt
  });
}

/** Another host owns it now: what used it here is without protection. */
function loseLock(state: DaemonState, lockspace: Lockspace, { lock, owner }: LostLock): void {
  const { vgName } = lockspace.vg;
  const { name, scope } = lock.resource;
  const fields = { vg: vgName, resource: name, mode: lock.mode, owner };
  const advice = scope === 'lv' ? { advice: 'deactivate it here at once' } : {};
  log(state, 'error', 'lock.lost', { ...fields, ...advice });
  const resource = lockspace.resources.find((one) => one.ref.name === name);
  // Released meanwhile: its client ended.
  if (resource === undefined || resource.locks.length === 0) return;
  advanceResource(state, lockspace, resource, { kind: 'lost' });
}
