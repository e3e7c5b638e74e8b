import { existsSync, readdirSync, readFileSync, readlinkSync, statfsSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { nameToText } from '../../../base/bytes.ts';
import { SECOND_MS } from '../../../base/units.ts';
import type { DaemonProcess, FolderRoom, RunFile } from '../../../inspect/doctor/facts.ts';
import { DAEMONS, type DaemonName, isDaemonName } from '../../../inspect/restart/host-facts.ts';
import type { DaemonSeen } from '../../../inspect/snapshot/snapshot.ts';
import { startedMs } from '../../../platform/libvirt-daemons.ts';
import { isOfThisHost } from '../../../platform/network-of.ts';
import { textOf } from '../../../platform/text-file.ts';
import type { daemonPaths } from '../../observe/daemons.ts';

/** Behind the name in /proc/PID/stat, by proc(5). */
const STATE_FIELD = 0;
const PARENT_FIELD = 1;
const POLICY_FIELD = 38;
const SCHED_FIFO = '1';
const SCHED_RR = '2';

/** A process that waits in the kernel for so long without a moment of its own is one that hangs. */
const HANGS_MS = 2 * SECOND_MS;

/** The daemons' processes on this host; one that hangs is looked at twice. */
export async function daemonProcesses(
  sleep: (forMs: number) => Promise<void>,
): Promise<readonly DaemonProcess[]> {
  const found = candidates();
  const blocked = new Map(found.map((one) => [one.pid, blockedTasks(one.pid)]));
  if ([...blocked.values()].some((tasks) => tasks.size > 0)) await sleep(HANGS_MS);
  const pids = new Set(found.map(({ pid }) => pid));
  return found
    .filter(({ parent, role }) => role !== 'daemon' || !pids.has(parent))
    .map(({ name, pid, role, words }) => {
      const hung = stillBlocked(pid, blocked.get(pid) ?? new Map());
      const policy = statFields(pid)[POLICY_FIELD];
      return {
        ...{ name, pid, role, commandLine: words.join(' ') || nameOf(pid) },
        isUninterruptible: hung !== null,
        waitsIn: hung === null ? null : (textOf(`/proc/${pid}/task/${hung}/wchan`) ?? null),
        isRealtime: policy === SCHED_FIFO || policy === SCHED_RR,
        lockedBytes: lockedBytes(pid),
        isReplaced: isReplaced(pid, words),
      };
    });
}

/** Of one that ends, and has no words any more: as ps shows it. */
function nameOf(pid: number): string {
  return `[${(textOf(`/proc/${pid}/comm`) ?? '').trimEnd()}]`;
}

interface Candidate {
  readonly name: DaemonName;
  readonly pid: number;
  readonly parent: number;
  readonly role: DaemonProcess['role'];
  readonly words: readonly string[];
}

function candidates(): readonly Candidate[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.flatMap((text) => {
    const title = (textOf(`/proc/${text}/comm`) ?? '').trimEnd();
    const isLeases = title.startsWith('slk ');
    if (!isLeases && !isDaemonName(title)) return [];
    if (!placesOf(text).some(isOfThisHost)) return [];
    const words = (textOf(`/proc/${text}/cmdline`) ?? '').split('\0').filter(Boolean);
    const name = isLeases || !isDaemonName(title) ? 'sanlock' : title;
    const role = words.length === 0 ? 'ending' : isLeases ? 'leases' : 'daemon';
    if (role === 'daemon' && !isDaemonCall(name, words)) return [];
    const pid = Number(text);
    const parent = Number(statFields(pid)[PARENT_FIELD] ?? 0);
    return [{ name, pid, parent, role, words } as const];
  });
}

/** Of one that ends, only the threads that have not ended are still in a network. */
function placesOf(pid: string): readonly string[] {
  const folder = `/proc/${pid}`;
  return [folder, ...listOf(`${folder}/task`).map((task) => `${folder}/task/${task}`)];
}

/** The commands have the names of the daemons. */
function isDaemonCall(name: DaemonName, words: readonly string[]): boolean {
  if (name === 'sanlock') return words.includes('daemon') && !words.includes('--check');
  const asks = ['-d', '--dump', '-p', '--probe', '-V', '--version', '-h', '--help', '--softdog'];
  return words.length > 0 && !words.some((word) => asks.includes(word));
}

function statFields(pid: number, task = ''): readonly string[] {
  const stat = textOf(`/proc/${pid}/${task}stat`) ?? '';
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** Tasks in state D, with how often they ran: one that ran since does not hang. */
function blockedTasks(pid: number): Map<string, string> {
  const tasks = listOf(`/proc/${pid}/task`);
  const blocked = tasks.filter((task) => statFields(pid, `task/${task}/`)[STATE_FIELD] === 'D');
  return new Map(blocked.map((task) => [task, switchesOf(pid, task)]));
}

function stillBlocked(pid: number, before: ReadonlyMap<string, string>): string | null {
  for (const [task, switches] of before) {
    const isBlocked = statFields(pid, `task/${task}/`)[STATE_FIELD] === 'D';
    if (isBlocked && switchesOf(pid, task) === switches) return task;
  }
  return null;
}

function switchesOf(pid: number, task: string): string {
  const status = textOf(`/proc/${pid}/task/${task}/status`) ?? '';
  return /^voluntary_ctxt_switches:\s*(\d+)$/m.exec(status)?.[1] ?? '';
}

const KIB_BYTES = 1024;

function lockedBytes(pid: number): number {
  const kibibytes = /^VmLck:\s*(\d+) kB$/m.exec(textOf(`/proc/${pid}/status`) ?? '')?.[1];
  return Number(kibibytes ?? 0) * KIB_BYTES;
}

/** The original's file is deleted then; of ours it is another one behind the same name. */
function isReplaced(pid: number, words: readonly string[]): boolean {
  try {
    const program = readlinkSync(`/proc/${pid}/exe`);
    if (basename(program) !== 'node') return program.endsWith(' (deleted)');
    const script = words.find((word) => word.startsWith('/') && basename(dirname(word)) === 'bin');
    const beganMs = startedMs(pid);
    if (script === undefined || beganMs === null || words.indexOf(script) === 0) return false;
    return statSync(script).ctimeMs > beganMs + SECOND_MS;
  } catch {
    return false;
  }
}

function listOf(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

const CRASH_GUARD = '/dev/shm/wdmd';

/** What daemons leave in /run when they are killed. */
export function runFiles(of: {
  readonly paths: ReturnType<typeof daemonPaths>;
  readonly processes: readonly DaemonProcess[];
  readonly daemons: readonly DaemonSeen[];
}): readonly RunFile[] {
  const { paths, processes, daemons } = of;
  const runs = (name: DaemonName) =>
    daemons.some((one) => one.name === name && one.state !== 'absent');
  const isOf = (name: DaemonName, pid: number) =>
    processes.some((one) => one.name === name && one.pid === pid);
  const folderOf = (name: DaemonName) => dirname(nameToText(paths[name]));
  const pidFiles: Readonly<Record<DaemonName, string>> = {
    wdmd: join(folderOf('wdmd'), 'wdmd.pid'),
    sanlock: join(folderOf('sanlock'), 'sanlock.pid'),
    lvmlockd: process.env['LVM_LVMLOCKD_PIDFILE'] || '/run/lvmlockd.pid',
  };
  const found = DAEMONS.flatMap((name): readonly RunFile[] => {
    const pid = pidIn(pidFiles[name]);
    const socket = nameToText(paths[name]);
    // The original wdmd leaves its socket at every end.
    const hasSocket = name !== 'wdmd' && existsSync(socket);
    return [
      ...(pid === null
        ? []
        : [
            {
              path: pidFiles[name],
              of: name,
              kind: 'pidFile',
              pid,
              isUsed: isOf(name, pid),
            } as const,
          ]),
      ...(hasSocket
        ? [
            {
              path: socket,
              of: name,
              kind: 'socket',
              pid: null,
              isUsed: runs(name) || isListening(socket),
            } as const,
          ]
        : []),
    ];
  });
  const isGuarded = existsSync(CRASH_GUARD);
  const guard = { path: CRASH_GUARD, of: 'wdmd', kind: 'crashGuard', pid: null } as const;
  return isGuarded ? [...found, { ...guard, isUsed: runs('wdmd') }] : found;
}

/** systemd may keep it open for the next daemon, while no process of the daemon is there. */
function isListening(path: string): boolean {
  const lines = (textOf('/proc/self/net/unix') ?? '').split('\n');
  return lines.some((line) => line.endsWith(` ${path}`) && line.split(' ')[3] === ACCEPTS);
}

/** __SO_ACCEPTCON, as the kernel prints the flags of a socket. */
const ACCEPTS = '00010000';

/** null: there is no such file. */
function pidIn(path: string): number | null {
  try {
    return Number.parseInt(readFileSync(path, 'latin1'), 10) || 0;
  } catch {
    return null;
  }
}

/** Where daemons write down what they have. */
export function folderRooms(paths: ReturnType<typeof daemonPaths>): readonly FolderRoom[] {
  const folders = [...new Set(DAEMONS.map((name) => dirname(nameToText(paths[name]))))];
  return folders.flatMap((path) => {
    try {
      const { bavail, bsize, files, ffree } = statfsSync(path);
      // A file system without a table of files counts none.
      return [{ path, freeBytes: bavail * bsize, freeFiles: files === 0 ? MANY : ffree }];
    } catch {
      return []; // it is made by its daemon
    }
  });
}

const MANY = Number.MAX_SAFE_INTEGER;
