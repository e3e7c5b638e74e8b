import { readFileSync } from 'node:fs';

/** The process and all that it started and that runs still. */
export function treeOf(pid: number): number[] {
  const children = text(`/proc/${pid}/task/${pid}/children`).trim().split(' ').filter(Boolean);
  return [pid, ...children.flatMap((child) => treeOf(Number(child)))];
}

/** Not ended: one that nobody has waited for yet has, too. */
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
