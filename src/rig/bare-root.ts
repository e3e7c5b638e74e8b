import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inRoot, isWhole, makeRoot } from './made-root.ts';

/** A Debian without sanlock, lvm2-lockd and Node.js, as an administrator finds it before an installation. */
export type Release = 12 | 13;

const SUITES: Readonly<Record<Release, string>> = { 12: 'bookworm', 13: 'trixie' };
const PACKAGES = ['systemd', 'systemd-sysv', 'udev', 'lvm2'] as const;
/** What its apt can install without a network; on Debian 12 its nodejs is too old, and is there to be refused. */
const OFFERED = ['sanlock', 'lvm2-lockd', 'sanlk-reset', 'python3-sanlock', 'nodejs'] as const;
const ARCHIVE = '/srv/archive';
const FOLDER = '/var/cache/holdfast';

/** Where the bare root of a release is, or would be made. */
export function bareFolder(release: Release): string {
  return join(FOLDER, `bare-${release}.1`);
}

/** Why there is none here, for the reader of a test; null: there is. */
export function bareObstacle(release: Release): string | null {
  const folder = bareFolder(release);
  if (isWhole(folder)) return null;
  return `there is no bare Debian ${release} in ${folder}: node scripts/run-script.mjs scripts/bare-roots.ts`;
}

/** Makes it unless it is there. Throws with one sentence. */
export async function makeBare(release: Release, say: (line: string) => void): Promise<string> {
  const folder = bareFolder(release);
  await makeRoot({ folder, suite: SUITES[release], packages: PACKAGES, complete }, say);
  return folder;
}

/** From here on its apt knows one archive, which is in the root. */
async function complete(making: string): Promise<void> {
  const apt = ['apt-get', '-qq', '-y', '--no-install-recommends'];
  await inRoot(making, [...apt, 'update']);
  await mkdir(join(making, ARCHIVE, 'partial'), { recursive: true });
  const offered = ['--download-only', 'install', ...OFFERED];
  await inRoot(making, [...apt, '-o', `Dir::Cache::archives=${ARCHIVE}`, ...offered]);
  await inRoot(making, ['sh', '-ec', INDEX]);
  const source = `deb [trusted=yes] file:${ARCHIVE} ./\n`;
  await writeFile(join(making, 'etc/apt/sources.list'), source);
  const lists = join(making, 'var/lib/apt/lists');
  for (const name of await readdir(lists)) await rm(join(lists, name), { recursive: true });
  await mkdir(join(lists, 'partial'), { recursive: true });
  await inRoot(making, [...apt, 'update']);
  // A machine that boots from it is no first boot, which would ask questions.
  await writeFile(join(making, 'etc/machine-id'), `${'b'.repeat(32)}\n`);
}

/** The list of what the archive has, in the form of apt. */
const INDEX = `cd ${ARCHIVE}
rm -rf partial lock
for deb in *.deb; do
  dpkg-deb -f "$deb"
  echo "Filename: ./$deb"
  echo "Size: $(stat -c %s "$deb")"
  echo "SHA256: $(sha256sum "$deb" | cut -d ' ' -f 1)"
  echo
done >Packages
`;
