import { missingMount } from '../../guard/check/mounts.ts';
import { textOf } from '../../platform/text-file.ts';

/**
 * What should be mounted where a directory is, and is not, in half a sentence; null: all is mounted
 * that /etc/fstab names. At boot that may come later than the guard, and in the empty mount point
 * each host would make leases of its own.
 */
export function whyNotMounted(directory: string): string | null {
  const entry = missingMount(directory, mountTexts());
  return entry === null ? null : `${entry.source} is not mounted at ${entry.mountPoint}`;
}

/** What is to be mounted on this host, and what is. */
export function mountTexts(): { readonly fstab: string; readonly mountInfo: string } {
  return {
    fstab: textOf('/etc/fstab') ?? '',
    mountInfo: textOf('/proc/self/mountinfo') ?? '',
  };
}
