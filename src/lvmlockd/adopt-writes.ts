import { adoptText } from './adopt.ts';
import type { DaemonState } from './state.ts';

/**
 * When the adopt file is written after LVs were locked: at once, where it is short. Of hundreds of
 * LVs that are activated in a row each would write the facts of all before it anew, so those that
 * come within a pause are written together. A lock that is missing in it is found in the lock
 * manager.
 */

const FEW = 16;
const PAUSE_MS = 100;

/** An LV was locked. */
export function noteGrants(state: DaemonState): void {
  state.adoptWrites.isDue = true;
  const known = state.lockspaces.reduce((sum, { resources }) => sum + resources.length, 0);
  if (known <= FEW) writeAdoptFile(state);
  else writeWhenDue(state);
}

/** Also after a pause, by the tick. */
export function writeWhenDue(state: DaemonState): void {
  const { isDue, notBeforeMs } = state.adoptWrites;
  if (isDue && state.nowMs >= notBeforeMs) writeAdoptFile(state);
}

/** At once: VGs have come or gone, or this lvmlockd is about to end. */
export function writeAdoptFile(state: DaemonState): void {
  state.adoptWrites.isDue = false;
  state.adoptWrites.notBeforeMs = state.nowMs + PAUSE_MS;
  state.effects.push({ kind: 'adoptFile', text: adoptText(state) });
}

/** null: nothing waits to be written. */
export function adoptWriteDueMs({ adoptWrites }: DaemonState): number | null {
  return adoptWrites.isDue ? adoptWrites.notBeforeMs : null;
}
