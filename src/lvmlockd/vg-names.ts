import type { ByteString } from '../base/bytes.ts';
import type { LockManager } from './managers/manager.ts';
import { type DaemonState, log } from './state.ts';

/**
 * A VG's name becomes that of its lockspace, which has fewer bytes (spec 30 §4.1). lvm has a number
 * for each refusal and few sentences: the log says what is wrong with the name.
 */

const LONGEST_VG_NAME = 60;

/** `"lvm_" + VG name`, as in dumps; '' for a name that is too long. */
export function lockspaceName(vgName: ByteString): ByteString {
  const longest = 63;
  return vgName.length > LONGEST_VG_NAME ? '' : `lvm_${vgName}`.slice(0, longest);
}

/** No lockspace can have that name: said before anything is written. */
export function isTooLong(state: DaemonState, vgName: ByteString): boolean {
  if (lockspaceName(vgName) !== '') return false;
  const fields = { vg: vgName, bytes: vgName.length, longest: LONGEST_VG_NAME };
  log(state, 'error', 'vg.nameTooLong', { ...fields, advice: 'give the VG a shorter name' });
  return true;
}

/** A running lockspace that the lock manager could not distinguish from that VG's. */
export function hasClash(state: DaemonState, vgName: ByteString, manager: LockManager): boolean {
  const spaceName = manager.spaceName(vgName);
  const other = state.lockspaces.find(
    (one) => one.manager === manager && manager.spaceName(one.vg.vgName) === spaceName,
  );
  if (other === undefined) return false;
  const alsoIn = other.vg.vgName;
  if (alsoIn !== vgName) {
    const bytes = manager.traits.vgNameBytes;
    const advice = `rename one: the lock manager distinguishes VGs by the first ${bytes} bytes of the name`;
    log(state, 'error', 'vg.nameClash', { vg: vgName, alsoIn, advice });
  }
  return true;
}
