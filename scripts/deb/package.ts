import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { HOLDFAST_VERSION } from '../../src/base/version.ts';
import { contents } from './contents.ts';
import { type Entry, file, program, writeEntries } from './entries.ts';
import type { Architecture } from './koffi.ts';

/** The releases of the originals that the package stands for, to those that depend on them. */
const PROVIDED = { SANLOCK: '3.8.5', LVM: '2.03.16' } as const;
const SCRIPTS = ['preinst', 'postinst', 'prerm', 'postrm'] as const;
const BUILD_MS = 120_000;

export interface Deb {
  readonly root: string;
  readonly architecture: Architecture;
  readonly folder: string;
  /** Seconds: the time of every file in the package. */
  readonly epochS: number;
  /** Of a package that is built for a test, behind the version: `+1`. */
  readonly suffix?: string;
}

/** Builds `holdfast_<version>_<architecture>.deb` of the built tree. @returns its path */
export function buildDeb({ root, architecture, folder, epochS, suffix = '' }: Deb): string {
  const version = debianVersion(HOLDFAST_VERSION) + suffix;
  const entries = contents(root, architecture);
  const control = controlEntries(root, entries, { version, architecture });
  const path = join(folder, debFile({ version, architecture }));
  packEntries([...entries, ...control], path, epochS);
  return path;
}

/** Packs the entries, of which those in /DEBIAN are about the package. */
export function packEntries(
  entries: readonly Entry[],
  path: string,
  epochS: number,
  compression: 'xz' | 'none' = 'xz',
): void {
  const tree = mkdtempSync(join(tmpdir(), 'holdfast-deb-'));
  try {
    writeEntries(tree, entries, epochS);
    mkdirSync(dirname(path), { recursive: true });
    dpkgDeb(tree, path, { epochS, compression });
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}

/** `1.0.0-rc.1` is before 1.0.0 in Debian as well. */
export function debianVersion(version: string): string {
  return version.replace('-', '~');
}

interface Named {
  readonly version: string;
  readonly architecture: Architecture;
}

/** Without a tilde: places where releases are put rename such files, and SHA256SUMS has this name. */
export function debFile({ version, architecture }: Named): string {
  return `holdfast_${version.replace('~', '-')}_${architecture}.deb`;
}

function controlEntries(root: string, entries: readonly Entry[], named: Named): readonly Entry[] {
  const read = (name: string) => readFileSync(join(root, 'packaging/debian', name), 'utf8');
  const bytes = entries.reduce((sum, entry) => sum + Math.max(entry.bytes.length, 1024), 0);
  const values: Readonly<Record<string, string>> = {
    ...PROVIDED,
    VERSION: named.version,
    ARCHITECTURE: named.architecture,
    KILOBYTES: String(Math.ceil(bytes / 1024)),
  };
  const control = read('control').replace(/@([A-Z]+)@/g, (_, name) => {
    const value = values[name];
    if (value === undefined) throw new Error(`packaging/debian/control: @${name}@ has no value`);
    return value;
  });
  const sums = entries
    .filter(({ kind }) => kind === 'file' || kind === 'program')
    .map((entry) => {
      const sum = createHash('md5').update(entry.bytes).digest('hex');
      return `${sum}  ${entry.path.slice(1)}\n`;
    });
  return [
    file('/DEBIAN/control', control),
    file('/DEBIAN/md5sums', sums.join('')),
    file('/DEBIAN/triggers', read('triggers')),
    ...SCRIPTS.map((name) => program(`/DEBIAN/${name}`, read(name))),
  ];
}

/** One thread: with several, the bytes depend on how many there are. */
function dpkgDeb(
  tree: string,
  path: string,
  { epochS, compression }: { readonly epochS: number; readonly compression: 'xz' | 'none' },
): void {
  const packed = [`-Z${compression}`, '--threads-max=1'];
  const how = ['--root-owner-group', ...packed, '--build', tree, path];
  const env = { ...process.env, SOURCE_DATE_EPOCH: String(epochS) };
  const done = spawnSync('dpkg-deb', how, { env, encoding: 'utf8', timeout: BUILD_MS });
  if (done.status === 0) return;
  const said = `${done.error?.message ?? ''}${done.stderr ?? ''}`.trim();
  throw new Error(`dpkg-deb could not build ${path}: ${said}`);
}
