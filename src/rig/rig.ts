import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Host, type Makers } from './host.ts';
import { Lun, lunObstacle } from './lun.ts';

export const ALL_OURS: Makers = { sanlock: 'ours', lvmlockd: 'ours', lvmlockctl: 'ours' };
export const ALL_ORIGINAL: Makers = {
  sanlock: 'original',
  lvmlockd: 'original',
  lvmlockctl: 'original',
};

export interface RigOptions {
  /** One entry a host; host ids count from 1. */
  readonly hosts: readonly Makers[];
  /** The project's bin folder, for programs of ours. */
  readonly bin: string;
  readonly ioTimeoutS?: number;
  readonly mebibytes?: number;
  /** Of the area of the leases; a larger one than lvm's only where no LV is ever written. */
  readonly lvmlockMebibytes?: number;
  readonly hostNames?: readonly string[];
  /** Other host ids than 1, 2, …: to try what a wrong configuration does. */
  readonly hostIds?: readonly number[];
  readonly vg?: string;
  /** Of each host a watchdog device, which is there before the rig; null or absent: it has none. */
  readonly watchdogs?: readonly (string | null)[];
  /**
   * Of each host another way to the LUN, which can fail for this host alone: it is given the image,
   * and returns a file with the same bytes. null or absent: the way of all the others.
   */
  readonly ways?: readonly (((image: string) => Promise<string>) | null)[];
  /**
   * Of each host the folder of another Debian, see `HostOptions`; null: this machine's. Absent: that
   * of HOLDFAST_RIG_ROOT, so that any test of lvm can be tried on another Debian.
   */
  readonly roots?: readonly (string | null)[];
  /** Folders that a host of another Debian sees beside the project and the rig, in the same place. */
  readonly shown?: readonly string[];
}

/** A LUN and the hosts that share it; several rigs live side by side. */
export class Rig {
  readonly lun: Lun;
  /** The volume group's name; a test that renames it says so here. */
  vg: string;
  readonly ioTimeoutS: number;
  readonly hosts: readonly Host[];
  readonly dir: string;
  /** The LUN, and each other way to it. */
  readonly luns: readonly Lun[];
  #closed = false;

  private constructor(of: Pick<Rig, 'lun' | 'luns' | 'vg' | 'ioTimeoutS' | 'hosts' | 'dir'>) {
    this.lun = of.lun;
    this.luns = of.luns;
    this.vg = of.vg;
    this.ioTimeoutS = of.ioTimeoutS;
    this.hosts = of.hosts;
    this.dir = of.dir;
  }

  /** Removes all that it has made when it fails half way. */
  static async create(options: RigOptions): Promise<Rig> {
    const dir = await mkdtemp(join(tmpdir(), 'holdfast-rig-'));
    const vg = options.vg ?? `vg${randomBytes(3).toString('hex')}`;
    const ioTimeoutS = options.ioTimeoutS ?? 2;
    const hosts: Host[] = [];
    const luns: Lun[] = [];
    try {
      const lun = await Lun.create(
        join(dir, 'lun.img'),
        options.mebibytes ?? 1024,
        options.lvmlockMebibytes,
      );
      luns.push(lun);
      for (const [index, makers] of options.hosts.entries()) {
        const hostId = options.hostIds?.[index] ?? index + 1;
        const name = options.hostNames?.[index] ?? `host-${index + 1}`;
        const watchdog = options.watchdogs?.[index] ?? null;
        const way = options.ways?.[index] ?? null;
        const ownLun = way === null ? lun : await Lun.over(await way(lun.image));
        if (ownLun !== lun) luns.push(ownLun);
        const root = (options.roots ? options.roots[index] : everyRoot()) ?? null;
        const shown = options.shown ?? [];
        const own = { dir: join(dir, name), bin: options.bin, watchdog, lun: ownLun, root, shown };
        hosts.push(await Host.create({ name, hostId, makers, ioTimeoutS, vg, ...own }));
      }
      return new Rig({ lun, luns, vg, ioTimeoutS, hosts, dir });
    } catch (error) {
      // What went wrong first is what its caller wants to hear.
      await takeDown({ hosts, luns, dir }).catch(() => {});
      throw error;
    }
  }

  /** Host by number, from 1. */
  host(number: number): Host {
    const host = this.hosts[number - 1];
    if (host !== undefined) return host;
    throw new Error(`the rig has hosts 1 to ${this.hosts.length}, there is no host ${number}`);
  }

  /** Ends every process, device, mount and file of the rig. Safe to repeat. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await takeDown(this);
  }
}

function everyRoot(): string | null {
  return process.env['HOLDFAST_RIG_ROOT'] || null;
}

/** All that can be ended is ended; then throws the first of what went wrong. */
async function takeDown(rig: {
  readonly hosts: readonly Host[];
  readonly luns: readonly Lun[];
  readonly dir: string;
}): Promise<void> {
  const ends = await Promise.allSettled(rig.hosts.map((host) => host.close()));
  const last = await Promise.allSettled([...rig.luns].reverse().map((lun) => lun.close()));
  await rm(rig.dir, { recursive: true, force: true });
  for (const end of [...ends, ...last]) if (end.status === 'rejected') throw end.reason;
}

/** Why no rig can be built here, as a message for the user; null = it can. */
export function rigObstacle(): string | null {
  const obstacle = lunObstacle();
  if (obstacle !== null) return obstacle;
  return existsSync('/usr/sbin/lvm') ? null : 'lvm is not installed (Debian package lvm2)';
}
