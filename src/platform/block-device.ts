import { readFileSync, statSync } from 'node:fs';
import type { DeviceFacts, Devices } from '../ports/devices.ts';

/** Device numbers as the kernel packs them into st_rdev (glibc's gnu_dev_major and _minor). */
export function deviceNumbers(rdev: bigint): { readonly major: bigint; readonly minor: bigint } {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & ~0xffn);
  return { major: BigInt.asUintN(32, major), minor: BigInt.asUintN(32, minor) };
}

/** Of sysfs, whatever sectors a device has. */
const SIZE_UNIT_BYTES = 512;

/**
 * Sizes from sysfs, by device number: a path may be any link, and device-mapper's names are
 * not sysfs names. A partition has no queue of its own; that of its disk counts.
 */
export class SysfsDevices implements Devices {
  readonly #sysfs: string;

  constructor(sysfs = '/sys') {
    this.#sysfs = sysfs;
  }

  probe(path: string): DeviceFacts {
    const nothing = { physicalBytes: null, logicalBytes: null, sizeBytes: null };
    try {
      const found = statSync(path, { bigint: true });
      if (!found.isBlockDevice()) return { exists: true, ...nothing };
      const { major, minor } = deviceNumbers(found.rdev);
      const folder = `${this.#sysfs}/dev/block/${major}:${minor}`;
      return {
        exists: true,
        physicalBytes: this.#queueNumber(folder, 'physical_block_size'),
        logicalBytes: this.#queueNumber(folder, 'logical_block_size'),
        sizeBytes: this.#sizeBytes(folder),
      };
    } catch {
      return { exists: false, ...nothing };
    }
  }

  #queueNumber(folder: string, name: string): number | null {
    // A partition: its disk is beside it.
    return numberIn(`${folder}/queue/${name}`) ?? numberIn(`${folder}/../queue/${name}`);
  }

  #sizeBytes(folder: string): number | null {
    const sectors = numberIn(`${folder}/size`);
    return sectors === null ? null : sectors * SIZE_UNIT_BYTES;
  }
}

/** null: there is no such file, or no positive number in it. */
function numberIn(path: string): number | null {
  try {
    const value = Number(readFileSync(path, 'utf8').trim());
    return Number.isSafeInteger(value) && value > 0 ? value : null;
  } catch {
    return null;
  }
}
