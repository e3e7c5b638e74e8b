import type { ByteString } from '../base/bytes.ts';
import { LONGEST_VG_NAME, lockspaceName, type ManagerKind } from './managers/manager.ts';
import { type DaemonState, log, manager } from './state.ts';

/**
 * A VG's name becomes that of its lockspace, which has fewer bytes (spec 30 §4.1). lvm has a number
 * for each refusal and few sentences: what is wrong with the name stands in the log.
 */

/** No lockspace can have that name: said before anything is written. */
export function isTooLong(state: DaemonState, vgName: ByteString): boolean {
  if (lockspaceName(vgName) !== '') return false;
  const fields = { vg: vgName, bytes: vgName.length, longest: LONGEST_VG_NAME };
  log(state, 'error', 'vg.nameTooLong', { ...fields, advice: 'give the VG a shorter name' });
  return true;
}

/** A running lockspace that the lock manager could not tell from that VG's. */
export function hasClash(state: DaemonState, vgName: ByteString, lockType: ManagerKind): boolean {
  const lockManager = manager(state, lockType);
  const other = state.lockspaces.find(
    (one) => one.lockType === lockType && lockManager.sameSpace(one.vg.vgName, vgName),
  );
  if (other === undefined) return false;
  const alsoIn = other.vg.vgName;
  if (alsoIn !== vgName) {
    const advice = 'rename one: the lock manager tells VGs apart by the first 44 bytes of the name';
    log(state, 'error', 'vg.nameClash', { vg: vgName, alsoIn, advice });
  }
  return true;
}
