import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { GuardReport } from '../../src/guard/report.ts';
import type { Host } from '../../src/rig/host.ts';
import { until } from '../../src/rig/run.ts';
import { Libvirt } from './libvirt-host.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const STORAGE_DAEMON = '/usr/bin/qemu-storage-daemon';
const SOCKET = '/run/holdfast/guard.sock';
const SERVES_MS = 30_000;

export interface GuardedOptions {
  /** What hosts have for themselves, and the lease directory of all. */
  readonly dir: string;
  readonly leases: string;
  readonly ioTimeoutS: number;
  /** Whether libvirt's plugin is used as well. */
  readonly plugin?: boolean;
  /** false: the plugin alone. */
  readonly guard?: boolean;
}

/** A host of the rig with libvirtd and our guard; sanlock runs there already. */
export class GuardedHost {
  readonly host: Host;
  readonly libvirt: Libvirt;
  readonly #dir: string;
  #guard: ChildProcess | null = null;
  #log = '';

  private constructor(host: Host, libvirt: Libvirt, dir: string) {
    this.host = host;
    this.libvirt = libvirt;
    this.#dir = dir;
  }

  /** Returns when this host has joined the lockspace. */
  static async start(host: Host, options: GuardedOptions): Promise<GuardedHost> {
    const { dir, leases, ioTimeoutS, plugin = false, guard = true } = options;
    await host.run('ip', ['link', 'set', 'lo', 'up']);
    writeFileSync(join(dir, 'qemu-unlocked'), UNLOCKED_QEMU, { mode: 0o755 });
    if (guard) writeHook(host, dir);
    const libvirt = await Libvirt.start(host, {
      ...{ dir, leases, ioTimeoutS, lockManager: plugin ? 'sanlock' : 'nop' },
      uuid: `${host.hostId}1111111-2222-4222-8222-22222222222${host.hostId}`,
    });
    const guarded = new GuardedHost(host, libvirt, dir);
    if (!guard) return guarded;
    guarded.startGuard();
    const isJoined = async () => (await guarded.report())?.lockspaceCode === 0;
    await until(`the guard of ${host.name} has joined`, isJoined, { withinMs: 60_000 });
    return guarded;
  }

  startGuard(): void {
    const child = this.host.spawn(
      nodeOf(this.host),
      [join(ROOT, 'dist/guardd.cjs')],
      ['ignore', 'ignore', 'pipe'],
    );
    child.stderr?.on('data', (bytes) => {
      this.#log += bytes;
    });
    this.#guard = child;
  }

