import type { ByteString } from '../base/bytes.ts';
import { LD_RESULT } from '../wire/lvmlockd/numbers.ts';
import { both, type ManagerSpace, type Outcome, type ResourceRef } from './managers/manager.ts';
import type { ManagerSteps } from './managers/steps.ts';
import type { Resource } from './resource.ts';

/**
 * What one command did under its exclusive VG lock. lvm 2.03.16 sends free_lv before it commits the
 * metadata, and a command that is refused later commits nothing: a lease freed at once would be
 * given to another LV while the first one still names it. So a lease is freed when the command
 * gives the VG lock back, and only if it has shown that the LV is gone (spec 31 §2).
 *
 *   lvremove a b (2.03.16)   free_lv a, lock_lv b refused, lock_vg un            a keeps its lease
 *   lvremove a b (2.03.16)   free_lv a, free_lv b, vg_update, lock_vg un          both are freed
 *   lvconvert to a pool      vg_update, free_lv data, lock_vg un                  freed
 *   lvcreate, not written    init_lv, free_lv, lock_vg un                         freed
 *   lvremove a b (2.03.28)   metadata committed, free_lv a, free_lv b, lock_vg un both are freed
 *   command or daemon dies   no lock_vg un                                        nothing is freed
 */
export interface VgHold {
  readonly clientId: number;
  /** vg_update requests so far: lvm sends one with each write of the metadata. */
  updates: number;
  /** Of LVs that got a lease under this lock: `updates` at that time. */
  readonly made: Map<ByteString, number>;
  /** By LV uuid: leases to be freed. */
  readonly frees: Map<ByteString, PendingFree>;
}

interface PendingFree {
  readonly lvLockArgs: ByteString;
  /** At the time of free_lv. */
  readonly updates: number;
  readonly command: ByteString;
  /** The command's lvm asks for it only after it has committed. */
  readonly isAfterCommit: boolean;
}

/** These of 2.03.16 write the metadata once, after the last LV. */
const COMMITS_LAST: ReadonlySet<ByteString> = new Set(['lvremove', 'vgremove']);

/** A lockspace, as far as its VG lock is concerned. */
interface VgLocked {
  readonly resources: readonly Resource[];
  vgHold: VgHold | null;
}

/** The record of the client's exclusive VG lock; null: it has none. */
export function holdOf(lockspace: VgLocked, clientId: number): VgHold | null {
  const vg = lockspace.resources.find((one) => one.ref.scope === 'vg');
  if (vg === undefined || !isHeldBy(vg, clientId)) return null;
  if (lockspace.vgHold?.clientId === clientId) return lockspace.vgHold;
  lockspace.vgHold = { clientId, updates: 0, made: new Map(), frees: new Map() };
  return lockspace.vgHold;
}

function isHeldBy(vg: Resource, clientId: number): boolean {
  return vg.locks.some((lock) => lock.clientId === clientId && lock.mode === 'ex');
}

/** The VG lock has ended in any way: what was not freed with it stays. @returns their number */
export function endHold(lockspace: VgLocked, vg: Resource): number {
  const hold = lockspace.vgHold;
  if (hold === null || vg.running?.op === 'unlock' || isHeldBy(vg, hold.clientId)) return 0;
  lockspace.vgHold = null;
  return hold.frees.size;
}

/** The LVs that are surely not in the metadata any more. */
export function freeable(hold: VgHold): readonly ResourceRef[] {
  const gone = [...hold.frees].filter(([lvUuid, free]) => isGone(hold, lvUuid, free));
  return gone.map(([name, { lvLockArgs }]) => ({ scope: 'lv', name, lvLockArgs }));
}

function isGone(hold: VgHold, lvUuid: ByteString, free: PendingFree): boolean {
  if (hold.updates > free.updates) return true; //         written without it after that
  const madeAt = hold.made.get(lvUuid);
  if (madeAt === free.updates && !free.isAfterCommit) return true; // never written with it
  if (free.isAfterCommit) return madeAt === undefined || free.command !== 'lvconvert';
  return madeAt === undefined && free.updates > 0 && !COMMITS_LAST.has(free.command);
}

/** Notes that the LV has got a lease under this lock. */
export function noteMade(hold: VgHold, lvUuid: ByteString): void {
  hold.made.set(lvUuid, hold.updates);
}

export interface FreedOutcome extends Outcome {
  readonly freed: readonly ByteString[];
  readonly notFreed: readonly { readonly lvUuid: ByteString; readonly result: number }[];
}

/**
 * Frees the leases, and then gives the VG lock back. A lease that cannot be freed stays an LV's,
 * and costs nothing but its slot. Without the lock manager or its storage the others are not tried:
 * lvm and the other hosts wait for the VG lock.
 */
export function* freeThenUnlock(
  space: ManagerSpace,
  frees: readonly ResourceRef[],
  unlock: () => ManagerSteps<Outcome>,
): ManagerSteps<FreedOutcome> {
  const freed: ByteString[] = [];
  const notFreed: { lvUuid: ByteString; result: number }[] = [];
  let stoppedBy = 0;
  for (const ref of frees) {
    const outcome: Outcome = stoppedBy === 0 ? yield* space.freeLv(ref) : both(stoppedBy);
    const { result } = outcome;
    if (outcome.interrupted === true) return { ...outcome, freed, notFreed: [] };
    if (result === 0) freed.push(ref.name);
    else notFreed.push({ lvUuid: ref.name, result });
    if (result !== 0 && !ONLY_THIS.has(result)) stoppedBy = result;
  }
  return { ...(yield* unlock()), freed, notFreed };
}

const ONLY_THIS: ReadonlySet<number> = new Set([LD_RESULT.BUSY, LD_RESULT.INVAL]);
