import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { run, until } from './run.ts';

/** Debian 13: lvm 2.03.31, sanlock 3.9.5, libvirt 11.3. */
const SUITE = 'trixie';
const PACKAGES = ['sanlock', 'lvm2', 'lvm2-lockd', 'python3-sanlock'] as const;
/** They need systemd, which debootstrap cannot set up in its order. */
const MORE_PACKAGES = [
  ...['libvirt-daemon', 'libvirt-daemon-driver-qemu', 'libvirt-daemon-plugin-sanlock'],
  ...['libvirt-daemon-driver-storage', 'libvirt-clients', 'qemu-system-x86'],
] as const;
/** The name changes with what is put in, so that no root in use is ever changed. */
const CACHED = '/var/cache/holdfast/debian-13.2';
const OWN_PLACE = 'HOLDFAST_TRIXIE_ROOT';
/** Written last: a root without it is one that somebody else made, or that is not whole. */
const WHOLE = '.holdfast-whole';
const MAKE_S = 1500;
const MIRROR = 'http://deb.debian.org/debian';
const SOURCES = ['/etc/apt/sources.list', '/etc/apt/sources.list.d'] as const;

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

/**
 * Makes the root of Debian 13 unless it is there. Of runs at the same time one makes it, and the
 * others wait for that. What is half made never has the name of the root. Throws with one sentence.
 */
export async function makeDebian13(say: (line: string) => void): Promise<string> {
  const folder = debian13Folder();
  if (isWhole(folder)) return folder;
  const missing = whyNotHere();
  if (missing !== null) throw new Error(`no root of Debian 13 can be made: ${missing}`);
  await mkdir(dirname(folder), { recursive: true });
  const lock = await lockOn(`${folder}.lock`);
  try {
    if (!isWhole(folder)) {
      await makeAt(folder, say);
      if (folder === CACHED) await removeOlder(say);
    }
  } finally {
    lock.stdin?.end();
  }
  return folder;
}

function isWhole(folder: string): boolean {
  return existsSync(join(folder, WHOLE));
}

function whyNotHere(): string | null {
  if (process.getuid?.() !== 0) return 'it needs root';
  if (!existsSync('/usr/sbin/debootstrap'))
    return 'the Debian package debootstrap is not installed';
  return null;
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

async function makeAt(folder: string, say: (line: string) => void): Promise<void> {
  const prefix = `${folder}.making-`;
  // We hold the lock, so whoever began these has ended.
  for (const name of await readdir(dirname(folder))) {
    if (name.startsWith(basename(prefix))) await remove(join(dirname(folder), name));
  }
  const mirror = mirrorOf(aptSources());
  say(`making a root of Debian 13 (${SUITE}) in ${folder}, from ${mirror}: about three minutes`);
  const making = await mkdtemp(prefix);
  try {
    await chmod(making, 0o755);
    await hurryDpkg(making);
    await bootstrap(making, mirror);
    for (const used of ['var/cache/apt', 'var/lib/apt/lists']) {
      await rm(join(making, used), { recursive: true, force: true });
    }
    await writeFile(join(making, WHOLE), `${SUITE} ${[...PACKAGES, ...MORE_PACKAGES].join(' ')}\n`);
    await remove(folder);
    await rename(making, folder);
  } catch (error) {
    await remove(making);
    throw error;
  }
}

/** Roots that an earlier release has made, unless a host of somebody else's has one. */
async function removeOlder(say: (line: string) => void): Promise<void> {
  for (const name of await readdir(dirname(CACHED))) {
    if (!/^debian-13(\.\d+)?$/.test(name) || name === basename(CACHED)) continue;
    const older = join(dirname(CACHED), name);
    if (isMounted(older)) continue;
    say(`removing ${older}, which ${CACHED} replaces`);
    await remove(older);
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

async function bootstrap(folder: string, mirror: string): Promise<void> {
  const debootstrap = ['debootstrap', '--variant=minbase', `--include=${PACKAGES.join(',')}`];
  await apart([...debootstrap, SUITE, folder, mirror]);
  const settings = ['env', 'DEBIAN_FRONTEND=noninteractive', 'LC_ALL=C.UTF-8'];
  const apt = ['chroot', folder, ...settings, 'apt-get', '-qq', '-y', '--no-install-recommends'];
  await apart([...apt, 'update']);
  await apart([...apt, 'install', ...MORE_PACKAGES]);
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
async function remove(folder: string): Promise<void> {
  await run('rm', ['-rf', '--one-file-system', folder], { timeoutMs: 120_000 });
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
