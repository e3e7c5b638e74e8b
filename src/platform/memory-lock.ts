import { readFileSync } from 'node:fs';
import { errnoName } from './errno.ts';
import { lastErrno, rawSyscall } from './system-calls.ts';

const MLOCK2 = process.arch === 'arm64' ? 284 : 325;
const MLOCK_ONFAULT = 1; // pages in use now, the others as they come: locking all multiplies memory
const AGAIN_MS = 60_000;

interface Mapping {
  readonly start: number;
  readonly end: number;
  readonly permissions: string;
  /** '' for memory without a file, where V8 keeps heap and code. */
  readonly file: string;
}

/**
 * Keeps what is read from files, program text above all, out of reach of a hung disk.
 *
 * Not by mlockall, and not V8's memory: V8 gives back parts of heap and code with madvise, which
 * the kernel refuses for locked pages, and V8 then aborts the process. That memory has no file; it
 * could only leave for a swap device.
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
    const { start, end } = mapping;
    if (Number(rawSyscall(MLOCK2, start, end - start, MLOCK_ONFAULT, 0, 0)) < 0) {
      return errnoName(lastErrno());
    }
  }
  return null;
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

/** `7f1c00000000-7f1c00021000 rw-p 00000000 00:00 0   [name or path]` */
function parseMapping(line: string): Mapping | null {
  const match = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \d+\s*(.*)$/.exec(line);
  if (match === null) return null;
  const [, start = '', end = '', permissions = '', file = ''] = match;
  return { start: Number.parseInt(start, 16), end: Number.parseInt(end, 16), permissions, file };
}
