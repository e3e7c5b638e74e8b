import { LD_LM } from '../../wire/lvmlockd/numbers.ts';
import type { LockType, ManagedLockType } from '../../wire/lvmlockd/requests.ts';
import type { LockManager } from './manager.ts';

/** The lock managers that are built in, in the order in which one is chosen. */
export type Managers = ReadonlyMap<ManagedLockType, LockManager>;

const ORDER: readonly ManagedLockType[] = ['dlm', 'sanlock', 'idm'];

export function registryOf(...managers: readonly LockManager[]): Managers {
  const rank = ({ lockType }: LockManager) => ORDER.indexOf(lockType);
  const ordered = [...managers].sort((one, other) => rank(one) - rank(other));
  return new Map(ordered.map((manager) => [manager.lockType, manager]));
}

/** Does the lock type of a request name a lock manager, built in or not? */
export function isManaged(lockType: LockType): lockType is ManagedLockType {
  return lockType !== 'none' && lockType !== 'unknown';
}

/** What `running_lm` answers for a lock manager. */
export function numberOf({ lockType }: LockManager): number {
  return { dlm: LD_LM.DLM, sanlock: LD_LM.SANLOCK, idm: LD_LM.IDM }[lockType];
}
