import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { inRoot, isWhole, makeRoot, removeOlder } from './made-root.ts';

/** Debian 13: lvm 2.03.31, sanlock 3.9.5, libvirt 11.3. */
const SUITE = 'trixie';
const PACKAGES = ['sanlock', 'lvm2', 'lvm2-lockd', 'python3-sanlock'] as const;
/** They need systemd, which debootstrap cannot set up in its order. */
const MORE_PACKAGES = [
  ...['libvirt-daemon', 'libvirt-daemon-driver-qemu', 'libvirt-daemon-plugin-sanlock'],
  ...['libvirt-daemon-driver-storage', 'libvirt-clients', 'qemu-system-x86'],
] as const;
const CACHED = '/var/cache/holdfast/debian-13.2';
const OWN_PLACE = 'HOLDFAST_TRIXIE_ROOT';

/** Where the root of Debian 13 is, or would be made. */
export function debian13Folder(): string {
  return process.env[OWN_PLACE] || CACHED;
}

/** Why no host can have the originals of Debian 13 here, for the reader of a test; null = it can. */
export function debian13Obstacle(): string | null {
  const folder = debian13Folder();
  if (isWhole(folder)) return null;
  return `there is no root of Debian 13 in ${folder}: node scripts/run-script.mjs scripts/debian-root.ts`;
}

/** Makes the root of Debian 13 unless it is there. Throws with one sentence. */
export async function makeDebian13(say: (line: string) => void): Promise<string> {
  const folder = debian13Folder();
  const root = { folder, suite: SUITE, packages: PACKAGES, complete };
  const isMade = await makeRoot(root, say);
  if (isMade && folder === CACHED) await removeOlder(CACHED, /^debian-13(\.\d+)?$/, say);
  return folder;
}

async function complete(making: string): Promise<void> {
  const apt = ['apt-get', '-qq', '-y', '--no-install-recommends'];
  await inRoot(making, [...apt, 'update']);
  await inRoot(making, [...apt, 'install', ...MORE_PACKAGES]);
  for (const used of ['var/cache/apt', 'var/lib/apt/lists']) {
    await rm(join(making, used), { recursive: true, force: true });
  }
}

/** In one line of text what lies in the root: '3.9.5-1 …', from its packages' own records. */
export function versionsIn(root: string): string {
  const status = readFileSync(join(root, 'var/lib/dpkg/status'), 'utf8');
  const of = (name: string) =>
    /^Version: (\S+)$/m.exec(
      status.split('\n\n').find((one) => one.startsWith(`Package: ${name}\n`)) ?? '',
    );
  const libvirt = of('libvirt-daemon')?.[1];
  return `lvm ${of('lvm2')?.[1]}, sanlock ${of('sanlock')?.[1]}, libvirt ${libvirt}`;
}
