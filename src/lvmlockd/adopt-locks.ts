import type { ByteString } from '../base/bytes.ts';
import type { AdoptedLock, JoinOutcome, ManagerSpace, ResourceRef } from './managers/manager.ts';
import type { ManagerSteps } from './managers/steps.ts';

/**
 * After a join: the locks of an earlier lvmlockd, compared with the LVs that are active here. What
 * the lock manager has as an orphan is held, be its LV active or not: lvm may be about to activate
 * it. An LV that is active without a lock is locked again, if another host lets it.
 */

export interface JoinedLocks {
  readonly joined: JoinOutcome;
  /** To be held from now on; `isRetaken`: the lock manager had it no more. */
  readonly locks: readonly (AdoptedLock & { readonly isRetaken: boolean })[];
  /** LVs that are active here and whose lock this host could not get. */
  readonly unlocked: readonly { readonly name: ByteString; readonly result: number | null }[];
}

/** `remembered`: from the adopt file. */
export function* joinWithLocks(
  space: ManagerSpace,
  adopt: boolean,
  remembered: readonly AdoptedLock[],
): ManagerSteps<JoinedLocks> {
  const joined = yield* space.join(adopt);
  const locks = joined.adopted.map((lock) => ({ ...lock, isRetaken: false }));
  const unlocked: { name: ByteString; result: number | null }[] = [];
  const active = joined.result === 0 ? yield* space.activeLvs() : null;
  if (active === null) return { joined, locks, unlocked };
  const left = new Set(active);
  for (const { resource } of locks) left.delete(withoutDashes(resource.name));
  for (const name of joined.notAdopted) left.delete(withoutDashes(name));
  for (const { resource, mode } of remembered) {
    if (!left.delete(withoutDashes(resource.name))) continue;
    const { result } = yield* space.lock(resource, mode, false);
    if (result === 0) locks.push({ resource, mode, isRetaken: true });
    else unlocked.push({ name: resource.name, result });
  }
  // Hidden LVs have no lock of their own, and which mode was meant for another one is not known.
  const leased: readonly ResourceRef[] = left.size === 0 ? [] : yield* space.leasedLvs();
  for (const { name } of leased) {
    if (left.has(withoutDashes(name))) unlocked.push({ name, result: null });
  }
  return { joined, locks, unlocked };
}

/** As device-mapper writes an LV's uuid. */
export function withoutDashes(lvUuid: ByteString): ByteString {
  return lvUuid.replaceAll('-', '');
}
