import { readlinkSync } from 'node:fs';

/**
 * Whether a process is in our network: one of another is in a container, a host of its own.
 * @param proc its folder, as `/proc/1`
 */
export function isOfThisHost(proc: string): boolean {
  return networkOf(proc) === networkOf('/proc/self');
}

function networkOf(proc: string): string | null {
  try {
    return readlinkSync(`${proc}/ns/net`);
  } catch {
    return null;
  }
}
