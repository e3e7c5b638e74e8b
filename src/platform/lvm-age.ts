import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { MIB } from '../base/units.ts';

const MAX_PROGRAM_BYTES = 16 * MIB; // lvm has 3 MiB
/** A message in the program's file, of the function that keeps leases back until the commit. */
const QUEUES_FREES = 'lockd_free_lv_queue';

/** By device, inode and time of change: each program file is read once. */
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
  try {
    const fd = openSync(path, 'r');
    try {
      const { dev, ino, mtimeMs, size } = fstatSync(fd);
      const key = `${dev} ${ino} ${mtimeMs} ${size}`;
      const answer = known.get(key) ?? (size <= MAX_PROGRAM_BYTES && contains(fd, size));
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

function contains(fd: number, size: number): boolean {
  const program = Buffer.alloc(size);
  const read = readSync(fd, program, 0, size, 0);
  return program.subarray(0, read).includes(QUEUES_FREES);
}
