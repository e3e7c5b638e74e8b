import { type ChildProcess, spawn } from 'node:child_process';
import type { Result } from '../../src/base/result.ts';
import { SanlockClient } from '../../src/client/sanlock.ts';
import { MonotonicClock } from '../../src/platform/clock.ts';
import { UnixSockets } from '../../src/platform/unix-socket.ts';
import { until as untilWithin } from '../../src/rig/run.ts';
import type { SanlockCall } from '../../src/wire/sanlock/call.ts';
import { register, status } from '../../src/wire/sanlock/daemon-calls.ts';
import type { SanlockFailure } from '../../src/wire/sanlock/failure.ts';
import type { Lockspace, Resource } from '../../src/wire/sanlock/types.ts';
import { killAtExit, type TestDaemon } from './sanlock-daemons.ts';

export type RegisteredProcess = ChildProcess & {
  readonly pid: number;
  /** CLOCK_MONOTONIC milliseconds of the first SIGTERM to one that ignores it; null: none came. */
  sigtermMs(): number | null;
};

/** A process registered with a daemon, doing nothing. */
export async function registerProcess(
  host: TestDaemon,
  ignoresSigterm = false,
): Promise<RegisteredProcess> {
  const script =
    `const s = require('net').connect(${JSON.stringify(host.socketPath)});` +
    `const say = (word) => console.log(word, Number(process.hrtime.bigint()) / 1e6);` +
    (ignoresSigterm ? "process.on('SIGTERM', () => say('term'));" : '') +
    `const bytes = Buffer.from('${Buffer.from(register().request).toString('hex')}', 'hex');` +
    "s.on('connect', () => { s.write(bytes); say('ready'); });" +
    's.resume(); setInterval(() => {}, 1e6)';
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  killAtExit(child);
  let said = '';
  child.stdout.on('data', (bytes: Buffer) => {
    said += bytes.toString();
  });
  await until('a process to connect', () => said.includes('ready'));
  const { pid } = child;
  if (pid === undefined) throw new Error('no child process');
  await untilRegistered(host, pid);
  const sigtermMs = () => {
    const found = /^term ([\d.]+)$/m.exec(said);
    return found === null ? null : Number(found[1]);
  };
  return Object.assign(child, { pid, sigtermMs });
}

/** The daemon lists the pid of a client only when it has read what the client sent. */
function untilRegistered(host: TestDaemon, pid: number): Promise<void> {
  return until(`process ${pid} to be registered`, async () => {
    const records = await must(clientOf(host), status(2));
    return records.some(({ data32 }) => data32 === pid);
  });
}

export function clientOf(host: Pick<TestDaemon, 'socketPath'>): SanlockClient {
  const clock = new MonotonicClock();
  return new SanlockClient({ clock, sockets: new UnixSockets(), socketPath: host.socketPath });
}

/** Host 1 of a lockspace at the start of a file. */
export function lockspaceAt(path: string, name = 'LS', flags = 0): Lockspace {
  return { name, hostId: 1n, path, offset: 0n, flags };
}

export function resourceAt(
  path: string,
  of: { readonly name: string; readonly offset: number },
  lockspaceName = 'LS',
  flags = 0,
): Resource {
  const disks = [{ path, offset: BigInt(of.offset) }];
  return { lockspaceName, name: of.name, disks, lver: 0n, flags };
}

/** The call must succeed: it prepares what comes next. */
export async function must<T>(client: SanlockClient, call: SanlockCall<T>): Promise<T> {
  const answered: Result<T, SanlockFailure> = await client.call(call);
  if (!answered.ok) throw new Error(answered.error.message);
  return answered.value;
}

/** Waits until something is so, half a minute at most. */
export function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  return untilWithin(what, isSo, { withinMs: 30_000 });
}
