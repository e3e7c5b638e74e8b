import { type ChildProcess, execFile, spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { connect, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { decode } from '../../src/codec/struct.ts';
import { deltaLeader, LEADER_BYTES } from '../../src/format/leader.ts';
import { errnoNameOf } from '../../src/platform/system-error.ts';
import { until } from '../../src/rig/run.ts';

/** Whose program: the C original or ours. */
export type Maker = 'c' | 'ours';

const ROOT = process.env['HOLDFAST_ROOT'] ?? process.cwd();
export const SANLOCK: Readonly<Record<Maker, string>> = {
  c: process.env['HOLDFAST_C_SANLOCK'] ?? '/usr/sbin/sanlock',
  ours: `${ROOT}/bin/sanlock`,
};

const START_DEADLINE_MS = 30_000;
const POLL_MS = 50;
const SECTOR_BYTES = 512;

/** Why real daemons cannot be run here; null when they can. */
export function whyNot(...makers: readonly Maker[]): string | null {
  if (process.getuid?.() !== 0) return 'real daemons need root';
  if (makers.includes('c') && !existsSync(SANLOCK.c)) return 'the C sanlock is not installed';
  if (makers.includes('ours') && !existsSync(`${ROOT}/dist/sanlock-daemon.cjs`)) {
    return 'our daemon is not built: npm run build';
  }
  return null;
}

/** A daemon with a run directory and a storage directory of its own. */
export interface TestDaemon {
  readonly maker: Maker;
  readonly directory: string;
  readonly socketPath: string;
  readonly env: NodeJS.ProcessEnv;
  /** Kills the daemon and removes its directory. Safe to repeat. */
  stop(): Promise<void>;
  /** What the daemon wrote to stderr, for failures. */
  log(): string;
  readonly process: ChildProcess;
}

export async function startDaemon(
  maker: Maker,
  options: {
    readonly hostName: string;
    readonly directory?: string;
    readonly runName?: string;
    readonly extra?: readonly string[];
    /** What runs the daemon, as `setpriv` does; it becomes the daemon. */
    readonly through?: readonly string[];
    readonly env?: NodeJS.ProcessEnv;
    /** Another one than the maker's. */
    readonly program?: string;
  },
): Promise<TestDaemon> {
  const directory = options.directory ?? mkdtempSync('/var/tmp/holdfast-interop-');
  const runDirectory = `${directory}/${options.runName ?? 'run'}`;
  mkdirSync(runDirectory, { recursive: true });
  const place = { SANLOCK_RUN_DIR: runDirectory, SANLOCK_PRIVILEGED: '0' };
  const env = { ...process.env, ...options.env, ...place };
  const args = [
    'daemon',
    '-D',
    '-w',
    '0',
    '-U',
    'root',
    '-G',
    'root',
    '-e',
    options.hostName,
    ...(options.extra ?? []),
  ];
  const sanlock = options.program ?? SANLOCK[maker];
  const [program = '', ...words] = [...(options.through ?? []), sanlock, ...args];
  const child = spawn(program, words, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  killAtExit(child);
  let log = '';
  child.stderr.on('data', (bytes: Buffer) => {
    log = (log + bytes.toString('latin1')).slice(-100_000);
  });
  const socketPath = `${runDirectory}/sanlock.sock`;
  const daemon = {
    maker,
    directory,
    socketPath,
    env,
    process: child,
    log: () => log,
    stop: () => stop(child, options.directory === undefined ? directory : null),
  };
  const deadline = Date.now() + START_DEADLINE_MS;
  while (!(await serves(socketPath))) {
    if (Date.now() > deadline || child.exitCode !== null) {
      await daemon.stop();
      throw new Error(`${SANLOCK[maker]} did not open ${socketPath}; it said:\n${log}`);
    }
    await sleep(POLL_MS);
  }
  return daemon;
}

/** A test that dies leaves no process behind, and waits for none. */
export function killAtExit(child: ChildProcess): void {
  process.once('exit', () => child.kill('SIGKILL'));
  child.unref();
  for (const stream of [child.stdout, child.stderr]) {
    if (stream instanceof Socket) stream.unref();
  }
}

async function stop(child: ChildProcess, directory: string | null): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.ref();
    child.kill('SIGKILL');
    await gone;
  }
  if (directory !== null) await removeRunFolder(directory);
}

/** Lease processes end a little later than their daemon, and leave their end records there. */
export async function removeRunFolder(directory: string): Promise<void> {
  const isRemoved = () => {
    try {
      rmSync(directory, { recursive: true, force: true });
      return true;
    } catch (error) {
      if (errnoNameOf(error) !== 'ENOTEMPTY') throw error;
      return false;
    }
  };
  await until(`${directory} is removed`, isRemoved, { withinMs: 20_000 });
}

/** Whether a daemon takes connections there. */
export function serves(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

/** A file of zeros to keep leases in. */
export function makeArea(path: string, bytes: number): string {
  writeFileSync(path, '');
  truncateSync(path, bytes);
  return path;
}

/** When the lease of a host was last renewed, in seconds of the clock all hosts of a machine share. */
export function lastRenewalS(lockspacePath: string, hostId: number): number {
  const fd = openSync(lockspacePath, 'r');
  try {
    const bytes = Buffer.alloc(LEADER_BYTES);
    readSync(fd, bytes, 0, bytes.length, (hostId - 1) * SECTOR_BYTES);
    const { ownerId, timestampS } = decode(deltaLeader, bytes);
    if (Number(ownerId) !== hostId) throw new Error(`no lease of host ${hostId} there`);
    return Number(timestampS);
  } finally {
    closeSync(fd);
  }
}

/** `sanlock client command`: a registered process, which holds a lease from when it says so. */
export async function hold(
  daemon: TestDaemon,
  cli: Maker,
  resource: string,
): Promise<ChildProcess> {
  const program = ['/bin/sh', '-c', 'echo ready; exec sleep 600'];
  const args = ['client', 'command', '-r', resource, '-c', ...program];
  const child = spawn(SANLOCK[cli], args, { env: daemon.env, stdio: ['ignore', 'pipe', 'ignore'] });
  const said = await Promise.race([
    new Promise<string>((resolve) => child.stdout.once('data', (bytes) => resolve(`${bytes}`))),
    sleep(30_000, 'nothing', { ref: false }),
  ]);
  if (said === 'ready\n') return child;
  child.kill('SIGKILL');
  throw new Error(`${SANLOCK[cli]} ${args.join(' ')} said ${said}\n${daemon.log()}`);
}

export interface Ran {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number;
}

/** Runs a program to its end; bytes as latin1. */
export function run(
  program: string,
  args: readonly string[],
  options: { readonly env: NodeJS.ProcessEnv; readonly timeoutMs?: number },
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const timeout = options.timeoutMs ?? 60_000;
    const settings = { env: options.env, timeout, encoding: 'latin1' as const };
    execFile(program, [...args], settings, (failure, stdout, stderr) => {
      const status = failure === null ? 0 : failure.code;
      if (typeof status === 'number') resolve({ stdout, stderr, status });
      else reject(new Error(`${program} ${args.join(' ')}: ${failure?.message}`));
    });
  });
}

/** `sanlock client …` on that daemon, with the program of either maker. */
export function clientCommand(
  daemon: Pick<TestDaemon, 'env'>,
  words: readonly string[],
  cli: Maker = 'ours',
): Promise<Ran> {
  return run(SANLOCK[cli], ['client', ...words], { env: daemon.env });
}
