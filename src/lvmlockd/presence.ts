import { beginsToHear } from './inspections.ts';
import { changePhase } from './reattach.ts';
import { type DaemonState, type Lockspace, run } from './state.ts';
import { ofSpace } from './task-owner.ts';

/**
 * A lockspace that the lock manager does not have any more, though lvmlockd started it: somebody
 * removed it, or its storage was lost while nobody held a lock. A channel tells that at once, and
 * where there is none it is asked for again each WATCH_AGAIN_MS.
 */

export const WATCH_AGAIN_MS = 10_000;

/** From the join on, and after each end of the channel. */
function watchPresence(state: DaemonState, lockspace: Lockspace): void {
  lockspace.watchMs = null;
  lockspace.watchNumber += 1;
  const number = lockspace.watchNumber;
  run(state, ofSpace(lockspace), lockspace.space.watch(), (found) => {
    if (number !== lockspace.watchNumber) return;
    if (found === 'unwatched') lockspace.watchMs = state.nowMs + WATCH_AGAIN_MS;
    if (found === 'watching') beginsToHear(state, lockspace);
    if (found === 'absent') changePhase(state, lockspace, { kind: 'missing' });
  });
}

/** Begins what has fallen due, at the end of a step. */
export function beginWatches(state: DaemonState): void {
  for (const lockspace of state.lockspaces) {
    const { phase, watchMs } = lockspace;
    const isDue = watchMs !== null && watchMs <= state.nowMs;
    if (isDue && phase.kind === 'running') watchPresence(state, lockspace);
  }
}

/** The channel has ended: with the lockspace, or with the lock manager (then `sessionLost` too). */
export function watchEnded(state: DaemonState, lockspace: Lockspace): void {
  if (lockspace.phase.kind === 'running') watchPresence(state, lockspace);
}

/** The session is lost: what the lock manager says meanwhile is about its own start. */
export function stopWatching(lockspace: Lockspace): void {
  lockspace.watchMs = null;
  lockspace.watchNumber += 1;
}
