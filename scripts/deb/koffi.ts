import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { type Entry, file } from './entries.ts';

/** Debian's name of an architecture, and that of koffi's compiled part for it. */
const NATIVE = { amd64: 'x64', arm64: 'arm64' } as const;
export type Architecture = keyof typeof NATIVE;
export const ARCHITECTURES = Object.keys(NATIVE) as readonly Architecture[];

/** What Node loads of koffi; the rest are sources for other platforms. */
const LOADED = [
  'package.json',
  'index.cjs',
  'LICENSE.txt',
  'src/koffi/index.cjs',
  'src/koffi/src/static.cjs',
];
const FETCH_MS = 120_000;

/** The architecture of this machine, where there is a package for it. */
export function ownArchitecture(): Architecture | null {
  return ARCHITECTURES.find((name) => NATIVE[name] === process.arch) ?? null;
}

/** koffi with its compiled part for one architecture and the C library of Debian. */
export function koffiEntries(root: string, to: string, architecture: Architecture): Entry[] {
  const native = `koffi-linux-${NATIVE[architecture]}`;
  const from = nativeFolder(root, native);
  const copied = (path: string, source: string) =>
    file(`${to}/${path}`, readFileSync(join(source)));
  const base = join(root, 'node_modules/koffi');
  return [
    ...LOADED.map((name) => copied(`koffi/${name}`, join(base, name))),
    ...['package.json', 'index.js', `linux_${NATIVE[architecture]}/koffi.node`].map((name) =>
      copied(`@koromix/${native}/${name}`, join(from, name)),
    ),
  ];
}

/** Where npm has put it, or, of another architecture, where it is fetched to. */
function nativeFolder(root: string, native: string): string {
  const installed = join(root, 'node_modules/@koromix', native);
  if (existsSync(installed)) return installed;
  const { version, integrity } = locked(root, `@koromix/${native}`);
  const cached = join(root, 'node_modules/.cache/holdfast', `${native}-${version}`);
  if (!existsSync(cached)) fetch(`@koromix/${native}@${version}`, integrity, cached);
  return join(cached, 'package');
}

interface Locked {
  readonly version: string;
  readonly integrity: string;
}

function locked(root: string, name: string): Locked {
  const lock: unknown = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const { packages } = lock as { readonly packages: Readonly<Record<string, Locked>> };
  const found = packages[`node_modules/${name}`];
  if (found === undefined) throw new Error(`package-lock.json has no ${name}`);
  return found;
}

/** From the registry, and only with the bytes that package-lock.json names. */
function fetch(what: string, integrity: string, to: string): void {
  mkdirSync(join(to, '..'), { recursive: true });
  const making = mkdtempSync(`${to}.making-`);
  try {
    run('npm', ['pack', what, '--ignore-scripts', '--silent', '--pack-destination', making]);
    const [archive = ''] = readdirSync(making);
    const bytes = readFileSync(join(making, archive));
    const found = `sha512-${createHash('sha512').update(bytes).digest('base64')}`;
    if (found !== integrity) {
      throw new Error(`${what} is not what package-lock.json names: ${found}, not ${integrity}`);
    }
    run('tar', ['-xzf', join(making, archive), '-C', making]);
    renameSync(making, to);
  } catch (error) {
    rmSync(making, { recursive: true, force: true });
    throw error;
  }
}

function run(command: string, args: readonly string[]): void {
  const done = spawnSync(command, args, { encoding: 'utf8', timeout: FETCH_MS });
  if (done.status === 0) return;
  const said = `${done.error?.message ?? ''}${done.stderr ?? ''}`.trim();
  throw new Error(`${command} ${args.join(' ')} failed (${done.status}): ${said}`);
}
