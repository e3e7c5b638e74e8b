import { readFileSync } from 'node:fs';
import { missingMount } from '../../guard/check/mounts.ts';

/**
 * What should be mounted where a directory is, and is not, in half a sentence; null: all is mounted
 * that /etc/fstab names. At boot that may come later than the guard, and in the empty mount point
 * each host would make leases of its own.
 */
export function whyNotMounted(directory: string): string | null {
  const entry = missingMount(directory, {
    fstab: textOf('/etc/fstab'),
    mountInfo: textOf('/proc/self/mountinfo'),
  });
  return entry === null ? null : `${entry.source} is not mounted at ${entry.mountPoint}`;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // nothing is said there
  }
}
