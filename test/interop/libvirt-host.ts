import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../../src/rig/host.ts';
import { must, type Outcome, until } from '../../src/rig/run.ts';
import { type Guest, guestXml, QEMU } from './libvirt-guest.ts';

const LIBVIRTD = '/usr/sbin/libvirtd';
const VIRSH = '/usr/bin/virsh';
const PLUGIN = '/usr/lib/x86_64-linux-gnu/libvirt/lock-driver/sanlock.so';
/** It asks QEMU what it can do, and joins the lockspace, before it answers anybody. */
const READY_MS = 120_000;

/** libvirtd does not start without this user and group, of which it then makes no use. */
const QEMU_USER: Readonly<Record<string, string>> = {
  '/etc/passwd': 'libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin',
  '/etc/group': 'libvirt-qemu:x:64055:',
};

/** The lockspace of the plugin, and its file in the folder of the leases (spec 60 §1.2). */
export const LIBVIRT_LOCKSPACE = '__LIBVIRT__DISKS__';

/** What the plugin has libvirt say of a lease that another host has. */
export const HELD_ELSEWHERE =
  /^error: resource busy: Failed to acquire lock: Lease is held by another host$/m;

/**
 * Why libvirt cannot be run here; null when it can.
 * @param root of another Debian, where the hosts have it from; '': this machine's
 */
export function whyNoLibvirt(root = process.env['HOLDFAST_RIG_ROOT'] ?? ''): string | null {
  const wanted = [LIBVIRTD, VIRSH, QEMU, PLUGIN].map((path) => `${root}${path}`);
  const missing = wanted.find((path) => !existsSync(path));
  return missing === undefined ? null : `${missing} is not installed`;
}

/** Debian's libvirtd with its sanlock plugin on a host of the rig, with folders of its own. */
export class Libvirt {
  readonly host: Host;
  #process: ChildProcess;

  private constructor(host: Host) {
    this.host = host;
    this.#process = spawnLibvirtd(host);
  }

  /**
   * Returns when it answers: then it has joined its lockspace.
   * @param options.dir a folder for what hosts have for themselves
   * @param options.leases where the plugin keeps lockspace and leases, the same on all hosts
   */
  static async start(
    host: Host,
    options: {
      readonly dir: string;
      readonly leases: string;
      readonly ioTimeoutS: number;
      readonly lockManager?: string;
      readonly uuid?: string;
    },
  ): Promise<Libvirt> {
    const own = join(options.dir, `libvirt-${host.name}`);
    // A host of another Debian has only what its root is given.
    if (host.root !== null) await must('nsenter', host.enter('ln', ['-sfn', '/run', '/var/run']));
    for (const at of ['/etc/libvirt', '/var/lib', '/var/cache']) {
      await mkdir(join(own, at), { recursive: true });
      await must('nsenter', host.enter('mkdir', ['-p', at]));
      await must('nsenter', host.enter('mount', ['--bind', join(own, at), at]));
    }
    for (const file of ['/etc/passwd', '/etc/group']) {
      await writeFile(join(own, file), `${readFileSync(file, 'latin1')}${QEMU_USER[file]}\n`);
      await must('nsenter', host.enter('mount', ['--bind', join(own, file), file]));
    }
    await writeConfig(join(own, 'etc/libvirt'), host.hostId, options);
    const libvirt = new Libvirt(host);
    await libvirt.#serves();
    return libvirt;
  }

