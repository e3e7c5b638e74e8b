import { existsSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { MIB } from '../base/units.ts';
import { must, run } from './run.ts';

/** Where lvm puts the hidden lvmlock volume on a fresh one-PV volume group. */
const LVMLOCK_OFFSET = MIB;
const LVMLOCK_BYTES = 256 * MIB;
const ATTACH_TRIES = 5;

/** A disk image behind a loop device that all hosts of a rig see, as they would see a LUN. */
export class Lun {
  readonly image: string;
  /** '/dev/loop3': the LUN. */
  readonly device: string;
  /**
   * The lvmlock area of the LUN as a device of its own: without device-mapper, lvm's is missing.
   */
  readonly lvmlock: string;

  private constructor(of: { image: string; device: string; lvmlock: string }) {
    this.image = of.image;
    this.device = of.device;
    this.lvmlock = of.lvmlock;
  }

  static async create(image: string, mebibytes: number): Promise<Lun> {
    const file = await open(image, 'w');
    await file.truncate(mebibytes * MIB);
    await file.close();
    const device = await attach([image]);
    try {
      const window = ['-o', `${LVMLOCK_OFFSET}`, '--sizelimit', `${LVMLOCK_BYTES}`];
      const lvmlock = await attach([...window, device]);
      return new Lun({ image, device, lvmlock });
    } catch (error) {
      await run('losetup', ['-d', device]);
      throw error;
    }
  }

  async close(): Promise<void> {
    await run('losetup', ['-d', this.lvmlock]);
    await run('losetup', ['-d', this.device]);
    await rm(this.image, { force: true });
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

/** Why no LUN can be made here; null = it can. */
export function lunObstacle(): string | null {
  if (process.getuid?.() !== 0) return 'loop devices and namespaces need root';
  if (!existsSync('/dev/loop-control')) return 'this kernel offers no loop devices';
  return null;
}
