import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { MIB } from '../base/units.ts';

const MAX_PROGRAM_BYTES = 16 * MIB; // lvm has 3 MiB
/** A message in the program's file, of the function that keeps leases back until the commit. */
const QUEUES_FREES = 'lockd_free_lv_queue';

/** Words of its message when a lease's storage was too slow. */
const KNOWS_IO_TIMEOUT = 'lock failed: io timeout';

/** By device, inode, time of change and message: each program file is read once for each. */
const known = new Map<string, boolean>();
const MAX_KNOWN = 16;

/**
 * Since 2.03.28 lvm frees the leases of removed LVs after it has committed the metadata; before, it
 * freed them first. The requests look the same, so the program's file tells (spec 31 §2).
 * false: an earlier lvm, another program, or not known.
 */
export function lvmFreesAfterCommit(pid: number | null): boolean {
  return pid !== null && queuesFrees(`/proc/${pid}/exe`);
}

export function queuesFrees(path: string): boolean {
  return hasText(path, QUEUES_FREES);
}

/**
 * Newer lvm repeats a lock request that was answered with −225 (the storage was too slow), as every
 * lvm does with −11; 2.03.16 fails at once. false: an earlier lvm, another program, or not known.
 */
export function lvmRetriesIoTimeout(pid: number | null): boolean {
  return pid !== null && hasText(`/proc/${pid}/exe`, KNOWS_IO_TIMEOUT);
}

function hasText(path: string, text: string): boolean {
  try {
    const fd = openSync(path, 'r');
    try {
      const { dev, ino, mtimeMs, size } = fstatSync(fd);
      const key = `${dev} ${ino} ${mtimeMs} ${size} ${text}`;
      const answer = known.get(key) ?? (size <= MAX_PROGRAM_BYTES && contains(fd, size, text));
      if (known.size >= MAX_KNOWN) known.clear();
      known.set(key, answer);
      return answer;
    } finally {
      closeSync(fd);
    }
  } catch {
    return false; // gone already
  }
}

function contains(fd: number, size: number, text: string): boolean {
  const program = Buffer.alloc(size);
  const read = readSync(fd, program, 0, size, 0);
  return program.subarray(0, read).includes(text);
}