  async #serves(): Promise<void> {
    const { name } = this.host;
    const serves = async () => {
      if (!this.isRunning()) throw new Error(`libvirtd of ${name} has ended`);
      return (await this.virsh('list')).code === 0;
    };
    await until(`libvirtd of ${name}`, serves, { withinMs: READY_MS, everyMs: 200 });
  }

  /** The libvirtd that was started: nobody else restarts it. */
  isRunning(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** Its guests run on. */
  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    const hasEnded = () => !this.isRunning();
    await until(`the end of libvirtd of ${this.host.name}`, hasEnded, { withinMs: 15_000 });
  }

  /** After `kill`. */
  async startAgain(): Promise<void> {
    this.#process = spawnLibvirtd(this.host);
    await this.#serves();
  }

  virsh(...args: readonly string[]): Promise<Outcome> {
    return this.host.run(VIRSH, ['-q', '-c', 'qemu:///system', ...args]);
  }

  /** It must succeed. */
  async must(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.virsh(...args);
    if (code === 0) return stdout.trim();
    throw new Error(`${this.host.name}: virsh ${args.join(' ')}: ${stdout}${stderr}`);
  }

  /** It must fail. @returns what libvirt says to its user */
  async refuses(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.virsh(...args);
    if (code !== 0) return stderr;
    throw new Error(`${this.host.name}: virsh ${args.join(' ')} has succeeded: ${stdout}`);
  }

  /** A guest with one disk and nothing to boot from it; it is not started. */
  async define(name: string, disk: string): Promise<void> {
    await this.defineAll([{ name, disks: [{ path: disk }] }]);
  }

  /** In one call: each takes libvirt a while. */
  async defineAll(guests: readonly Guest[]): Promise<void> {
    const inside = ({ name }: Guest) => `/run/${name}.xml`;
    for (const guest of guests) await writeFile(this.host.path(inside(guest)), guestXml(guest));
    await this.must(guests.map((guest) => `define ${inside(guest)}`).join('; '));
  }

  /**
   * Kills its QEMU, which is much faster than to stop it. Returns when libvirt knows, and the guest
   * can be started again.
   */
  async end(name: string): Promise<void> {
    process.kill(this.qemuPid(name), 'SIGKILL');
    const isOff = async () => !(await this.must('list', '--name')).split('\n').includes(name);
    await until(`the end of guest ${name}`, isOff, { withinMs: 60_000 });
  }

  /** Of the QEMU of a guest that runs, or is paused. */
  qemuPid(name: string): number {
    return Number(readFileSync(this.host.path(`/run/libvirt/qemu/${name}.pid`), 'ascii'));
  }
}

function spawnLibvirtd(host: Host): ChildProcess {
  return host.spawn(LIBVIRTD, ['-f', '/etc/libvirt/libvirtd.conf']);
}

/** qemu.conf of a host without systemd, D-Bus, cgroups, KVM and security modules. */
export const BARE_QEMU_CONF: readonly string[] = [
  'user = "root"',
  'group = "root"',
  'security_driver = "none"',
  'dynamic_ownership = 0',
  'remember_owner = 0',
  'cgroup_controllers = [ ]',
  'namespaces = [ ]',
  'seccomp_sandbox = 0',
  'stdio_handler = "file"',
];

async function writeConfig(
  etc: string,
  hostId: number,
  options: {
    readonly leases: string;
    readonly ioTimeoutS: number;
    readonly lockManager?: string;
    readonly uuid?: string;
  },
): Promise<void> {
  const files = {
    'qemu.conf': [...BARE_QEMU_CONF, `lock_manager = "${options.lockManager ?? 'sanlock'}"`],
    'qemu-sanlock.conf': [
      'auto_disk_leases = 1',
      `disk_lease_dir = "${options.leases}"`,
      `host_id = ${hostId}`,
      'require_lease_for_disks = 0',
      `io_timeout = ${options.ioTimeoutS}`,
    ],
    'libvirtd.conf': [
      ...(options.uuid ? [`host_uuid = "${options.uuid}"`] : []),
      'auth_unix_ro = "none"',
      'auth_unix_rw = "none"',
      'unix_sock_group = "root"',
      'log_filters = "1:locking 3:qemu 4:util"',
      'log_outputs = "1:file:/var/log/libvirtd.log"',
    ],
  };
  for (const [name, lines] of Object.entries(files)) {
    await writeFile(join(etc, name), `${lines.join('\n')}\n`);
  }
}
