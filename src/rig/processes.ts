import { readFileSync } from 'node:fs';

/** The process and all that it started and that runs still. */
export function treeOf(pid: number): number[] {
  const children = text(`/proc/${pid}/task/${pid}/children`).trim().split(' ').filter(Boolean);
  return [pid, ...children.flatMap((child) => treeOf(Number(child)))];
}

/** For killed processes to go, on a busy machine. */
export const ENDED_MS = 30_000;

/** One that has ended and that its parent has not waited for does not run. */
export function isRunning(pid: number): boolean {
  return text(`/proc/${pid}/cmdline`) !== '';
}

function text(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // it has ended
  }
}
