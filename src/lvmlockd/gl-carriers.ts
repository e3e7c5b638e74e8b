import type { ByteString } from '../base/bytes.ts';
import { isInUse, isJoined } from './lockspace-phase.ts';
import type { DaemonState, Lockspace } from './state.ts';

/** The lockspaces that carry an enabled global lock, as far as this host knows (decision 0023). */

/** By VG name: every host locks them in this order. */
export function glCarriers({ lockspaces, clients }: DaemonState): readonly Lockspace[] {
  const all = inOrder(lockspaces.filter((one) => one.glEnabled && isJoined(one.phase)));
  // While it moves, it is enabled in two: the one that is freed counts until the other one has it.
  const staying = all.filter(({ glMovedBy }) => !clients.has(glMovedBy));
  return staying.length > 0 ? staying : all;
}

/** Where a lock_gl has to be taken: in all of them. One that is being left counts if it is alone. */
export function glPlaces(state: DaemonState): readonly Lockspace[] {
  const carriers = glCarriers(state);
  const inUse = carriers.filter(({ phase }) => isInUse(phase));
  if (inUse.length > 0) return inUse;
  if (carriers.length > 0) return carriers;
  const expected = state.lockspaces.find((one) => one.glExpected);
  return expected === undefined ? [] : [expected];
}

export function isGlKnown(state: DaemonState): boolean {
  return state.lockspaces.some(({ glEnabled, glExpected }) => glEnabled || glExpected);
}

/** Two VGs carry an enabled one, where one should. */
export function hasDuplicateGl(state: DaemonState): boolean {
  return glCarriers(state).length > 1;
}

export function inOrder(lockspaces: readonly Lockspace[]): readonly Lockspace[] {
  return [...lockspaces].sort((one, other) => compare(one.vg.vgName, other.vg.vgName));
}

function compare(one: ByteString, other: ByteString): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
