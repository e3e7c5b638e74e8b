import { readFileSync } from 'node:fs';
import { ERRNO, errnoName } from '../base/errno.ts';
import { type Mapping, parseMapping } from './mappings.ts';
import { lastErrno, rawSyscall } from './system-calls.ts';

const ARM = process.arch === 'arm64';
const MLOCK = ARM ? 228 : 149;
const MLOCK2 = ARM ? 284 : 325;
const MADVISE = ARM ? 233 : 28;
const MLOCK_ONFAULT = 1;
const MADV_POPULATE_READ = 22; // Linux 5.14
const AGAIN_MS = 60_000;

/**
 * Reads everything that comes from files, program text above all, and keeps it in memory: what is
 * not there is read again just when it is needed, from a disk that may be slow or hung. Pages of
 * one file are in memory once a machine, however many processes lock them.
 *
 * Not by mlockall, and not V8's memory: V8 releases parts of heap and code with madvise, which
 * the kernel refuses for locked pages, and V8 then aborts the process. That memory has no file; it
 * can only leave for a swap device (see `maySwap`).
 *
 * @param level 0 nothing, 1 what is mapped now, 2 again every minute what was mapped meanwhile.
 * @returns null, or why not.
 */
export function lockMemory(level: 0 | 1 | 2): string | null {
  if (level === 0) return null;
  const reason = lockMappings();
  if (level === 2 && reason === null) setInterval(lockMappings, AGAIN_MS).unref();
  return reason;
}

function lockMappings(): string | null {
  for (const mapping of lockableMappings(readFileSync('/proc/self/maps', 'latin1'))) {
    const errno = lockMapping(mapping);
    if (errno !== 0) return `${errnoName(errno)} for ${mapping.file}`;
  }
  return null;
}

/**
 * Locked first and then read, not both at once by mlock: that would also make a private copy of
 * each page that could be written, in every process.
 * @returns 0 or the errno.
 */
function lockMapping({ start, end, file }: Mapping): number {
  const bytes = end - start;
  if (Number(rawSyscall(MLOCK2, start, bytes, MLOCK_ONFAULT, 0, 0)) < 0) return lastErrno();
  if (!file.startsWith('/')) return 0; // malloc's heap and the stack: what is in use
  if (Number(rawSyscall(MADVISE, start, bytes, MADV_POPULATE_READ, 0, 0)) >= 0) return 0;
  const errno = lastErrno();
  if (errno !== ERRNO.EINVAL) return errno;
  return Number(rawSyscall(MLOCK, start, bytes, 0, 0, 0)) < 0 ? lastErrno() : 0;
}

/**
 * Whether memory without a file may leave for a swap device: one is in use, and our control group
 * (v2) does not forbid it.
 */
export function maySwap(): boolean {
  const swaps = readOrEmpty('/proc/swaps').trim().split('\n');
  if (swaps.length < 2) return false; // its headline alone
  const group = /^0::(.+)$/m.exec(readOrEmpty('/proc/self/cgroup'))?.[1] ?? '/';
  return readOrEmpty(`/sys/fs/cgroup${group}/memory.swap.max`).trim() !== '0';
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

/** Mappings of files, malloc's heap and the stack; not the kernel's own, nor reserved room. */
export function lockableMappings(maps: string): readonly Mapping[] {
  const lockable: Mapping[] = [];
  for (const line of maps.split('\n')) {
    const mapping = parseMapping(line);
    if (mapping === null || mapping.file === '' || mapping.file.startsWith('[v')) continue;
    if (!mapping.permissions.startsWith('---')) lockable.push(mapping);
  }
  return lockable;
}
