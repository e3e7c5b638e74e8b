import { readFileSync } from 'node:fs';

/** For tests: the processes that this one has started, that have ended, and were not awaited. */
export function unawaitedChildren(): readonly number[] {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'ascii').trim();
  return children.split(' ').filter(isZombie).map(Number);
}

function isZombie(pid: string): boolean {
  return pid !== '' && readFileSync(`/proc/${pid}/stat`, 'ascii').includes(') Z ');
}
