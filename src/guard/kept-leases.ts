import type { GuestDisk } from './domain.ts';
import type { DiskLease } from './lease-names.ts';

/** Disks of a guest, and the leases that were found for them. */
export interface NamedDisks {
  /** null: of an earlier guard, which wrote down the leases alone. */
  readonly disks: readonly GuestDisk[] | null;
  readonly leases: readonly DiskLease[];
}

/**
 * The leases of a guest that runs. A disk that is the same in the domain XML keeps the leases that
 * it had: QEMU has it open, whatever a link leads to by now, or the configuration calls it.
 */
export function keptLeases(
  before: NamedDisks,
  now: { readonly disks: readonly GuestDisk[]; readonly leases: readonly DiskLease[] },
): readonly DiskLease[] {
  const same = new Set(now.disks.filter((disk) => isSame(disk, before)).map((one) => one.target));
  const names = new Set(now.leases.map(({ name }) => name));
  const kept = before.leases.filter(({ name, target }) => same.has(target) && !names.has(name));
  return [...now.leases, ...kept];
}

function isSame(disk: GuestDisk, { disks }: NamedDisks): boolean {
  if (disks === null) return true;
  const earlier = disks.find(({ target }) => target === disk.target);
  return JSON.stringify(earlier) === JSON.stringify(disk);
}
