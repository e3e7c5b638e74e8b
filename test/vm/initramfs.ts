import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

const BUSYBOX = '/bin/busybox';
const QEMU = '/usr/bin/qemu-system-x86_64';
const MODULES = [
  'virtio_pci',
  '9pnet_virtio',
  '9p',
  'overlay',
  'virtio_blk',
  'virtio_console',
].concat(['virtio-rng', 'i6300esb', 'ext4', 'dm_mod']);
const DIRECTORY = 0o040755;
const PROGRAM = 0o100755;
const PLAIN = 0o100644;

export const ROOT = process.env['HOLDFAST_ROOT'] ?? process.cwd();

/** Why no machine can be booted here; null when it can. */
export function whyNoMachines(): string | null {
  if (process.getuid?.() !== 0) return 'machines read this host as root reads it: run as root';
  if (process.arch !== 'x64') return `machines are x86-64, this host is ${process.arch}`;
  if (!existsSync(QEMU)) return `${QEMU} is not installed (qemu-system-x86)`;
  if (!existsSync(BUSYBOX)) return `${BUSYBOX} is not installed (busybox-static)`;
  if (kernelVersion() === null) return 'no kernel in /boot has its modules (linux-image-amd64)';
  return existsSync('/sbin/modprobe') ? null : '/sbin/modprobe is not installed (kmod)';
}

/** The newest installed kernel that has its modules. */
export function kernelVersion(): string | null {
  if (!existsSync('/boot')) return null;
  const versions = readdirSync('/boot')
    .filter((name) => name.startsWith('vmlinuz-'))
    .map((name) => name.slice('vmlinuz-'.length))
    .filter((version) => existsSync(`/lib/modules/${version}/modules.dep`));
  versions.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  return versions.at(-1) ?? null;
}

/** Module files with all they need, in the order to load them. */
function moduleFiles(version: string): readonly string[] {
  const files = new Set<string>();
  for (const module of MODULES) {
    const args = ['--set-version', version, '--show-depends', module];
    for (const line of execFileSync('/sbin/modprobe', args, { encoding: 'utf8' }).split('\n')) {
      const [verb, file] = line.trim().split(' ');
      if (verb === 'insmod' && file !== undefined) files.add(file); // others say: builtin
    }
  }
  return [...files];
}

interface Entry {
  readonly name: string;
  readonly mode: number;
  readonly bytes: Uint8Array;
}

/** Everything a machine needs until it sees its host's files, as the kernel unpacks it. */
export function writeInitramfs(path: string, version: string): void {
  const modules = moduleFiles(version);
  const file = (name: string, from: string) => ({ name, mode: PROGRAM, bytes: readFileSync(from) });
  const plain = (name: string, from: string) => ({ ...file(name, from), mode: PLAIN });
  const directory = (name: string) => ({ name, mode: DIRECTORY, bytes: new Uint8Array() });
  const order = Buffer.from(modules.map((module) => `${basename(module)}\n`).join(''));
  writeFileSync(
    path,
    cpio([
      directory('bin'),
      directory('modules'),
      file('bin/busybox', BUSYBOX),
      file('init', join(ROOT, 'test/vm/init.sh')),
      file('agent.sh', join(ROOT, 'test/vm/agent.sh')),
      plain('agent.service', join(ROOT, 'test/vm/agent.service')),
      plain('machine.target', join(ROOT, 'test/vm/machine.target')),
      { name: 'modules/order', mode: PLAIN, bytes: order },
      ...modules.map((module) => file(`modules/${basename(module)}`, module)),
    ]),
  );
}

/** A `newc` archive: for each entry thirteen hexadecimal fields, name and contents, by fours. */
function cpio(entries: readonly Entry[]): Uint8Array {
  const end = { name: 'TRAILER!!!', mode: 0, bytes: new Uint8Array() };
  const parts = [...entries, end].flatMap(({ name, mode, bytes }, index) => {
    const [user, group, links, time, device] = [0, 0, 1, 0, 0];
    const size = bytes.length;
    const places = [device, device, device, device];
    const head = [index + 1, mode, user, group, links, time, size, ...places, name.length + 1, 0];
    const fields = head.map((field) => field.toString(16).padStart(8, '0')).join('');
    return [byFours(Buffer.from(`070701${fields}${name}\0`)), byFours(bytes)];
  });
  return Buffer.concat(parts);
}

function byFours(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
}
