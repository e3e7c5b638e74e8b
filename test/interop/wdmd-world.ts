import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { accessSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import koffi from 'koffi';
import { decode, encode, type RecordOf, zeroRecord } from '../../src/codec/struct.ts';
import { until } from '../../src/rig/run.ts';
import { wdmdMessage } from '../../src/wire/wdmd/socket.ts';
import { killAtExit, type Maker, type Ran, run, serves } from './sanlock-daemons.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? process.cwd();
export const WDMD: Readonly<Record<Maker, string>> = {
  c: process.env['HOLDFAST_C_WDMD'] ?? '/usr/sbin/wdmd',
  ours: `${ROOT}/bin/wdmd`,
};
/** Another original, as one of the later generation: it has the device open only while it is used. */
export function opensOnDemand(maker: Maker): boolean {
  return maker === 'c' && process.env['HOLDFAST_C_WDMD'] !== undefined;
}

const START_DEADLINE_MS = 20_000;
const MNT_DETACH = 2;

/** Why these daemons cannot be compared here; null when they can. */
export function whyNoWdmd(): string | null {
  if (process.getuid?.() !== 0) return 'namespaces and mounts need root';
  if (!existsSync(WDMD.c)) return 'the C wdmd is not installed';
  if (!existsSync(`${ROOT}/dist/wdmd.cjs`)) return 'our wdmd is not built: npm run build';
  try {
    accessSync('/dev/fuse');
    return null;
  } catch {
    return 'the watchdog device is made of /dev/fuse, which this kernel does not offer';
  }
}

/** A watchdog device that never fires; see fuse-watchdog.ts. */
export class FakeWatchdog {
  readonly path: string;
  readonly #directory: string;
  readonly #server: ChildProcess;

  private constructor(directory: string, server: ChildProcess) {
    this.#directory = directory;
    this.#server = server;
    this.path = join(directory, 'mount/watchdog');
  }

  static async start(
    timeoutS = 60,
    largestS = 600,
    is: { readonly identity: string; readonly options: number } = { identity: '', options: 0 },
  ): Promise<FakeWatchdog> {
    const directory = mkdtempSync('/tmp/holdfast-watchdog-');
    const program = join(directory, 'fuse-watchdog.cjs');
    const events = join(directory, 'events');
    buildSync({
      entryPoints: [join(ROOT, 'test/interop/fuse-watchdog.ts')],
      outfile: program,
      bundle: true,
      platform: 'node',
      format: 'cjs',
      external: ['koffi'],
    });
    writeFileSync(events, '');
    const times = [String(timeoutS), String(largestS)];
    const args = [program, join(directory, 'mount'), ...times, events];
    args.push(is.identity, String(is.options));
    const server = spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NODE_PATH: join(ROOT, 'node_modules') },
    });
    killAtExit(server);
    await waitFor('the watchdog device', () => existsSync(join(directory, 'mount/watchdog')));
    return new FakeWatchdog(directory, server);
  }

  /** What it was told: CLOCK_MONOTONIC milliseconds and words. */
  events(): readonly { readonly ms: number; readonly what: string }[] {
    const lines = readFileSync(join(this.#directory, 'events'), 'ascii').trimEnd().split('\n');
    return lines.filter(Boolean).map((line) => {
      const blank = line.indexOf(' ');
      return { ms: Number(line.slice(0, blank)), what: line.slice(blank + 1) };
    });
  }

  words(): readonly string[] {
    return this.events().map(({ what }) => what);
  }

  close(): void {
    this.#server.kill('SIGKILL');
    const umount = koffi.load('libc.so.6').func('int umount2(const char *target, int flags)');
    umount(join(this.#directory, 'mount'), MNT_DETACH);
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** A mount namespace with a /run and a /dev/shm of its own, where wdmd finds its fixed paths. */
export class WdmdHost {
  readonly #keeper: ChildProcess;
  readonly #daemons: ChildProcess[] = [];

  private constructor(keeper: ChildProcess) {
    this.#keeper = keeper;
  }

  static async start(): Promise<WdmdHost> {
    const keeper = spawn('unshare', ['-m', 'sleep', '600'], { stdio: 'ignore' });
    killAtExit(keeper);
    const comm = `/proc/${keeper.pid}/comm`;
    await waitFor('a namespace', () => readFileSync(comm, 'ascii') === 'sleep\n');
    const host = new WdmdHost(keeper);
    for (const directory of ['/run', '/dev/shm']) {
      execFileSync('nsenter', host.#enter('mount', ['-t', 'tmpfs', 'none', directory]));
    }
    return host;
  }

  /** A path of the namespace, seen from outside. */
  outside(path: string): string {
    return `/proc/${this.#keeper.pid}/root${path}`;
  }

  get socketPath(): string {
    return this.outside('/run/wdmd/wdmd.sock');
  }

  run(program: string, args: readonly string[]): Promise<Ran> {
    return run('nsenter', this.#enter(program, args), { env: process.env, timeoutMs: 60_000 });
  }

  /** Any daemon, in the foreground. */
  spawn(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
    const child = spawn('nsenter', this.#enter(program, args), {
      stdio: 'ignore',
      env: { ...process.env, ...env },
    });
    killAtExit(child);
    this.#daemons.push(child);
    return child;
  }

  /** wdmd in the foreground, serving. */
  async wdmd(maker: Maker, device: FakeWatchdog, ...more: string[]): Promise<ChildProcess> {
    const child = this.spawn(WDMD[maker], ['-D', '-w', device.path, ...more]);
    // Its name is there a moment before it listens.
    await waitFor(`${maker} socket`, () => serves(this.socketPath));
    if (!opensOnDemand(maker))
      await waitFor(`${maker} wdmd`, () => device.words().includes('keepalive'));
    return child;
  }

  async dump(): Promise<string> {
    const client = await WdmdClient.connect(this.socketPath);
    try {
      return await client.dump();
    } finally {
      client.close();
    }
  }

  close(): void {
    for (const child of this.#daemons) child.kill('SIGKILL');
    this.#keeper.kill('SIGKILL');
  }

  #enter(program: string, args: readonly string[]): string[] {
    return ['-t', String(this.#keeper.pid), '-m', '--', program, ...args];
  }
}

type Message = RecordOf<typeof wdmdMessage>;

/** A client of either daemon. */
export class WdmdClient {
  readonly #socket: Socket;
  #received = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (bytes) => {
      this.#received = Buffer.concat([this.#received, bytes]);
    });
    socket.on('error', () => {});
  }

  static async connect(path: string): Promise<WdmdClient> {
    const socket = connect({ path });
    await new Promise<void>((done, fail) => {
      socket.once('connect', () => done());
      socket.once('error', fail);
    });
    return new WdmdClient(socket);
  }

  send(fields: Partial<Message>): void {
    this.#socket.write(encode(wdmdMessage, { ...zeroRecord(wdmdMessage), ...fields }));
  }

  live(renewalS: number, expireS: number): void {
    this.send({ cmd: 4, renewalTime: BigInt(renewalS), expireTime: BigInt(expireS) });
  }

  async status(): Promise<Message> {
    this.send({ cmd: 5 });
    await waitFor('a status', () => this.#received.length >= wdmdMessage.size);
    const message = decode(wdmdMessage, this.#received);
    this.#received = this.#received.subarray(wdmdMessage.size);
    return message;
  }

  /** A status request behind it shows where it ends. */
  async dump(): Promise<string> {
    this.send({ cmd: 6 });
    this.send({ cmd: 5 });
    const ends = () => this.#received.length > wdmdMessage.size && this.#received.includes(0);
    await waitFor('a dump', ends);
    const text = this.#received.toString('latin1', 0, this.#received.length - wdmdMessage.size);
    this.#received = Buffer.alloc(0);
    return text;
  }

  close(): void {
    this.#socket.destroy();
  }
}

export function nowS(): number {
  return Number(process.hrtime.bigint() / 1_000_000_000n);
}

export function waitFor(
  what: string,
  isTrue: () => boolean | Promise<boolean>,
  forMs = START_DEADLINE_MS,
): Promise<void> {
  return until(what, isTrue, { withinMs: forMs, everyMs: 20 });
}

export async function statusOf(child: ChildProcess, forMs = START_DEADLINE_MS) {
  await waitFor('the end of a daemon', () => child.exitCode !== null || !!child.signalCode, forMs);
  return child.exitCode;
}
