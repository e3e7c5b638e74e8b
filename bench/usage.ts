import type { Daemon } from './daemon.ts';
import { entries, text } from './proc-files.ts';

export type Role = 'front' | 'lease process' | 'helper' | 'script shell';

/** What the threads of a process have used since they began. */
export interface Usage {
  readonly cpuUs: number;
  /** A thread that waited, and was woken. */
  readonly wakeUps: number;
  /** Of memory that it had not touched before: cheap on iron, dear on some virtual machines. */
  readonly pageFaults: number;
}

/** The first one is the front; the C daemon's work is all in its front. */
export function processesOf(
  daemon: Daemon,
): readonly { readonly pid: number; readonly role: Role }[] {
  return daemon.pids().map((pid, i) => ({ pid, role: i === 0 ? 'front' : roleOf(pid) }));
}

/** Of all processes of a daemon that have the same role. */
export function usageOf(daemon: Daemon): ReadonlyMap<Role, Usage> {
  const used = new Map<Role, Usage>();
  for (const { pid, role } of processesOf(daemon)) {
    const known = used.get(role) ?? { cpuUs: 0, wakeUps: 0, pageFaults: 0 };
    const more = usageOfProcess(pid);
    used.set(role, {
      cpuUs: known.cpuUs + more.cpuUs,
      wakeUps: known.wakeUps + more.wakeUps,
      pageFaults: known.pageFaults + more.pageFaults,
    });
  }
  return used;
}

/** Of each thread of a daemon by its number, and whether it is the first of its process. */
export function threadsOf(daemon: Daemon): ReadonlyMap<number, Thread> {
  const threads = new Map<number, Thread>();
  for (const { pid, role } of processesOf(daemon)) {
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

export function usageOfProcess(pid: number): Usage {
  let cpuUs = 0;
  let wakeUps = 0;
  let pageFaults = 0;
  for (const tid of entries(`/proc/${pid}/task`)) {
    const task = `/proc/${pid}/task/${tid}`;
    cpuUs += Number(text(`${task}/schedstat`).split(' ')[0]) / 1000;
    wakeUps += Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(text(`${task}/status`))?.[1] ?? 0);
    pageFaults += minorFaults(text(`${task}/stat`));
  }
  return { cpuUs, wakeUps, pageFaults };
}

/** The eighth field behind the name (proc(5)). */
function minorFaults(stat: string): number {
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[7] ?? 0);
}

const FRESH_BYTES = 32 * 1024 * 1024;

/** Processor time that one costs on this machine. */
export function pageFaultUs(): number {
  const { minorPageFault: before } = process.resourceUsage();
  const start = process.cpuUsage();
  Buffer.allocUnsafeSlow(FRESH_BYTES).fill(1);
  const { user, system } = process.cpuUsage(start);
  return (user + system) / Math.max(1, process.resourceUsage().minorPageFault - before);
}

function roleOf(pid: number): Role {
  const command = text(`/proc/${pid}/cmdline`);
  if (command.includes('lease-process.cjs')) return 'lease process';
  return command.startsWith('/bin/sh') ? 'script shell' : 'helper';
}
