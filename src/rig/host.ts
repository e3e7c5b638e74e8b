import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { createWriteStream, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Lun } from './lun.ts';
import { MountNamespace } from './mount-namespace.ts';
import { enterOtherRoot, NODE_FOLDER, projectOf } from './other-root.ts';
import { ENDED_MS } from './processes.ts';
import { must, type Outcome, run, until } from './run.ts';

export type Maker = 'ours' | 'original';
export type HostProgram = 'sanlock' | 'lvmlockd' | 'lvmlockctl';
/** Whose each program of a host is; wdmd is of the maker of sanlock. */
export type Makers = Readonly<Record<HostProgram, Maker>>;
export type Daemon = 'sanlock' | 'lvmlockd' | 'wdmd';

export interface HostOptions {
  readonly name: string;
  /** 1..2000, unique in the rig; 0 = none configured. */
  readonly hostId: number;
  readonly makers: Makers;
  readonly ioTimeoutS: number;
  readonly lun: Lun;
  readonly vg: string;
  /** A folder of this host's own. */
  readonly dir: string;
  /** The project's bin folder. */
  readonly bin: string;
  /** The device of the host's wdmd, which sanlock then uses; null: neither is so. */
  readonly watchdog: string | null;
  /**
   * The folder of another Debian, from which the host has lvm and the originals; null: it has those
   * of this machine.
   */
  readonly root: string | null;
  /** Folders of this machine that a host of another Debian sees as well, in the same place. */
  readonly shown: readonly string[];
}

const ORIGINALS = '/usr/sbin';
/** To start a program of ours takes a busy machine many seconds. */
const READY_MS = 60_000;
const ASKED_MS = 20_000;
/** Where wdmd keeps its socket, and the mark that it has not been ended in order. */
const WDMD_FOLDERS = ['/run/wdmd', '/dev/shm'] as const;
const RUN_FOLDERS = ['/run/lvm', '/run/lock/lvm', '/run/sanlock'] as const;
/** What guests leave in /run, where a host has any. */
const GUEST_FOLDERS = ['/run/libvirt', '/run/holdfast'] as const;

/**
 * One host of a rig: a mount, UTS and network namespace with its own /run, /dev/mapper, LVM
 * configuration and daemons. The kernel, and so the LUN, is the machine's.
 */
export class Host {
  readonly name: string;
  readonly hostId: number;
  #makers: Makers;
  readonly #options: HostOptions;
  readonly #holder: ChildProcess;
  readonly #daemons = new Map<Daemon, ChildProcess>();
  /** Pids of all that was started here and has not ended: it may not have entered the namespace. */
  readonly #started = new Set<number>();
  #hasEnded = false;
  #namespace: MountNamespace | null = null;

  private constructor(options: HostOptions, holder: ChildProcess) {
    this.name = options.name;
    this.hostId = options.hostId;
    this.#makers = options.makers;
    this.#options = options;
    this.#holder = holder;
  }

  static async create(options: HostOptions): Promise<Host> {
    await mkdir(join(options.dir, 'etc'), { recursive: true });
    await mkdir(join(options.dir, 'log'), { recursive: true });
    await mkdir('/dev/mapper', { recursive: true });
    await writeLvmConfig(options);
    const args = ['--mount', '--uts', '--net', '--propagation', 'private', 'sleep', 'infinity'];
    const host = new Host(options, spawn(...apart('unshare', args)));
    try {
      const entered = () => host.#inNamespace();
      await until(`the namespace of ${options.name}`, entered, { withinMs: 20_000 });
      await host.#furnish();
    } catch (error) {
      host.#killHolder();
      throw error;
    }
    return host;
  }

  /** The pid that keeps the namespaces alive: `nsenter -t PID -m -u -n` enters the host. */
  get holderPid(): number {
    return this.#holder.pid ?? 0;
  }

  get makers(): Makers {
    return this.#makers;
  }

  /** The folder of another Debian, see `HostOptions`. */
  get root(): string | null {
    return this.#options.root;
  }

