import { join } from 'node:path';
import { SECOND_MS } from '../base/units.ts';
import { identityOf, signalNamed } from './kernel-process.ts';
import { textOf } from './text-file.ts';

/** Daemons that run guests of QEMU: libvirt's one for all, and that of its own. */
const PROGRAMS = ['libvirtd', 'virtqemud'] as const;
const SIGHUP = 1;
const TICKS_PER_SECOND = 100; // USER_HZ, of every Linux
/** Field 22 of proc(5), behind the name. */
const STARTTIME_FIELD = 19;

export interface RunningLibvirt {
  readonly program: (typeof PROGRAMS)[number];
  readonly pid: number;
  /** Tells it from a later process of this pid. */
  readonly identity: string;
  /** Wall time; null: not known. */
  readonly startedMs: number | null;
}

/** By their pid files; one whose process has another program is of a daemon that has ended. */
export function findLibvirtDaemons(run = '/run', proc = '/proc'): readonly RunningLibvirt[] {
  return PROGRAMS.flatMap((program) => {
    const pid = Number(textOf(join(run, `${program}.pid`)));
    if (!Number.isSafeInteger(pid) || pid <= 1) return [];
    if (textOf(join(proc, `${pid}`, 'comm')) !== `${program}\n`) return [];
    const identity = identityOf(pid);
    return identity === null ? [] : [{ program, pid, identity, startedMs: startedMs(pid, proc) }];
  });
}

/** Has it read its configuration and its hooks again. @returns false: it has ended */
export function tellLibvirt({ program, pid, identity }: RunningLibvirt): boolean {
  return identityOf(pid) === identity && signalNamed(pid, { name: program, signal: SIGHUP });
}

/** When a process was started, by the wall clock; null: it has ended, or /proc hides it. */
export function startedMs(pid: number, proc = '/proc'): number | null {
  const stat = textOf(join(proc, `${pid}`, 'stat')) ?? '';
  const bootS = /^btime (\d+)$/m.exec(textOf(join(proc, 'stat')) ?? '')?.[1];
  const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[STARTTIME_FIELD];
  if (bootS === undefined || ticks === undefined || !/^\d+$/.test(ticks)) return null;
  return (Number(bootS) + Number(ticks) / TICKS_PER_SECOND) * SECOND_MS;
}