  /** Its keepers stay. */
  async killGuard(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#guard;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  }

  /** All that the guard has said. */
  get log(): string {
    return this.#log;
  }

  /** What the guard says of itself; null: it does not serve. */
  async report(): Promise<GuardReport | null> {
    const socket = connect(this.host.path(SOCKET));
    return await new Promise((resolve) => {
      let said = '';
      socket.setTimeout(SERVES_MS, () => socket.destroy());
      socket.on('connect', () => socket.write('{"operation":"status"}\n'));
      socket.on('data', (bytes) => {
        said += bytes;
      });
      socket.on('error', () => resolve(null));
      socket.on('close', () => {
        try {
          resolve((JSON.parse(said) as { report: GuardReport }).report);
        } catch {
          resolve(null);
        }
      });
    });
  }

  /** What the guard has for a guest: 'exclusive', …; of several leases, joined by blanks. */
  async held(name: string): Promise<string> {
    const guests = (await this.report())?.guests ?? [];
    const guest = guests.find((one) => one.name === name);
    return guest === undefined ? '' : guest.leases.map(({ held }) => held ?? 'none').join(' ');
  }

  async keeperPid(name: string): Promise<number> {
    const guests = (await this.report())?.guests ?? [];
    const pid = guests.find((one) => one.name === name)?.keeperPid ?? null;
    if (pid === null) throw new Error(`${this.host.name} has no keeper of ${name}`);
    return pid;
  }

  /** Defines a guest with these disks; it is not started. */
  async define(name: string, uuid: string, disks: string, more = ''): Promise<void> {
    const emulator = join(this.#dir, 'qemu-unlocked');
    const xml = domainXml({ name, uuid, disks, more, emulator });
    writeFileSync(this.host.path(`/run/${name}.xml`), xml);
    await this.libvirt.must('define', `/run/${name}.xml`);
  }

  /** Live, to another host; the socket for it is made in a folder of both. */
  async migrate(name: string, to: GuardedHost, dir: string) {
    const socket = to.host.path('/run/libvirt/libvirt-sock');
    return await this.libvirt.virsh(
      ...['migrate', '--live', '--unsafe', name],
      ...['--desturi', `qemu+unix:///system?socket=${socket}`],
      ...['--migrateuri', `unix://${dir}/${name}-${this.host.name}.sock`],
    );
  }

  /** The next hook of that operation waits; returns when it does. `go` lets it end. */
  async holdAt(operation: string): Promise<{ go: (how: 'on' | 'failed') => void }> {
    const at = (what: string) => this.host.path(`/run/${what}-${operation}`);
    rmSync(at('fail'), { force: true });
    writeFileSync(at('hold'), '');
    await until(`the ${operation} hook`, () => existsSync(at('held')), { withinMs: 60_000 });
    return {
      go: (how) => {
        if (how === 'failed') writeFileSync(at('fail'), '');
        rmSync(at('hold'));
      },
    };
  }

  domState(name: string): Promise<string> {
    return this.libvirt.must('domstate', name);
  }
}

/** Node is in a folder of its own where a host has another Debian. */
function nodeOf(host: Host): string {
  return host.root === null ? process.execPath : '/opt/node/node';
}

function writeHook(host: Host, dir: string): void {
  const hooks = join(dir, `libvirt-${host.name}`, 'etc/libvirt/hooks/qemu.d');
  mkdirSync(hooks, { recursive: true });
  const path = join(hooks, '50-holdfast-guard');
  const hook = `${nodeOf(host)} ${ROOT}/dist/guard-hook.cjs ${SOCKET} "$1" "$2"`;
  writeFileSync(
    path,
    `#!/bin/sh\ncase "$2" in start|reconnect|migrate|release) exec ${hook};; esac\ncat >/dev/null\n`,
  );
  chmodSync(path, 0o755);
  writeFileSync(join(hooks, '60-test'), TEST_HOOK);
  chmodSync(join(hooks, '60-test'), 0o755);
}

/** A hook of the test: holds libvirt up where a file says so, and lets it fail where another does. */
const TEST_HOOK = `#!/bin/sh
cat >/dev/null
[ -e "/run/hold-$2" ] || exit 0
touch "/run/held-$2"
while [ -e "/run/hold-$2" ]; do sleep 0.05; done
rm "/run/held-$2"
[ ! -e "/run/fail-$2" ]
`;

/** QEMU without its own lock on image files, which ends at the machine: only leases count. */
const UNLOCKED_QEMU = `#!/bin/sh
for word do
  shift
  case $word in
    '{"driver":"file",'*) word='{"locking":"off",'"\${word#?}" ;;
    '{"driver":"host_device",'*) word='{"locking":"off",'"\${word#?}" ;;
  esac
  set -- "$@" "$word"
done
exec /usr/bin/qemu-system-x86_64 "$@"
`;

function domainXml(of: {
  readonly name: string;
  readonly uuid: string;
  readonly disks: string;
  readonly more: string;
  readonly emulator: string;
}): string {
  const { name, uuid, disks, more, emulator } = of;
  return `<domain type='qemu'>
    <name>${name}</name><uuid>${uuid}</uuid><memory unit='MiB'>32</memory><vcpu>1</vcpu>
    <os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features>${more}
    <devices>
      <emulator>${emulator}</emulator>${disks}
      <controller type='usb' model='none'/><memballoon model='none'/>
    </devices>
  </domain>\n`;
}

/** Volumes over the network, each named `vol0`, `vol1`, …, by NBD on a unix socket. */
export class NbdServer {
  readonly #socket: string;
  readonly #child: ChildProcess;

  private constructor(socket: string, child: ChildProcess) {
    this.#socket = socket;
    this.#child = child;
  }

  static start(dir: string, volumes: number): NbdServer {
    const socket = join(dir, 'nbd.sock');
    const exports = Array.from({ length: volumes }, (_, n) => {
      const file = join(dir, `vol${n}.img`);
      writeFileSync(file, new Uint8Array(1 << 20));
      return [
        ...['--blockdev', `driver=file,node-name=f${n},filename=${file},locking=off`],
        ...['--export', `type=nbd,id=e${n},node-name=f${n},name=vol${n},writable=on`],
      ];
    });
    const server = ['--nbd-server', `addr.type=unix,addr.path=${socket},max-connections=0`];
    const nodes = exports.flatMap((words) => words.slice(0, 2));
    const served = exports.flatMap((words) => words.slice(2));
    const child = spawn(STORAGE_DAEMON, [...nodes, ...server, ...served], { stdio: 'inherit' });
    return new NbdServer(socket, child);
  }

  /** `how`: '<shareable/>', '<readonly/>' or nothing. */
  disk(volume: number, target = 'vda', how = ''): string {
    return `<disk type='network' device='disk'><driver name='qemu' type='raw'/>
      <source protocol='nbd' name='vol${volume}'>
        <host transport='unix' socket='${this.#socket}'/></source>
      <target dev='${target}' bus='virtio'/>${how}</disk>`;
  }

  close(): void {
    this.#child.kill('SIGKILL');
  }
}
