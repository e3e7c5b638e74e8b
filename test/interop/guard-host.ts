import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { hookScript } from '../../src/guard/hook-script.ts';
import type { GuardReport } from '../../src/guard/report.ts';
import { NODE_ARGUMENTS } from '../../src/platform/clean-start.ts';
import type { Host } from '../../src/rig/host.ts';
import { until } from '../../src/rig/run.ts';
import { GuardService, nodeOf, SOCKET, SOON } from './guard-service.ts';
import { type Guest, type OtherDisk, withoutImageLock } from './libvirt-guest.ts';
import { Libvirt } from './libvirt-host.ts';

const ROOT = resolve(process.env['HOLDFAST_ROOT'] ?? '.');
const STORAGE_DAEMON = '/usr/bin/qemu-storage-daemon';

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
  readonly emulator: string;
  readonly #dir: string;
  readonly #guards: GuardService[] = [];

  private constructor(host: Host, libvirt: Libvirt, of: { emulator: string; dir: string }) {
    this.#dir = of.dir;
    this.host = host;
    this.libvirt = libvirt;
    this.emulator = of.emulator;
  }

  /** Returns when this host has joined the lockspace. */
  static async start(host: Host, options: GuardedOptions): Promise<GuardedHost> {
    const { dir, leases, ioTimeoutS, plugin = false, guard = true } = options;
    await host.run('ip', ['link', 'set', 'lo', 'up']);
    if (guard) writeHook(host, dir);
    const libvirt = await Libvirt.start(host, {
      ...{ dir, leases, ioTimeoutS, lockManager: plugin ? 'sanlock' : 'nop' },
      uuid: `${host.hostId}1111111-2222-4222-8222-22222222222${host.hostId}`,
    });
    const emulator = await withoutImageLock(host);
    const guarded = new GuardedHost(host, libvirt, { emulator, dir });
    if (!guard) return guarded;
    guarded.startGuard();
    await guarded.#guards.at(-1)?.joined();
    return guarded;
  }

  startGuard(): void {
    this.#guards.push(GuardService.begin(this.host));
  }

  /** Its keepers stay. */
  async killGuard(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.#guards.at(-1)?.end(signal);
  }

  /** All that the guards have said. */
  get log(): string {
    return this.#guards.map(({ log }) => log).join('');
  }

  /** What the guard says of itself; null: it does not serve. */
  async report(): Promise<GuardReport | null> {
    return (await this.#guards.at(-1)?.report()) ?? null;
  }

  /**
   * What the guard has for a guest: 'exclusive', …; of several leases, joined by blanks; '': nothing.
   */
  async held(name: string): Promise<string> {
    const guests = (await this.report())?.guests;
    if (guests === undefined) return 'there is no guard';
    const guest = guests.find((one) => one.name === name);
    return guest === undefined ? '' : guest.leases.map(({ held }) => held ?? 'none').join(' ');
  }

  /** Returns when a guest that runs here has its only lease alone. */
  async untilAlone(name: string): Promise<void> {
    const isAlone = async () => (await this.held(name)) === 'exclusive';
    await until(`${this.host.name} has ${name} alone`, isAlone, SOON);
    assert.equal(await this.domState(name), 'running');
  }

  /** Returns when the guard has nothing for a guest any more. */
  async untilWithout(name: string): Promise<void> {
    const isFree = async () => (await this.held(name)) === '';
    await until(`${this.host.name} has nothing of ${name}`, isFree, SOON);
  }

  /** null: it has none now. */
  async keeperPid(name: string): Promise<number | null> {
    const guests = (await this.report())?.guests ?? [];
    return guests.find((one) => one.name === name)?.keeperPid ?? null;
  }

  /** What is written down of a guest. */
  recordPath(uuid: string): string {
    return this.host.path(`/run/holdfast/guests/${uuid}.json`);
  }

  /** Guests that this host can start, which migrate by these UUIDs. */
  async define(...guests: readonly Omit<Guest, 'emulator'>[]): Promise<void> {
    const { emulator } = this;
    await this.libvirt.defineAll(guests.map((guest) => ({ emulator, ...guest })));
  }

  /** Whether libvirt asks the guard. */
  setHook(what: 'guard' | 'absent'): void {
    if (what === 'guard') writeHook(this.host, this.#dir);
    else writeFileSync(hookPath(this.host, this.#dir), '#!/bin/sh\ncat >/dev/null\n');
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

function hookPath(host: Host, dir: string): string {
  return join(dir, `libvirt-${host.name}`, 'etc/libvirt/hooks/qemu.d/50-holdfast-guard');
}

function writeHook(host: Host, dir: string): void {
  const path = hookPath(host, dir);
  const hooks = dirname(path);
  mkdirSync(hooks, { recursive: true });
  const script = hookScript({
    ...{ node: nodeOf(host), nodeArguments: NODE_ARGUMENTS },
    ...{ hook: resolve(ROOT, 'dist/guard-hook.cjs'), socket: SOCKET },
  });
  if (!script.ok) throw new Error(script.error);
  writeFileSync(path, script.value);
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

  /** `use`: 'shareable', 'readonly'. */
  disk(volume: number, of: { target?: string; use?: string } = {}): OtherDisk {
    const { target = 'vda', use } = of;
    const xml = `<disk type='network' device='disk'><driver name='qemu' type='raw'/>
      <source protocol='nbd' name='vol${volume}'>
        <host transport='unix' socket='${this.#socket}'/></source>
      <target dev='${target}' bus='virtio'/>${use === undefined ? '' : `<${use}/>`}</disk>`;
    return { xml };
  }

  close(): void {
    this.#child.kill('SIGKILL');
  }
}

const LAST_LINES = 40;

/** With what guard and sanlock of these hosts said last, where it fails. */
export async function explained<T>(
  hosts: readonly GuardedHost[],
  body: () => Promise<T>,
): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (error instanceof Error) {
      for (const one of hosts) error.message += `\n${await lastWords(one)}`;
    }
    throw error;
  }
}

async function lastWords({ host, log }: GuardedHost): Promise<string> {
  const { stdout } = await host.run(host.program('sanlock'), ['client', 'log_dump']);
  const last = (text: string) => text.trim().split('\n').slice(-LAST_LINES).join('\n');
  return `== guard of ${host.name}\n${last(log)}\n== its sanlock\n${last(stdout)}`;
}
