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
  /** '' for anonymous memory, where V8 keeps heaps and code. */
  readonly file: string;
}

/**
 * Keeps our memory out of reach of a hung disk, program text above all. Not by mlockall: V8 gives
 * back pages of its code range with madvise, which the kernel refuses for locked memory, and then
 * V8 aborts the process. So everything is locked but that range.
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

/** All mappings except runs of anonymous ones that hold code or room reserved for it. */
export function lockableMappings(maps: string): readonly Mapping[] {
  const lockable: Mapping[] = [];
  let run: Mapping[] = [];
  const endRun = () => {
    const isCode = run.some((one) => one.permissions.includes('x') || isReserved(one));
    if (!isCode) lockable.push(...run);
    run = [];
  };
  for (const line of maps.split('\n')) {
    const mapping = parseMapping(line);
    if (mapping === null) continue;
    const continues = mapping.file === '' && run.at(-1)?.end === mapping.start;
    if (!continues) endRun();
    if (mapping.file === '') run.push(mapping);
    else if (!isReserved(mapping) && !mapping.file.startsWith('[v')) lockable.push(mapping);
  }
  endRun();
  return lockable;
}

function isReserved(mapping: Mapping): boolean {
  return mapping.permissions.startsWith('---');
}

/** `7f1c00000000-7f1c00021000 rw-p 00000000 00:00 0   [name or path]` */
function parseMapping(line: string): Mapping | null {
  const match = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \d+\s*(.*)$/.exec(line);
  if (match === null) return null;
  const [, start = '', end = '', permissions = '', file = ''] = match;
  return { start: Number.parseInt(start, 16), end: Number.parseInt(end, 16), permissions, file };
}
