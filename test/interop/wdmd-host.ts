import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { decode, type RecordOf } from '../../src/codec/struct.ts';
import { reasonOf } from '../../src/platform/system-error.ts';
import { until } from '../../src/rig/run.ts';
import { wdmdMessage, wdmdMessageBytes } from '../../src/wire/wdmd/socket.ts';
import { type FuseServer, startFuseServer, whyNoFuse } from './fuse-server.ts';
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
/** Of what daemons said, kept for a failure. */
const SAID_BYTES = 20_000;

/** Why these daemons cannot be compared here; null when they can. */
export function whyNoWdmd(): string | null {
  if (process.getuid?.() !== 0) return 'namespaces and mounts need root';
  if (!existsSync(WDMD.c)) return 'the C wdmd is not installed';
  if (!existsSync(`${ROOT}/dist/wdmd.cjs`)) return 'our wdmd is not built: npm run build';
  return whyNoFuse();
}

/** A watchdog device that never fires; see fuse-watchdog.ts. */
export class FakeWatchdog {
  readonly path: string;
  readonly #server: FuseServer;

  private constructor(server: FuseServer) {
    this.#server = server;
    this.path = join(server.directory, 'mount/watchdog');
  }

  static async start(
    timeoutS = 60,
    largestS = 600,
    is: { readonly identity: string; readonly options: number } = { identity: '', options: 0 },
  ): Promise<FakeWatchdog> {
    const server = startFuseServer('fuse-watchdog', (directory) => {
      const events = join(directory, 'events');
      writeFileSync(events, '');
      return [String(timeoutS), String(largestS), events, is.identity, String(is.options)];
    });
    killAtExit(server.process);
    const device = new FakeWatchdog(server);
    await waitFor('the watchdog device', () => existsSync(device.path));
    return device;
  }

  /** The calls that it got: CLOCK_MONOTONIC milliseconds and words. */
  events(): readonly { readonly ms: number; readonly what: string }[] {
    const lines = readFileSync(join(this.#server.directory, 'events'), 'ascii')
      .trimEnd()
      .split('\n');
    return lines.filter(Boolean).map((line) => {
      const blank = line.indexOf(' ');
      return { ms: Number(line.slice(0, blank)), what: line.slice(blank + 1) };
    });
  }

  words(): readonly string[] {
    return this.events().map(({ what }) => what);
  }

  close(): void {
    this.#server.close();
  }
}

/** A mount namespace with a /run and a /dev/shm of its own, where wdmd finds its fixed paths. */
export class WdmdHost {
  readonly #keeper: ChildProcess;
  readonly #daemons: ChildProcess[] = [];
  #said = '';

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

  /** A path of the namespace, as the rest of the machine sees it. */
  path(path: string): string {
    return `/proc/${this.#keeper.pid}/root${path}`;
  }

  get socketPath(): string {
    return this.path('/run/wdmd/wdmd.sock');
  }

  run(program: string, args: readonly string[]): Promise<Ran> {
    return run('nsenter', this.#enter(program, args), { env: process.env, timeoutMs: 60_000 });
  }

  /** Any daemon, in the foreground. */
  spawn(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
    const child = spawn('nsenter', this.#enter(program, args), {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...env },
    });
    child.stderr.on('data', (bytes: Buffer) => {
      this.#said = (this.#said + bytes.toString('latin1')).slice(-SAID_BYTES);
    });
    killAtExit(child);
    this.#daemons.push(child);
    return child;
  }

  /** Until a wdmd takes connections; one that does not has said why. */
  serves(what: string): Promise<void> {
    return this.#listens(what, this.socketPath);
  }

  /** Until the sanlock that was started here does. */
  sanlockServes(): Promise<void> {
    return this.#listens('sanlock', this.path('/run/sanlock/sanlock.sock'));
  }

  async #listens(what: string, path: string): Promise<void> {
    try {
      await waitFor(what, () => serves(path));
    } catch (error) {
      throw new Error(`${reasonOf(error)}; the daemons of this host said:\n${this.#said}`);
    }
  }

  /** wdmd in the foreground, serving. */
  async wdmd(maker: Maker, device: FakeWatchdog, ...more: string[]): Promise<ChildProcess> {
    const child = this.spawn(WDMD[maker], ['-D', '-w', device.path, ...more]);
    // Its name is there a moment before it listens.
    await this.serves(`${maker} socket`);
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
    this.#socket.write(wdmdMessageBytes(fields));
  }

  live(renewalS: number, expireS: number): void {
    this.send({ cmd: 4, renewalTime: BigInt(renewalS), expireTime: BigInt(expireS) });
  }

  status(): Promise<Message> {
    return this.ask({ cmd: 5 });
  }

  /** What is answered with one message. */
  async ask(fields: Partial<Message>): Promise<Message> {
    this.send(fields);
    await waitFor('an answer', () => this.#received.length >= wdmdMessage.size);
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
