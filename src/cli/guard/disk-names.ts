import { createHash } from 'node:crypto';
import { fail, type Result } from '../../base/result.ts';
import type { GuestDisk } from '../../guard/domain.ts';
import { type DiskLease, leasesOf, type Naming } from '../../guard/lease-names.ts';
import { lookUpPaths } from '../../platform/disk-facts.ts';

/**
 * The leases that disks need, after a look at what is behind their paths on this host.
 * @returns them, or why a disk has no name, in half a sentence; in time, also where a path hangs
 */
export async function diskLeases(
  disks: readonly GuestDisk[],
  naming: Naming,
): Promise<Result<readonly DiskLease[], string>> {
  const paths = disks.flatMap(({ source }) => ('path' in source ? [source.path] : []));
  const found = await lookUpPaths(paths);
  if (typeof found === 'string') return fail(found);
  return leasesOf(disks, naming, {
    path: (path) => found.get(path) ?? { realPath: path, deviceKey: null },
    volume: () => fail('pools are not read yet'),
    md5: (text) => createHash('md5').update(text).digest('hex'),
  });
}
