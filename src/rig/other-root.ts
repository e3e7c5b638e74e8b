import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

/** In a host with another root: the Node that runs our programs there. */
export const NODE_FOLDER = '/opt/node';

/** What a host takes from the folder of the other Debian, read-only. */
const FROM_OTHER = ['usr', 'etc'] as const;
/** Debian has its programs and libraries in /usr. */
const LINKS = ['bin', 'sbin', 'lib', 'lib64'] as const;
const OF_THE_KERNEL = ['dev', 'proc', 'sys'] as const;
const EMPTY = ['run', 'tmp', 'root', 'var/log', 'var/lib/lvm', 'var/lib/sanlock', 'old'] as const;

export interface OtherRoot {
  /** Where another Debian is unpacked, with /usr merged: '/var/cache/holdfast/debian-13'. */
  readonly from: string;
  /** A folder to put the root together in; it is made. */
  readonly at: string;
  /** Folders of this machine that the host sees in the same place. */
  readonly shown: readonly string[];
}

/**
 * Makes another Debian the root of a mount namespace: its programs and libraries over this
 * machine's kernel file systems. `inside` runs a program in that namespace, which must be private.
 * What a host writes outside of /run goes to its own folder, so that many hosts share one Debian.
 */
export async function enterOtherRoot(
  root: OtherRoot,
  inside: (program: string, ...args: readonly string[]) => Promise<unknown>,
): Promise<void> {
  const { from, at } = root;
  await mkdir(at, { recursive: true });
  for (const name of [...EMPTY, ...FROM_OTHER, ...OF_THE_KERNEL]) {
    await mkdir(join(at, name), { recursive: true });
  }
  for (const name of LINKS) await symlink(`usr/${name}`, join(at, name));
  const node = join(at, NODE_FOLDER, 'node');
  await mkdir(dirname(node), { recursive: true });
  await writeFile(node, '');

  await inside('mount', '--bind', at, at); // a root must be a mount
  for (const name of FROM_OTHER) {
    await inside('mount', '--bind', join(from, name), join(at, name));
    await inside('mount', '-o', 'remount,bind,ro', join(at, name));
  }
  for (const name of OF_THE_KERNEL) await inside('mount', '--rbind', `/${name}`, join(at, name));
  await inside('mount', '--bind', process.execPath, node);
  for (const folder of root.shown.map((each) => resolve(each))) {
    await mkdir(join(at, folder), { recursive: true });
    await inside('mount', '--bind', folder, join(at, folder));
  }
  await inside('pivot_root', at, join(at, 'old'));
  await inside('umount', '--lazy', '/old');
}

/** The folder of our programs needs its neighbours: dist and node_modules. */
export function projectOf(bin: string): string {
  return dirname(resolve(bin));
}
