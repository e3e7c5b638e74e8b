import { closeSync, constants, fchownSync, fstatSync, openSync, readSync } from 'node:fs';
import { decode } from '../../../codec/struct.ts';
import { DELTA_DISK_MAGIC, deltaLeader } from '../../../format/leader.ts';
import { reasonOf } from '../../../platform/system-error.ts';

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
const RECORD_BYTES = 512;

/**
 * Gives a file with a lockspace to the user of sanlock. Whoever may talk to sanlock may have named
 * the path: a link, a file with other names, or one with something else in it stays as it is.
 * @returns a sentence: why it was not done; null: it was
 */
export function giveFile(
  path: string,
  to: { readonly offsetBytes: number; readonly uid: number; readonly gid: number },
): string | null {
  try {
    const fd = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      const stats = fstatSync(fd);
      if (!stats.isFile() || stats.nlink !== 1) return `${path} is no plain file of one name`;
      if (!hasLockspace(fd, to.offsetBytes)) return `${path} has no lockspace`;
      fchownSync(fd, to.uid, to.gid);
      return null;
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    return `${path} cannot be given away: ${reasonOf(error)}`;
  }
}

function hasLockspace(fd: number, offset: number): boolean {
  const bytes = new Uint8Array(RECORD_BYTES);
  const length = readSync(fd, bytes, 0, RECORD_BYTES, offset);
  return length === RECORD_BYTES && decode(deltaLeader, bytes).magic === DELTA_DISK_MAGIC;
}
