import { type DaemonState, type Lockspace, log } from './state.ts';

/**
 * A VG that was lost and is not used here any more is started again by lvmlockd itself: storage
 * returns, and so does a lock manager. An order to stop or drop it, or another start, ends that.
 */

const FIRST_PAUSE_MS = 10_000;
const LONGEST_PAUSE_MS = 60_000;
/** A VG that was removed or renamed on another host does not come back. */
const RETURN_MS = 24 * 3_600_000;

/** The lockspace is left, because it was lost. */
export function willReturn(state: DaemonState, lockspace: Lockspace): void {
  if (state.quitting) return;
  const { vg, manager, hostId } = lockspace;
  const untilMs = state.nowMs + RETURN_MS;
  const nextMs = state.nowMs + FIRST_PAUSE_MS;
  const place = { ...vg, hostId };
  state.returning.set(vg.vgName, { manager, place, nextMs, pauseMs: FIRST_PAUSE_MS, untilMs });
  const advice = `lvmlockd starts it again by itself; lvmlockctl --drop ${vg.vgName} ends that`;
  log(state, 'warn', 'lockspace.returns', { vg: vg.vgName, advice });
}

/** The last attempt failed. */
export function triesAgain(state: DaemonState, vgName: string): boolean {
  const returning = state.returning.get(vgName);
  if (returning === undefined) return false;
  returning.pauseMs = Math.min(2 * returning.pauseMs, LONGEST_PAUSE_MS);
  returning.nextMs = state.nowMs + returning.pauseMs;
  return true;
}
