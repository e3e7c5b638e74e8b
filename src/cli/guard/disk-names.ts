import { createHash } from 'node:crypto';
import { fail, ok, type Result } from '../../base/result.ts';
import type { DiskSource, GuestDisk, VolumeSource } from '../../guard/domain.ts';
import { type DiskLease, leasesOf, type Naming } from '../../guard/lease-names.ts';
import { placeOfVolume, type VolumePlace } from '../../guard/pools.ts';
import { PathLooks } from '../../platform/disk-facts.ts';
import {
  deviceOfPartition,
  deviceOfUnit,
  linkIn,
  POOL_FOLDERS,
  readPool,
} from '../../platform/storage-pools.ts';

/** Of UTF-8, in hex: as the plugin names its leases. */
export function md5(text: string): string {
  return createHash('md5').update(text).digest('hex');
}

/** Finds the leases that disks need, after a look at what is behind them on this host. */
export class DiskNames {
  readonly #naming: Naming;
  readonly #looks: PathLooks;
  readonly #poolFolders: { readonly active: string; readonly defined: string };

  constructor(naming: Naming, looks = new PathLooks(), poolFolders = POOL_FOLDERS) {
    this.#naming = naming;
    this.#looks = looks;
    this.#poolFolders = poolFolders;
  }

  /** @returns the leases, or why a disk has no name, in half a sentence; also where a path hangs */
  async leasesOf(disks: readonly GuestDisk[]): Promise<Result<readonly DiskLease[], string>> {
    const volumes = new Map<VolumeSource, Result<DiskSource, string>>();
    for (const { source } of disks) {
      if (source.kind === 'volume') volumes.set(source, await this.#volume(source));
    }
    const paths = disks.flatMap(({ source }) => {
      const volume = source.kind === 'volume' ? volumes.get(source) : ok(source);
      return volume?.ok && 'path' in volume.value ? [volume.value.path] : [];
    });
    const found = await this.#looks.lookUp(paths);
    if (typeof found === 'string') return fail(found);
    return leasesOf(disks, this.#naming, {
      path: (path) => found.get(path) ?? { realPath: path, deviceKey: null },
      volume: (source) => volumes.get(source) ?? fail('it was not looked up'),
      md5,
    });
  }

  async #volume(volume: VolumeSource): Promise<Result<DiskSource, string>> {
    const pool = await readPool(volume.pool, this.#poolFolders);
    if (!pool.ok) return pool;
    const place = placeOfVolume(pool.value, volume);
    return place.ok ? await sourceAt(place.value) : place;
  }
}

async function sourceAt(place: VolumePlace): Promise<Result<DiskSource, string>> {
  if (place.kind === 'known') return ok(place.source);
  const { device, folder } = place;
  const node =
    device.kind === 'lun' ? deviceOfUnit(device) : deviceOfPartition(device.disk, device.name);
  if (node === null) return fail('this host has no such device');
  return ok({ kind: 'block', path: await linkIn(folder, node) });
}
