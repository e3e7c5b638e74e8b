import { type ChildProcess, spawn } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { kernelVersion, writeInitramfs } from './initramfs.ts';
import { connectSoon, type MachineEvent, Monitor } from './qmp.ts';

const MEMORY_MB = 768;
const BOOT_DEADLINE_MS = 240_000;
const END_DEADLINE_MS = 10_000;
const TAIL_CHARS = 200_000;
const TAIL_LINES = 60;
const TAIL_ALIKE = 3;
const CACHE = 'cache.direct=off,cache.no-flush=on';
/** Emulation stores a string byte by byte, so the kernel is to prefer the instruction for words. */
const CPU = 'max,erms=off,fsrm=off';
const KERNEL_ARGS = [
  'console=ttyS0',
  'quiet',
  'loglevel=4',
  'mitigations=off',
  'nokaslr',
  'panic=-1',
  'random.trust_cpu=on',
  'no_timer_check',
  'clocksource=hpet',
  'noapictimer',
  'rcupdate.rcu_cpu_stall_suppress=1',
];

const SYSTEMD_ARGS = [
  'vm.systemd',
  'systemd.unit=machine.target',
  'systemd.journald.forward_to_console=1',
  'systemd.show_status=0',
  'fstab=no',
];

/** Where the shared disk is in a machine. */
export const SHARED_DISK = '/dev/vda';
/** And the disk of its own, where it has one. */
export const OWN_DISK = '/dev/vdb';

export interface Finished {
  /** null: the machine ended before the command. */
  readonly status: number | null;
  readonly output: string;
  readonly endedMs: number;
}

export interface Equipment {
  readonly memoryMb?: number;
  /** A disk of its own in each machine, with an image of ext4: a path of this host. */
  readonly ownDisk?: string;
  /** Blank disks that all machines share, beside the first: `/dev/vdb` and up. Not with `ownDisk`. */
  readonly moreDisks?: readonly BlankDisk[];
  /**
   * The numbers, from 1, of the machines whose first process is systemd, with udev; there the agent
   * is a unit.
   */
  readonly withSystemd?: readonly number[];
  /** What each machine has as its root, where that is not this host's: a folder that nobody changes. */
  readonly roots?: readonly string[];
  /** A network of machines one and two, whose driver each loads (`virtio_net`). */
  readonly hasNetwork?: boolean;
  /** A folder that all machines write, over 9p by the tag `shared`: as of a file server. */
  readonly hasSharedFolder?: boolean;
}

export interface BlankDisk {
  readonly bytes: number;
  readonly sectorBytes: 512 | 4096;
}

interface Ground extends Equipment {
  readonly directory: string;
  readonly kernel: string;
  readonly initramfs: string;
  readonly disk: string;
}

/** Emulated hosts on one disk; all their files are in one temporary directory. */
export class Machines {
  readonly directory: string;
  /** The shared disk, as a file of this host. */
  readonly disk: string;
  readonly machines: Machine[] = [];
  readonly startedMs = Date.now();

  private constructor(directory: string) {
    this.directory = directory;
    this.disk = join(directory, 'disk');
  }

