import { type Backoff, nextPauseMs } from '../base/backoff.ts';
import { type DaemonState, type Lockspace, log } from './state.ts';

/**
 * A VG that was lost and is not used here any more is started again by lvmlockd itself: storage
 * returns, and so does a lock manager. An order to stop or drop it, or another start, ends that.
 */

const BACKOFF: Backoff = { firstMs: 10_000, longestMs: 60_000 };
/** A VG that was removed or renamed on another host does not come back. */
const RETURN_MS = 24 * 3_600_000;

/** To the first attempt: the storage of its locks was lost, and may be back soon. */
export const STORAGE_RETURN_MS = BACKOFF.firstMs;
/** The same where the lock manager is there: not before one that is about to end has ended. */
export const MANAGER_RETURN_MS = 1000;

/** The lockspace is left, because it was lost. */
export function willReturn(state: DaemonState, lockspace: Lockspace, firstMs: number): void {
  if (state.quitting) return;
  const { vg, manager, hostId } = lockspace;
  const untilMs = state.nowMs + RETURN_MS;
  const nextMs = state.nowMs + firstMs;
  const place = { ...vg, hostId };
  const pauseMs = firstMs;
  state.returning.set(vg.vgName, {
    manager,
    place,
    nextMs,
    pauseMs,
    result: 0,
    cutOff: 0,
    untilMs,
  });
  const advice = `lvmlockd starts it again by itself; lvmlockctl --drop ${vg.vgName} ends that`;
  log(state, 'warn', 'lockspace.returns', { vg: vg.vgName, advice });
}

/** An attempt failed. `result`: of LD_RESULT. */
export function triesAgain(state: DaemonState, vgName: string, result: number): boolean {
  const returning = state.returning.get(vgName);
  if (returning === undefined) return false;
  returning.result = result;
  returning.pauseMs = nextPauseMs(BACKOFF, returning.pauseMs);
  returning.nextMs = state.nowMs + returning.pauseMs;
  return true;
}
