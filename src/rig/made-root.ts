import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { run, until } from './run.ts';

/** A root of a Debian, in a folder, as debootstrap makes it. */
export interface RootToMake {
  /** The name changes with what is put in, so that no root in use is ever changed. */
  readonly folder: string;
  readonly suite: string;
  readonly packages: readonly string[];
  /** What else is put in, while nobody else sees the folder. */
  readonly complete: (making: string) => Promise<void>;
}

/** Written last: a root without it is one that somebody else made, or that is not whole. */
const WHOLE = '.holdfast-whole';
const MAKE_S = 1500;
const MIRROR = 'http://deb.debian.org/debian';
const SOURCES = ['/etc/apt/sources.list', '/etc/apt/sources.list.d'] as const;

export function isWhole(folder: string): boolean {
  return existsSync(join(folder, WHOLE));
}

/**
 * Makes the root unless it is there. Of runs at the same time one makes it, and the others wait for
 * that. What is half made never has the name of the root. Throws with one sentence.
 * @returns whether it was made
 */
export async function makeRoot(root: RootToMake, say: (line: string) => void): Promise<boolean> {
  const { folder } = root;
  if (isWhole(folder)) return false;
  const missing = whyNotHere();
  if (missing !== null) throw new Error(`no root of Debian can be made: ${missing}`);
  await mkdir(dirname(folder), { recursive: true });
  const lock = await lockOn(`${folder}.lock`);
  try {
    if (isWhole(folder)) return false;
    await makeAt(root, say);
    return true;
  } finally {
    lock.stdin?.end();
  }
}

function whyNotHere(): string | null {
  if (process.getuid?.() !== 0) return 'it needs root';
  if (!existsSync('/usr/sbin/debootstrap'))
    return 'the Debian package debootstrap is not installed';
  return null;
}

async function makeAt(root: RootToMake, say: (line: string) => void): Promise<void> {
  const { folder, suite, packages } = root;
  const prefix = `${folder}.making-`;
  // We hold the lock, so whoever began these has ended.
  for (const name of await readdir(dirname(folder))) {
    if (name.startsWith(basename(prefix))) await removeRoot(join(dirname(folder), name));
  }
  const mirror = mirrorOf(aptSources());
  say(`making a root of Debian (${suite}) in ${folder}, from ${mirror}: up to three minutes`);
  const making = await mkdtemp(prefix);
  try {
    await chmod(making, 0o755);
    await hurryDpkg(making);
    const debootstrap = ['debootstrap', '--variant=minbase', `--include=${packages.join(',')}`];
    await apart([...debootstrap, suite, making, mirror]);
    await root.complete(making);
    await writeFile(join(making, WHOLE), `${suite} ${packages.join(' ')}\n`);
    await removeRoot(folder);
    await rename(making, folder);
  } catch (error) {
    await removeRoot(making);
    throw error;
  }
}

/** Runs a program in the root, as its administrator; its mounts and processes end with it. */
export async function inRoot(root: string, command: readonly string[]): Promise<void> {
  const settings = ['env', 'DEBIAN_FRONTEND=noninteractive', 'LC_ALL=C.UTF-8'];
  await apart(['chroot', root, ...settings, ...command]);
}

/** Roots that an earlier release has made, unless a host of somebody else's has one. */
export async function removeOlder(
  current: string,
  pattern: RegExp,
  say: (line: string) => void,
): Promise<void> {
  for (const name of await readdir(dirname(current))) {
    if (!pattern.test(name) || name === basename(current)) continue;
    const older = join(dirname(current), name);
    if (isMounted(older)) continue;
    say(`removing ${older}, which ${current} replaces`);
    await removeRoot(older);
    await rm(`${older}.lock`, { force: true });
  }
}

/** Whether any process sees a part of it as a mount. */
export function isMounted(folder: string): boolean {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.some((pid) => {
    try {
      return readFileSync(`/proc/${pid}/mountinfo`, 'utf8').includes(` ${folder}/`);
    } catch {
      return false; // it has ended
    }
  });
}

/** dpkg need not wait for the disk: what is cut short is thrown away. */
async function hurryDpkg(folder: string): Promise<void> {
  const settings = join(folder, 'etc/dpkg/dpkg.cfg.d');
  await mkdir(settings, { recursive: true });
  await writeFile(join(settings, 'holdfast'), 'force-unsafe-io\n');
}

/**
 * In namespaces of its own: its mounts, and the processes that packages start when they are set up,
 * end with it, also at the deadline.
 */
async function apart(command: readonly string[]): Promise<void> {
  const namespaces = ['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child'];
  const words = [...namespaces, '--mount-proc', ...command];
  const done = await run('unshare', words, { timeoutMs: MAKE_S * 1000 });
  if (done.code === 0) return;
  const said = `${done.stdout}\n${done.stderr}`.trim().split('\n').at(-1);
  throw new Error(`${command.join(' ')} failed (${done.code}): ${said}`);
}

/** rm stays on one file system, should a mount have been left in the folder. */
export async function removeRoot(folder: string): Promise<void> {
  // Thousands of files, and a busy machine: what is given up here stays for good.
  await run('rm', ['-rf', '--one-file-system', folder], { timeoutMs: 600_000 });
}

/** `flock` holds the lock, and passes on our words once it has it, until our end of its pipe closes. */
async function lockOn(path: string): Promise<ChildProcess> {
  const holder = spawn('flock', [path, 'cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
  let isHeld = false;
  holder.stdout?.once('data', () => {
    isHeld = true;
  });
  holder.stdin?.write('held?\n');
  const hasIt = () => {
    if (holder.exitCode !== null) throw new Error(`flock ${path} ended (${holder.exitCode})`);
    return isHeld;
  };
  await until(`the lock ${path}`, hasIt, { withinMs: (MAKE_S + 60) * 1000, everyMs: 100 });
  return holder;
}

function aptSources(): string {
  const files = SOURCES.flatMap((path) => {
    if (!existsSync(path)) return [];
    if (path.endsWith('.list')) return [path];
    return readdirSync(path).map((name) => join(path, name));
  });
  return files.map((file) => readFileSync(file, 'utf8')).join('\n');
}

/** The mirror that this machine uses, as its apt is configured; the default when it has none. */
export function mirrorOf(sources: string): string {
  const lines = sources.split('\n').filter((line) => !line.trimStart().startsWith('#'));
  const addresses = lines.join('\n').matchAll(/\bhttps?:\/\/[^\s\]]+/g);
  for (const [address] of addresses) {
    if (/\/debian\/?$/.test(address)) return address;
  }
  return MIRROR;
}
