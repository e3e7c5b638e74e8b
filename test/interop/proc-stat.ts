import { readdirSync, readFileSync } from 'node:fs';

/** Fields of /proc/PID/stat, counted behind the name in parentheses: state, parent, … */
export const STAT = {
  PPID: 4 - 3,
  MAJOR_FAULTS: 12 - 3,
  USER_TICKS: 14 - 3,
  SYSTEM_TICKS: 15 - 3,
  POLICY: 41 - 3,
} as const;

/** @param of a pid, or `PID/task/TID`. @throws when it has ended */
export function statFields(of: number | string): readonly string[] {
  const text = readFileSync(`/proc/${of}/stat`, 'latin1');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

export interface ProcessStat {
  readonly pid: number;
  readonly fields: readonly string[];
}

/** All processes of the machine; those that end meanwhile are left out. */
export function allProcesses(): readonly ProcessStat[] {
  return readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      return [{ pid: Number(entry), fields: statFields(entry) }];
    } catch {
      return [];
    }
  });
}

export function parentOf({ fields }: ProcessStat): number {
  return Number(fields[STAT.PPID]);
}

/** Processor time of all its threads so far, in clock ticks. */
export function cpuTicks(pid: number): number {
  const fields = statFields(pid);
  return Number(fields[STAT.USER_TICKS]) + Number(fields[STAT.SYSTEM_TICKS]);
}