  /** From its next start on, a program of another maker. */
  setMaker(program: HostProgram, maker: Maker): void {
    this.#makers = { ...this.#makers, [program]: maker };
  }

  /** A path of the host, as the rest of the machine sees it. */
  path(inside: string): string {
    return `/proc/${this.holderPid}/root${inside}`;
  }

  /** The path of a program as this host runs it. */
  program(name: HostProgram | 'wdmd'): string {
    const maker = this.makers[name === 'wdmd' ? 'sanlock' : name];
    return join(maker === 'ours' ? this.#options.bin : ORIGINALS, name);
  }

  get env(): NodeJS.ProcessEnv {
    const { dir, bin, root } = this.#options;
    const programs = root === null ? bin : `${bin}:${NODE_FOLDER}`;
    return {
      ...process.env,
      PATH: `${programs}:/usr/sbin:/usr/bin:/sbin:/bin:${process.env['PATH'] ?? ''}`,
      LVM_SYSTEM_DIR: join(dir, 'etc'),
      LVM_SUPPRESS_FD_WARNINGS: '1',
      SANLOCK_PRIVILEGED: '0',
      LC_ALL: 'C.UTF-8',
    };
  }

  /** The arguments with which `nsenter` runs a program inside. */
  enter(program: string, args: readonly string[]): readonly string[] {
    return ['-t', `${this.holderPid}`, '-m', '-u', '-n', '--', program, ...args];
  }

  /** Starts a program inside, by its own pid; it ends with the host. Throws when that has ended. */
  spawn(program: string, args: readonly string[], stdio: StdioOptions = 'ignore'): ChildProcess {
    if (this.#hasEnded) throw new Error(this.#refusal(program));
    const [first, words, how] = apart('nsenter', this.enter(program, args));
    const child = spawn(first, words, { ...how, stdio, env: this.env });
    this.#watch(child);
    return child;
  }

  /** Runs a program inside; it ends with the host. Never throws. */
  async run(program: string, args: readonly string[], timeoutMs = 120_000): Promise<Outcome> {
    if (this.#hasEnded) return { stdout: '', stderr: this.#refusal(program), code: null, ms: 0 };
    const onStart = (child: ChildProcess) => this.#watch(child);
    return await run('nsenter', this.enter(program, args), { timeoutMs, env: this.env, onStart });
  }

  #refusal(program: string): string {
    return `${this.name} has ended and runs nothing more: ${program}`;
  }

  #watch(child: ChildProcess): void {
    const { pid } = child;
    if (pid === undefined) return; // it could not be started
    this.#started.add(pid);
    child.once('exit', () => this.#started.delete(pid));
  }

  /** An unmodified lvm command: `lvm('lvcreate', '-n', 'lv1', …)`. */
  lvm(command: string, ...args: readonly string[]): Promise<Outcome> {
    return this.run('/usr/sbin/lvm', [command, ...args]);
  }

  /** Like `lvm`, but it must succeed. */
  async mustLvm(command: string, ...args: readonly string[]): Promise<string> {
    const outcome = await this.lvm(command, ...args);
    if (outcome.code === 0) return outcome.stdout;
    const said = `${outcome.stdout}${outcome.stderr}`.trim();
    throw new Error(`${this.name}: ${command} ${args.join(' ')} failed (${outcome.code}): ${said}`);
  }

  async startDaemons(): Promise<void> {
    if (this.#options.watchdog !== null) await this.startWdmd();
    await this.startSanlock();
    await this.startLvmlockd();
  }

  async startSanlock(): Promise<void> {
    const watchdog = this.#options.watchdog === null ? '0' : '1';
    const options = ['-l', '0', '-h', '0', '-U', 'root', '-G', 'root', '-e', this.name];
    this.#start('sanlock', ['daemon', '-D', '-w', watchdog, ...options]);
    const good = (out: string) => /daemon version +[1-9]/.test(out);
    await this.#answers('sanlock', ['client', 'version'], good);
  }

  async startLvmlockd(): Promise<void> {
    this.#start('lvmlockd', ['-D', '-g', 'sanlock', '-o', `${this.#options.ioTimeoutS}`]);
    await this.#answers('lvmlockctl', ['-i'], () => true);
  }

  /** On a host with a watchdog device. */
  async startWdmd(): Promise<void> {
    const { watchdog } = this.#options;
    if (watchdog === null) throw new Error(`${this.name} has no watchdog device`);
    this.#start('wdmd', ['-D', '-w', watchdog]);
    await this.#answers('wdmd', ['-d'], () => true);
  }

  #start(daemon: Daemon, args: readonly string[]): void {
    const log = createWriteStream(join(this.#options.dir, 'log', `${daemon}.err`), { flags: 'a' });
    const child = this.spawn(this.program(daemon), args, ['ignore', 'ignore', 'pipe']);
    child.stderr?.pipe(log);
    this.#daemons.set(daemon, child);
  }

  async #answers(
    program: HostProgram | 'wdmd',
    args: readonly string[],
    good: (out: string) => boolean,
  ): Promise<void> {
    const daemon = program === 'lvmlockctl' ? 'lvmlockd' : program;
    const ready = async (): Promise<boolean> => {
      if (!this.alive(daemon)) throw new Error(`${this.name}: ${daemon} ended at once`);
      const asked = await this.run(this.program(program), args, ASKED_MS);
      return asked.code === 0 && good(asked.stdout);
    };
    await until(`${daemon} on ${this.name}`, ready, { withinMs: READY_MS, everyMs: 100 });
  }

  /** The daemon's own pid: setpriv and nsenter become the program they start. */
  pid(daemon: Daemon): number {
    const pid = this.#daemons.get(daemon)?.pid;
    if (pid === undefined) throw new Error(`${daemon} was never started on ${this.name}`);
    return pid;
  }

  alive(daemon: Daemon): boolean {
    const child = this.#daemons.get(daemon);
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** null: it runs, or a signal has ended it. */
  exitCode(daemon: Daemon): number | null {
    return this.#daemons.get(daemon)?.exitCode ?? null;
  }

  async kill(daemon: Daemon, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    process.kill(this.pid(daemon), signal);
    if (signal === 'SIGSTOP' || signal === 'SIGCONT') return;
    await this.ended(daemon);
  }

  async ended(daemon: Daemon): Promise<void> {
    const ended = () => !this.alive(daemon);
    await until(`the end of ${daemon} on ${this.name}`, ended, { withinMs: 15_000 });
  }

  /** Everything that runs on this host dies at once, as if its power were cut: /run goes too. */
  crash(): void {
    this.#killAll();
    const ofWdmd = this.#options.watchdog === null ? [] : WDMD_FOLDERS;
    for (const folder of [...RUN_FOLDERS, ...GUEST_FOLDERS, ...ofWdmd]) {
      const path = this.path(folder);
      for (const name of existsSync(path) ? readdirSync(path) : []) {
        rmSync(join(path, name), { recursive: true, force: true });
      }
    }
  }

  /** All are stopped first: a daemon would still release the leases of users that die before it. */
  #killAll(): void {
    const stopped = new Set<number>();
    for (let isNew = true; isNew; ) {
      isNew = false;
      for (const pid of [...this.#started, ...this.pids()]) {
        if (pid === this.holderPid || stopped.has(pid)) continue;
        stopped.add(pid);
        signalQuietly(pid, 'SIGSTOP');
        isNew = true;
      }
    }
    for (const pid of stopped) signalQuietly(pid, 'SIGKILL');
  }

  /** The processes of this host: those in its mount namespace. */
  pids(): number[] {
    return this.#namespace?.pids() ?? [];
  }

  async close(): Promise<void> {
    try {
      await this.#end();
    } finally {
      this.#namespace?.close();
    }
  }

  async #end(): Promise<void> {
    this.#hasEnded = true;
    const isAlone = () => {
      this.#killAll();
      return this.#started.size === 0 && this.pids().every((pid) => pid === this.holderPid);
    };
    try {
      const soon = { withinMs: ENDED_MS, everyMs: 20 };
      await until(`the end of all processes of ${this.name}`, isAlone, soon);
    } finally {
      this.#killHolder();
    }
    const isGone = () => this.pids().length === 0;
    await until(`the end of ${this.name}`, isGone, { withinMs: ENDED_MS });
  }

  #killHolder(): void {
    this.#holder.kill('SIGKILL');
  }

  #inNamespace(): boolean {
    const namespace = MountNamespace.of(this.holderPid);
    if (namespace === null) return false;
    // Before unshare has become what it starts, our mounts may still be everybody's.
    if (readFileSync(`/proc/${this.holderPid}/comm`, 'ascii') !== 'sleep\n') {
      namespace.close();
      return false;
    }
    this.#namespace = namespace;
    return true;
  }

  async #furnish(): Promise<void> {
    const { dir, vg, lun, name, watchdog, root, bin } = this.#options;
    const inside = (program: string, ...args: readonly string[]) =>
      must('nsenter', this.enter(program, args));
    await inside('hostname', name);
    if (root !== null) {
      const own = watchdog === null ? [] : [dirname(watchdog)];
      const shown = [projectOf(bin), dirname(dir), ...own, ...this.#options.shown];
      await enterOtherRoot({ from: root, at: join(dir, 'root'), shown }, inside);
    }
    await inside('mount', '-t', 'tmpfs', 'tmpfs', '/run');
    await inside('mount', '-t', 'tmpfs', 'tmpfs', '/dev/mapper');
    if (watchdog !== null) await inside('mount', '-t', 'tmpfs', 'tmpfs', '/dev/shm');
    await inside('mount', '--bind', join(dir, 'log'), '/var/log');
    await inside('mkdir', '-p', ...RUN_FOLDERS);
    for (const group of [vg, renamedVg(vg)]) {
      const link = `/dev/mapper/${group.replaceAll('-', '--')}-lvmlock`;
      await inside('ln', '-s', lun.lvmlock, link);
    }
  }
}

/** The one other name a rig's volume group may take: its lvmlock link is prepared too. */
export function renamedVg(vg: string): string {
  return `${vg}_renamed`;
}

async function writeLvmConfig(options: HostOptions): Promise<void> {
  const etc = join(options.dir, 'etc');
  const filter = `filter = ["a|^${options.lun.device}$|", "r|.*|"]`;
  const config = [
    'global { use_lvmlockd = 1 activation = 0 }',
    `devices { use_devicesfile = 0 ${filter} obtain_device_list_from_udev = 0 hints = "none" }`,
    'activation { udev_sync = 0 udev_rules = 0 monitoring = 0 }',
    'backup { backup = 0 archive = 0 }',
  ];
  const hostId = options.hostId === 0 ? '' : `local { host_id = ${options.hostId} }\n`;
  await writeFile(join(etc, 'lvm.conf'), `${config.join('\n')}\n`);
  await writeFile(join(etc, 'lvmlocal.conf'), hostId);
}

/**
 * How to start the processes of a host. A terminal sends Ctrl-C to its foreground group, and they
 * are in none, as the rig ends its hosts in its own order; but they do not outlive the rig.
 */
function apart(program: string, args: readonly string[]) {
  const withUs = ['--pdeathsig', 'KILL', program, ...args];
  return ['setpriv', withUs, { stdio: 'ignore', detached: true }] as const;
}

function signalQuietly(pid: number, signal: 'SIGSTOP' | 'SIGKILL'): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Ended meanwhile: what was wanted.
  }
}

/** Whether the original programs are installed. */
export function originalsInstalled(): boolean {
  return ['sanlock', 'lvmlockd', 'lvmlockctl'].every((name) => existsSync(join(ORIGINALS, name)));
}
