import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { ActiveLv, ActiveLvs } from '../ports/active-lvs.ts';

/**
 * The devices of lvm by their uuid in sysfs: `LVM-`, the VG's uuid, the LV's, and for a hidden layer
 * a suffix (`-real`, `-tpool` …). Devices of dmsetup, multipath or dm-crypt have other uuids.
 */
export class SysfsActiveLvs implements ActiveLvs {
  readonly #sysfs: string;

  constructor(sysfs = '/sys') {
    this.#sysfs = sysfs;
  }

  read(): readonly ActiveLv[] | null {
    if (!existsSync(`${this.#sysfs}/class/misc/device-mapper`)) return null;
    try {
      const folder = `${this.#sysfs}/block`;
      const mapped = readdirSync(folder).filter((name) => name.startsWith('dm-'));
      return mapped.flatMap((name) => lvAt(`${folder}/${name}`) ?? []);
    } catch {
      return null; // no answer at all, rather than one with LVs left out
    }
  }
}

function lvAt(folder: string): ActiveLv | null {
  let deviceUuid: string;
  let deviceName: string;
  try {
    deviceUuid = readFileSync(`${folder}/dm/uuid`, 'latin1').trim();
    deviceName = readFileSync(`${folder}/dm/name`, 'latin1').trim();
  } catch (error) {
    if (isGone(error)) return null; // it was removed since the folder was listed
    throw error;
  }
  const found = /^LVM-([A-Za-z0-9]{32})([A-Za-z0-9]{32})(-.*)?$/.exec(deviceUuid);
  if (found === null) return null;
  const [, vgUuid = '', lvUuid = ''] = found;
  const sizeBytes = sizeAt(folder);
  return { deviceName, deviceUuid, vgUuid, lvUuid, sizeBytes, isHeld: isHeldAt(folder) };
}

/** sysfs counts in sectors of 512 bytes, whatever those of the device. */
const SECTOR_BYTES = 512;

function sizeAt(folder: string): number | null {
  try {
    const text = readFileSync(`${folder}/size`, 'latin1').trim();
    return /^[0-9]+$/.test(text) ? Number(text) * SECTOR_BYTES : null;
  } catch {
    return null;
  }
}

/** A device whose holders cannot be read counts as held: nothing is decided by its being free. */
function isHeldAt(folder: string): boolean {
  try {
    return readdirSync(`${folder}/holders`).length > 0;
  } catch {
    return true;
  }
}

function isGone(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : '';
  return code === 'ENOENT' || code === 'ENODEV' || code === 'ENXIO';
}
