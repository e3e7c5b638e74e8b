import { existsSync } from 'node:fs';
import { open, readFile, realpath, rm } from 'node:fs/promises';
import { basename } from 'node:path';
import { MIB } from '../base/units.ts';
import { must, run, until } from './run.ts';

/** Where lvm puts the hidden lvmlock volume on a fresh one-PV volume group. */
const LVMLOCK_OFFSET = MIB;
const LVMLOCK_MEBIBYTES = 256;
const ATTACH_TRIES = 5;
/** For others to close a device that they only look at: an lvm command, udev. */
const DETACH_MS = 30_000;

/** A disk image behind a loop device that hosts of a rig see, as they would see a LUN. */
export class Lun {
  /** The file with the bytes of the LUN. */
  readonly image: string;
  /** '/dev/loop3': the LUN. */
  readonly device: string;
  /**
   * The lvmlock area of the LUN as a device of its own: without device-mapper, lvm's is missing.
   */
  readonly lvmlock: string;
  readonly #ownsImage: boolean;

  private constructor(of: Pick<Lun, 'image' | 'device' | 'lvmlock'>, ownsImage: boolean) {
    this.image = of.image;
    this.device = of.device;
    this.lvmlock = of.lvmlock;
    this.#ownsImage = ownsImage;
  }

  /** `lvmlockMebibytes`: more than lvm gives it, for more leases than it has room for. */
  static async create(
    path: string,
    mebibytes: number,
    lvmlockMebibytes = LVMLOCK_MEBIBYTES,
  ): Promise<Lun> {
    const file = await open(path, 'w');
    await file.truncate(mebibytes * MIB);
    await file.close();
    return await Lun.#over(path, true, lvmlockMebibytes);
  }

  /** The same over a file that is there, and stays: another way to the bytes of a LUN. */
  static over(path: string): Promise<Lun> {
    return Lun.#over(path, false, LVMLOCK_MEBIBYTES);
  }

  /** Both devices are on the file itself: what another way writes there is seen by both. */
  static async #over(path: string, ownsImage: boolean, lvmlockMebibytes: number): Promise<Lun> {
    const image = await realpath(path); // the kernel names it so
    const device = await attach([image]);
    try {
      const window = ['-o', `${LVMLOCK_OFFSET}`, '--sizelimit', `${lvmlockMebibytes * MIB}`];
      const lvmlock = await attach([...window, image]);
      return new Lun({ image, device, lvmlock }, ownsImage);
    } catch (error) {
      await detach(device);
      await freed(device, image);
      throw error;
    }
  }

  /** Returns when both devices are free again. Throws when somebody keeps one open. */
  async close(): Promise<void> {
    await detach(this.lvmlock);
    await detach(this.device);
    await freed(this.lvmlock, this.image);
    await freed(this.device, this.image);
    if (this.#ownsImage) await rm(this.image, { force: true });
  }
}

/** `losetup -f` races with others who look for a free device: try again. */
async function attach(args: readonly string[]): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await must('losetup', ['-f', '--show', ...args]);
    } catch (error) {
      if (attempt >= ATTACH_TRIES) throw error;
    }
  }
}

/** Free at once, or when the last one who has it open closes it. */
async function detach(device: string): Promise<void> {
  await run('losetup', ['-d', device]);
}

/** A free device may be another's at once: what tells is the file behind it. */
async function freed(device: string, behind: string): Promise<void> {
  const isFree = async () => (await fileBehind(device)) !== behind;
  await until(`${device} to be closed by all who use it`, isFree, { withinMs: DETACH_MS });
}

/** The path of the file of a loop device, without links; null = it has none. */
export async function fileBehind(device: string): Promise<string | null> {
  try {
    return (await readFile(`/sys/block/${basename(device)}/loop/backing_file`, 'utf8')).trimEnd();
  } catch {
    return null; // free, or freed while it was read
  }
}

/** Why no LUN can be made here; null = it can. */
export function lunObstacle(): string | null {
  if (process.getuid?.() !== 0) return 'loop devices and namespaces need root';
  if (!existsSync('/dev/loop-control')) return 'this kernel offers no loop devices';
  return null;
}
