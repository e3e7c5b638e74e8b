import { readlinkSync } from 'node:fs';

/** Whether a process is in our network: one of another is in a container, a host of its own. */
export function isOfThisHost(pid: number): boolean {
  return networkOf(pid) === networkOf('self');
}

function networkOf(pid: number | 'self'): string | null {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return null;
  }
}
