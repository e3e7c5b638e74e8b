import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import type { Result } from '../../src/base/result.ts';
import { MIB } from '../../src/base/units.ts';
import { SanlockClient } from '../../src/client/sanlock.ts';
import { MonotonicClock } from '../../src/platform/clock.ts';
import { UnixSockets } from '../../src/platform/unix-socket.ts';
import { until as untilWithin } from '../../src/rig/run.ts';
import type { SanlockCall } from '../../src/wire/sanlock/call.ts';
import { status } from '../../src/wire/sanlock/daemon-calls.ts';
import type { SanlockFailure } from '../../src/wire/sanlock/failure.ts';
import {
  type DaemonWorld,
  killAtExit,
  type Maker,
  makeArea,
  startDaemon,
} from './sanlock-daemons.ts';

const REGISTER_HEX = `1020280401000000010000000000000020000000${'00'.repeat(12)}`;

/**
 * Two daemons on one storage. The recordings were made with files under a folder whose name has
 * ten letters; so has ours, a link, and paths can be exchanged byte for byte.
 */
export class ReplayWorld {
  readonly folder: string;
  readonly host1: DaemonWorld;
  readonly host2: DaemonWorld;
  readonly client1: SanlockClient;
  readonly client2: SanlockClient;
  readonly #real: string;
  readonly #processes: ChildProcess[] = [];

  private constructor(
    places: { readonly folder: string; readonly real: string },
    hosts: { readonly host1: DaemonWorld; readonly host2: DaemonWorld },
  ) {
    this.folder = places.folder;
    this.#real = places.real;
    this.host1 = hosts.host1;
    this.host2 = hosts.host2;
    this.client1 = clientOf(hosts.host1);
    this.client2 = clientOf(hosts.host2);
  }

  /** host1 is the one under test; host2 is a C daemon, as when the recordings were made. */
  static async start(maker: Maker): Promise<ReplayWorld> {
    const real = mkdtempSync('/var/tmp/holdfast-replay-');
    const folder = shortLink(real);
    for (const name of ['ls', 'ls2', 'ls3', 'res', 'rx']) makeArea(`${real}/${name}`, 16 * MIB);
    const extra = ['-l', '0', '-h', '0'];
    for (const run of ['run1', 'run2']) mkdirSync(`${real}/${run}`);
    const host1 = await startDaemon(maker, {
      hostName: 'host1',
      directory: real,
      runName: 'run1',
      extra,
    });
    const host2 = await startDaemon('c', {
      hostName: 'host2',
      directory: real,
      runName: 'run2',
      extra,
    });
    return new ReplayWorld({ folder, real }, { host1, host2 });
  }

  /** A process registered with a daemon, doing nothing. */
  async register(host: DaemonWorld): Promise<RegisteredProcess> {
    const child = await registerProcess(host);
    this.#processes.push(child);
    return child;
  }

  async stop(): Promise<void> {
    for (const child of this.#processes) child.kill('SIGKILL');
    await this.host1.stop();
    await this.host2.stop();
    rmSync(this.folder, { force: true });
    rmSync(this.#real, { recursive: true, force: true });
  }
}

export type RegisteredProcess = ChildProcess & { readonly pid: number };

/** A process registered with a daemon, doing nothing. */
export async function registerProcess(host: DaemonWorld): Promise<RegisteredProcess> {
  const script =
    `const s = require('net').connect(${JSON.stringify(host.socketPath)});` +
    `const register = Buffer.from('${REGISTER_HEX}', 'hex');` +
    "s.on('connect', () => { s.write(register); console.log('ready'); });" +
    's.resume(); setInterval(() => {}, 1e6)';
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  killAtExit(child);
  let isReady = false;
  child.stdout.once('data', () => {
    isReady = true;
  });
  await until('a process to connect', async () => isReady);
  const { pid } = child;
  if (pid === undefined) throw new Error('no child process');
  await untilRegistered(host, pid);
  return Object.assign(child, { pid });
}

/** What it sent has also been read: only then the daemon lists its pid. */
export function untilRegistered(host: DaemonWorld, pid: number): Promise<void> {
  return until(`process ${pid} to be registered`, async () => {
    const records = await must(clientOf(host), status(2));
    return records.some(({ data32 }) => data32 === pid);
  });
}

export function clientOf(host: Pick<DaemonWorld, 'socketPath'>): SanlockClient {
  const clock = new MonotonicClock();
  return new SanlockClient({ clock, sockets: new UnixSockets(null), socketPath: host.socketPath });
}

/** /var/tmp/<letter>, as long as /srv/sanlk. */
function shortLink(target: string): string {
  for (const letter of 'abcdefghijklmnopqrstuvwxyz0123456789') {
    const link = `/var/tmp/${letter}`;
    try {
      symlinkSync(target, link);
      return link;
    } catch (error) {
      // Of another run, or left behind by one: then it may point nowhere.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
  throw new Error('every one-letter name in /var/tmp is taken');
}

/** The call must succeed: it prepares what comes next. */
export async function must<T>(client: SanlockClient, call: SanlockCall<T>): Promise<T> {
  const answered: Result<T, SanlockFailure> = await client.call(call);
  if (!answered.ok) throw new Error(answered.error.message);
  return answered.value;
}

/** Asks until it is so. */
export function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  return untilWithin(what, isSo, { withinMs: 30_000 });
}
