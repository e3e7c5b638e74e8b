import type { Daemon } from './daemon.ts';
import { entries, text } from './proc-files.ts';

export type Role = 'front' | 'lease process' | 'helper' | 'script shell';

/** What the threads of a process have used since they began. */
export interface Usage {
  readonly cpuUs: number;
  /** A thread that waited, and was woken. */
  readonly wakeUps: number;
}

/** Of each process of a daemon; the C daemon's work is all in its front. */
export function usageOf(daemon: Daemon): ReadonlyMap<Role, Usage> {
  const used = new Map<Role, Usage>();
  const pids = daemon.pids();
  for (const pid of pids) {
    const role = pid === pids[0] ? 'front' : roleOf(pid);
    const known = used.get(role) ?? { cpuUs: 0, wakeUps: 0 };
    const more = usageOfProcess(pid);
    used.set(role, {
      cpuUs: known.cpuUs + more.cpuUs,
      wakeUps: known.wakeUps + more.wakeUps,
    });
  }
  return used;
}

/** Of each thread of a daemon by its number, and whether it is the first of its process. */
export function threadsOf(daemon: Daemon): ReadonlyMap<number, Thread> {
  const threads = new Map<number, Thread>();
  const pids = daemon.pids();
  for (const pid of pids) {
    const role = pid === pids[0] ? 'front' : roleOf(pid);
    for (const tid of entries(`/proc/${pid}/task`)) {
      threads.set(Number(tid), { role, isFirst: Number(tid) === pid });
    }
  }
  return threads;
}

export interface Thread {
  readonly role: Role;
  readonly isFirst: boolean;
}

function usageOfProcess(pid: number): Usage {
  let cpuUs = 0;
  let wakeUps = 0;
  for (const tid of entries(`/proc/${pid}/task`)) {
    const task = `/proc/${pid}/task/${tid}`;
    cpuUs += Number(text(`${task}/schedstat`).split(' ')[0]) / 1000;
    wakeUps += Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(text(`${task}/status`))?.[1] ?? 0);
  }
  return { cpuUs, wakeUps };
}

function roleOf(pid: number): Role {
  const command = text(`/proc/${pid}/cmdline`);
  if (command.includes('lease-process.cjs')) return 'lease process';
  return command.startsWith('/bin/sh') ? 'script shell' : 'helper';
}