  static async start(
    count: number,
    diskBytes: number,
    equipment: Equipment = {},
  ): Promise<Machines> {
    const kernel = kernelVersion();
    if (kernel === null) throw new Error('no kernel in /boot has its modules in /lib/modules');
    const machines = new Machines(mkdtempSync('/tmp/holdfast-machines-'));
    try {
      const { directory, disk } = machines;
      const initramfs = join(directory, 'initramfs');
      const ground = { ...equipment, directory, kernel, initramfs, disk };
      writeInitramfs(initramfs, kernel);
      writeFileSync(disk, '');
      truncateSync(disk, diskBytes);
      for (const [index, { bytes }] of (equipment.moreDisks ?? []).entries()) {
        writeFileSync(moreDiskPath(directory, index), '');
        truncateSync(moreDiskPath(directory, index), bytes);
      }
      if (equipment.hasSharedFolder === true) mkdirSync(sharedFolder(directory));
      for (let number = 1; number <= count; number++) {
        machines.machines.push(new Machine(ground, number));
      }
      await Promise.all(machines.machines.map((machine) => machine.boot()));
      return machines;
    } catch (error) {
      await machines.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.machines.map((machine) => machine.losePower()));
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export class Machine {
  readonly name: string;
  readonly directory: string;
  readonly #process: ChildProcess;
  readonly #gone: Promise<void>;
  readonly #running = new Map<number, (status: number | null, output: string) => void>();
  #monitor: Monitor | null = null;
  #agent: Socket | null = null;
  #commands = 0;

  constructor(ground: Ground, number: number) {
    this.name = `node${number}`;
    this.directory = join(ground.directory, this.name);
    mkdirSync(this.directory);
    const log = openSync(join(this.directory, 'qemu.log'), 'a');
    // It ends with this process, however that ends.
    const hasSystemd = ground.withSystemd?.includes(number) === true;
    const root = ground.roots?.[number - 1] ?? '/';
    const options = qemuArgs(ground, { machine: this, hasSystemd, root });
    const args = ['--pdeathsig', 'KILL', '--', 'qemu-system-x86_64', ...options];
    this.#process = spawn('setpriv', args, { stdio: ['ignore', log, log] });
    this.#process.unref();
    this.#gone = new Promise((resolve) => {
      this.#process.once('exit', () => {
        for (const end of this.#running.values()) end(null, '');
        resolve();
      });
    });
  }

  get isAlive(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  get events(): readonly MachineEvent[] {
    return this.#monitor?.events ?? [];
  }

  console(): string {
    return readFileSync(join(this.directory, 'console.log'), 'latin1');
  }

  /** Resolves when it takes commands. */
  async boot(): Promise<void> {
    this.#monitor = await Monitor.open(join(this.directory, 'qmp'));
    this.#agent = await connectSoon(join(this.directory, 'agent'));
    const lines = createInterface({ input: this.#agent });
    const ready = new Promise<void>((resolve) => {
      lines.on('line', (line) => (line === 'ready' ? resolve() : this.#answered(line)));
    });
    const late = 'does not take commands in time';
    await inTime(Promise.race([ready, this.#gone]), BOOT_DEADLINE_MS, () => this.#what(late));
    if (!this.isAlive) throw new Error(this.#what('ended while booting'));
  }

  /** Runs a program to its end; what it prints is the output. */
  run(args: readonly string[], timeoutMs: number): Promise<Finished> {
    return this.#script(args.map(quoted).join(' '), timeoutMs);
  }

  /** Runs a program in the background; what it prints goes to the console, which outlives it. */
  start(args: readonly string[]): Promise<Finished> {
    return this.#script(`exec ${args.map(quoted).join(' ')} >/dev/console 2>&1`, null);
  }

  /** Runs lines of /bin/sh, all of which must succeed. @returns what they printed */
  async shell(script: string, timeoutMs: number): Promise<string> {
    const environment = 'export LVM_SUPPRESS_FD_WARNINGS=1 SYSTEMD_BUS_TIMEOUT=120';
    const ran = await this.run(['/bin/sh', '-ec', `${environment}\n${script}`], timeoutMs);
    if (ran.status === 0) return ran.output.trim();
    throw new Error(this.#what(`ended with ${ran.status}: ${script}\n${ran.output}`));
  }

  #script(script: string, timeoutMs: number | null): Promise<Finished> {
    const id = this.#commands++;
    const finished = new Promise<Finished>((resolve) => {
      this.#running.set(id, (status, output) => {
        this.#running.delete(id);
        resolve({ status, output, endedMs: Date.now() });
      });
      this.#agent?.write(`${id} ${Buffer.from(script).toString('base64')}\n`);
    });
    if (timeoutMs === null) return finished;
    return inTime(finished, timeoutMs, () => this.#what(`has not finished in time: ${script}`));
  }

  #answered(line: string): void {
    const [id, status, output = ''] = line.split(' ');
    this.#running.get(Number(id))?.(Number(status), Buffer.from(output, 'base64').toString());
  }

  /** From now on the shared disk answers nothing (one request in flight may still pass). */
  cutDisk(): Promise<void> {
    return this.#cut('shared');
  }

  /** The same for the disk of its own. */
  cutOwnDisk(): Promise<void> {
    return this.#cut('own');
  }

  async #cut(disk: 'shared' | 'own'): Promise<void> {
    const limits = { bps: 1, bps_rd: 0, bps_wr: 0, iops: 0, iops_rd: 0, iops_wr: 0 };
    const id = `/machine/peripheral/${disk}/virtio-backend`;
    await this.#monitor?.execute('block_set_io_throttle', { id, ...limits });
  }

  async losePower(): Promise<void> {
    this.#process.kill('SIGKILL');
    await inTime(this.#gone, END_DEADLINE_MS, () => this.#what('does not end'));
  }

  #what(happened: string): string {
    const qemu = readFileSync(join(this.directory, 'qemu.log'), 'latin1');
    const ended = this.isAlive ? '' : `\n${this.events.map(({ name }) => name).join(' ')}`;
    return `${this.name} ${happened}${ended}\n${tail(this.console())}${qemu.slice(-1000)}`;
  }
}

/** The last lines, of each kind the last few: one that comes each second would hide all others. */
function tail(console: string): string {
  const seen = new Map<string, number>();
  const lines = console.slice(-TAIL_CHARS).split('\n').reverse();
  const shown = lines.filter((line) => {
    const kind = line.replace(/\d+/g, '');
    seen.set(kind, (seen.get(kind) ?? 0) + 1);
    return (seen.get(kind) ?? 0) <= TAIL_ALIKE;
  });
  return shown.slice(0, TAIL_LINES).reverse().join('\n');
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** The promise's value, or an error with this text after so long. */
export async function inTime<T>(
  promise: Promise<T>,
  timeoutMs: number,
  text: () => string,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(text())), timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

interface Kind {
  readonly machine: Machine;
  readonly hasSystemd: boolean;
  readonly root: string;
}

function qemuArgs(ground: Ground, kind: Kind): readonly string[] {
  const { machine } = kind;
  const at = (name: string) => join(machine.directory, name);
  return [
    ...['-name', machine.name, '-nodefaults', '-no-user-config', '-display', 'none'],
    ...[
      '-machine',
      'pc',
      '-accel',
      'tcg',
      '-cpu',
      CPU,
      '-smp',
      '1',
      '-m',
      String(ground.memoryMb ?? MEMORY_MB),
    ],
    ...['-kernel', `/boot/vmlinuz-${ground.kernel}`, '-initrd', ground.initramfs],
    ...['-append', kernelArgs(kind).join(' ')],
    ...['-qmp', `unix:${at('qmp')},server=on,wait=off`],
    '-chardev',
    `socket,id=console,path=${at('console')},server=on,wait=off,logfile=${at('console.log')}`,
    ...['-serial', 'chardev:console'],
    // A machine that is reset stays off, so that it cannot be mistaken for one that was not.
    ...['-action', 'reboot=shutdown,watchdog=poweroff,panic=exit-failure'],
    ...['-device', 'i6300esb', '-device', 'virtio-rng-pci', '-device', 'virtio-serial-pci'],
    ...['-chardev', `socket,id=agent,path=${at('agent')},server=on,wait=off`],
    ...['-device', 'virtserialport,chardev=agent'],
    '-fsdev',
    `local,id=root,path=${kind.root},security_model=none,readonly=on,multidevs=remap`,
    ...['-device', 'virtio-9p-pci,fsdev=root,mount_tag=root'],
    // Through this host's page cache, which is what the machines share: with O_DIRECT, QEMU may
    // widen a write of one sector to a page, and undo what another machine wrote beside it.
    ...['-blockdev', `file,node-name=file,filename=${ground.disk},locking=off,${CACHE}`],
    ...['-blockdev', `raw,node-name=disk,file=file,${CACHE}`],
    ...['-device', 'virtio-blk-pci,id=shared,drive=disk,share-rw=on'],
    ...(ground.ownDisk === undefined ? [] : ownDiskArgs(ground.ownDisk)),
    ...(ground.moreDisks ?? []).flatMap((disk, index) =>
      moreDiskArgs(ground.directory, disk, index),
    ),
    ...(ground.hasNetwork === true ? networkArgs(ground.directory, machine.name) : []),
    ...(ground.hasSharedFolder === true ? sharedFolderArgs(ground.directory) : []),
  ];
}

function kernelArgs({ machine, hasSystemd, root }: Kind): readonly string[] {
  const unchanged = root === '/' ? [] : ['vm.unchanged_root'];
  const names = [`vm.name=${machine.name}`, `systemd.hostname=${machine.name}`];
  const named = [...KERNEL_ARGS, ...names, ...unchanged];
  return hasSystemd ? [...named, ...SYSTEMD_ARGS] : named;
}

function moreDiskPath(directory: string, index: number): string {
  return join(directory, `disk${index + 2}`);
}

/** Through the page cache of this host, as the first one. */
function moreDiskArgs(directory: string, disk: BlankDisk, index: number): readonly string[] {
  const name = `more${index}`;
  const sectors = `logical_block_size=${disk.sectorBytes},physical_block_size=${disk.sectorBytes}`;
  const file = `filename=${moreDiskPath(directory, index)}`;
  return [
    ...['-blockdev', `file,node-name=${name}file,${file},locking=off,${CACHE}`],
    ...['-blockdev', `raw,node-name=${name},file=${name}file,${CACHE}`],
    ...['-device', `virtio-blk-pci,id=${name},drive=${name},share-rw=on,${sectors}`],
  ];
}

/** What a machine writes there is kept until it ends. */
function ownDiskArgs(path: string): readonly string[] {
  return [
    ...['-drive', `if=none,id=owndisk,file=${path},format=raw,snapshot=on`],
    ...['-device', 'virtio-blk-pci,id=own,drive=owndisk'],
  ];
}

/** A cable without ends: a datagram is lost where the other machine is not there yet. */
function networkArgs(directory: string, name: string): readonly string[] {
  const other = name === 'node1' ? 'node2' : 'node1';
  const at = (side: string, of: string) =>
    `${side}.type=unix,${side}.path=${join(directory, `${of}.net`)}`;
  return [
    ...['-netdev', `dgram,id=net,${at('local', name)},${at('remote', other)}`],
    ...['-device', `virtio-net-pci,netdev=net,mac=52:54:00:00:00:0${name.slice(-1)}`],
  ];
}

function sharedFolder(directory: string): string {
  return join(directory, 'shared');
}

/** Through the page cache of this host, as the shared disk. */
function sharedFolderArgs(directory: string): readonly string[] {
  return [
    ...['-fsdev', `local,id=shared,path=${sharedFolder(directory)},security_model=none`],
    ...['-device', 'virtio-9p-pci,fsdev=shared,mount_tag=shared'],
  ];
}
