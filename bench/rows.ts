import { type ChildProcess, fork } from 'node:child_process';
import {
  acquire,
  addLockspace,
  BlockingConnection,
  callOnce,
  convert,
  getLvb,
  inquire,
  release,
  resourceAt,
  setLvb,
  version,
  writeLockspace,
  writeResource,
} from './blocking-client.ts';
import { type Daemon, sleep } from './daemon.ts';
import { median, quantile } from './statistics.ts';
import type { WorkerJob, WorkerReport } from './worker.ts';

type Unit =
  | ('µs' | 'ms' | 'ms CPU' | '% CPU' | 'µs CPU/pair')
  | ('pairs/s' | '%' | 'a call' | 'of 1000' | 'KB' | 'MB');

/** One measured number. Smaller is better unless `unit` is a rate. */
export interface Row {
  readonly name: string;
  readonly unit: Unit;
  readonly value: number;
}

export interface Storage {
  readonly lockspaceFile: string;
  readonly resourceFile: string;
  readonly resources: number;
  readonly numHosts: number;
  readonly ioTimeoutS: number;
}

const FIRST_PAIRS = 100;
const WARM_UP_CALLS = 100;
const WARM_UP_CLIENTS = 8;

/** Formats the storage and joins the lockspace. */
export function prepare(daemon: Daemon, storage: Storage): void {
  const area = { path: storage.lockspaceFile, offset: 0 };
  const { ioTimeoutS } = storage;
  succeed(callOnce(daemon.socketPath, writeLockspace('LS', area, { ioTimeoutS })), 'format');
  for (let i = 0; i < storage.resources; i++) {
    const request = writeResource(resourceAt(storage.resourceFile, i), storage.numHosts);
    succeed(callOnce(daemon.socketPath, request), `format resource ${i}`);
  }
  join(daemon, storage, 1);
}

export function join(daemon: Daemon, storage: Storage, hostId: number): void {
  const area = { path: storage.lockspaceFile, offset: 0 };
  const { ioTimeoutS } = storage;
  const request = addLockspace('LS', area, { hostId, ioTimeoutS });
  succeed(callOnce(daemon.socketPath, request), `add lockspace as host ${hostId}`);
}

/** What a pair costs a daemon whose code V8 has not compiled yet. */
export function firstPairs(daemon: Daemon, storage: Storage): readonly Row[] {
  const resource = resourceAt(storage.resourceFile, 0);
  const connection = new BlockingConnection(daemon.socketPath);
  connection.register();
  const beforeMs = daemon.cpuMs();
  for (let i = 0; i < FIRST_PAIRS; i++) {
    succeed(connection.call(acquire(resource)), 'acquire');
    succeed(connection.call(release(resource)), 'release');
  }
  const value = ((daemon.cpuMs() - beforeMs) * 1000) / FIRST_PAIRS;
  connection.close();
  return [{ name: `CPU, first ${FIRST_PAIRS} pairs`, unit: 'µs CPU/pair', value }];
}

/**
 * A daemon runs for months: its first calls are not its speed. V8 compiles ours bit by bit, and is
 * done with it after some thousand of them, which several clients bring sooner.
 */
export async function warmUp(daemon: Daemon, storage: Storage, warmUpMs: number): Promise<void> {
  latencies(daemon, storage, WARM_UP_CALLS);
  const load = { clients: WARM_UP_CLIENTS, seconds: warmUpMs / 1000 };
  await throughput(daemon, storage, load);
  latencies(daemon, storage, WARM_UP_CALLS);
}

/** Medians of `count` calls each, on one resource that is free at the beginning. */
export function latencies(
  daemon: Daemon,
  storage: Storage,
  count: number,
  times = new Stopwatch(),
): readonly Row[] {
  const resource = resourceAt(storage.resourceFile, 0);
  const path = daemon.socketPath;
  const connection = new BlockingConnection(path);
  connection.register();
  const call = (request: Parameters<BlockingConnection['call']>[0]) => connection.call(request);
  for (let i = 0; i < count; i++) {
    times.run('acquire ex', () => call(acquire(resource)));
    times.run('inquire', () => call(inquire()));
    times.run('release ex', () => call(release(resource)));
  }
  for (let i = 0; i < count; i++) {
    times.run('acquire sh', () => call(acquire(resource, { shared: true })));
    times.run('release sh', () => call(release(resource)));
  }
  for (let i = 0; i < count; i++) {
    succeed(call(acquire(resource, { lvb: true })), 'acquire with lvb');
    times.run('set lvb', () => callOnce(path, setLvb(resource)));
    times.run('get lvb', () => callOnce(path, getLvb(resource)));
    times.run('release with lvb', () => call(release(resource)));
  }
  succeed(call(acquire(resource)), 'acquire');
  for (let i = 0; i < count; i++) {
    times.run('convert ex to sh', () => call(convert(resource, true)));
    times.run('convert sh to ex', () => call(convert(resource, false)));
  }
  succeed(call(release(resource)), 'release');
  for (let i = 0; i < count; i++)
    times.run('version, new connection', () => callOnce(path, version()));
  connection.close();
  return times.medians();
}

/** Client processes, each with a resource of its own; rates, and what a pair costs the daemon. */
export async function throughput(
  daemon: Daemon,
  storage: Storage,
  load: { readonly clients: number; readonly seconds: number },
): Promise<readonly Row[]> {
  const jobs = Array.from({ length: load.clients }, (_, i) => ({
    socketPath: daemon.socketPath,
    resourceFile: storage.resourceFile,
    resourceIndex: i,
    seconds: load.seconds,
    retryMs: null,
  }));
  let cpuMs = 0;
  const reports = await runWorkers(jobs, () => {
    cpuMs = daemon.cpuMs();
  });
  cpuMs = daemon.cpuMs() - cpuMs;
  const pairs = reports.reduce((sum, report) => sum + report.pairs, 0);
  const label = `${load.clients} client${load.clients === 1 ? '' : 's'}`;
  return [
    { name: `throughput, ${label}`, unit: 'pairs/s', value: pairs / load.seconds },
    { name: `CPU, ${label}`, unit: 'µs CPU/pair', value: (cpuMs * 1000) / Math.max(1, pairs) },
  ];
}

/** Two daemons of one kind: the lease goes back and forth by release and acquire. */
export function handover(pair: readonly [Daemon, Daemon], storage: Storage, count: number) {
  const resource = resourceAt(storage.resourceFile, 0);
  const connections = pair.map((daemon) => new BlockingConnection(daemon.socketPath));
  // Two daemons, two of them.
  const [a, b] = connections as [BlockingConnection, BlockingConnection];
  for (const connection of connections) connection.register();
  const times = new Stopwatch();
  succeed(a.call(acquire(resource)), 'first acquire');
  let [holder, other] = [a, b];
  for (let i = 0; i < count; i++) {
    times.run('hand-over between hosts', () => {
      succeed(holder.call(release(resource)), 'release');
      return other.call(acquire(resource));
    });
    [holder, other] = [other, holder];
  }
  holder.call(release(resource));
  for (const connection of connections) connection.close();
  return times.medians();
}

/** A client on each of two daemons, again and again for the same lease. */
function contend(
  pair: readonly [Daemon, Daemon],
  { resourceFile }: Storage,
  how: { readonly resourceIndex: number; readonly seconds: number; readonly shared?: boolean },
) {
  const jobs = pair.map(({ socketPath }) => ({ socketPath, resourceFile, retryMs: 1, ...how }));
  return runWorkers(jobs, () => {});
}

/** Two daemons of one kind, a client on each, one lease: the rate, and the weaker host's share. */
export async function fight(
  pair: readonly [Daemon, Daemon],
  storage: Storage,
  seconds: number,
): Promise<readonly Row[]> {
  const reports = await contend(pair, storage, { resourceIndex: 0, seconds });
  const rates = reports.map((report) => report.pairs / seconds);
  return [
    { name: 'fight, both hosts', unit: 'pairs/s', value: rates.reduce((a, b) => a + b, 0) },
    { name: 'fight, weaker host', unit: 'pairs/s', value: Math.min(...rates) },
  ];
}

/** Two daemons of one kind, a client on each, one lease that both may share: how often in vain. */
export async function sharing(
  pair: readonly [Daemon, Daemon],
  storage: Storage,
  seconds: number,
): Promise<readonly Row[]> {
  const reports = await contend(pair, storage, { resourceIndex: 1, seconds, shared: true });
  const pairs = reports.reduce((sum, report) => sum + report.pairs, 0);
  const refused = reports.reduce((sum, report) => sum + report.refused, 0);
  return [
    { name: 'sharing, both hosts', unit: 'pairs/s', value: pairs / seconds },
    { name: 'sharing, refused', unit: '%', value: (100 * refused) / Math.max(1, pairs + refused) },
  ];
}

/**
 * @param of.settleS until V8 has put the memory of the start in order (12 s), and the process that
 *   formatted areas has ended (30 s after it was used)
 */
export async function idle(
  daemon: Daemon,
  { settleS, seconds }: { readonly settleS: number; readonly seconds: number },
): Promise<readonly Row[]> {
  await sleep(settleS * 1000);
  const before = daemon.cpuMs();
  await sleep(seconds * 1000);
  const percent = ((daemon.cpuMs() - before) / (seconds * 1000)) * 100;
  return [
    { name: 'idle, one lockspace', unit: '% CPU', value: percent },
    { name: 'memory (PSS), all processes', unit: 'MB', value: daemon.memory().pssKb / 1024 },
    { name: 'start to accept', unit: 'ms', value: daemon.startMs },
  ];
}

/** Times of calls, by name. */
export class Stopwatch {
  readonly #times = new Map<string, number[]>();

  run(name: string, call: () => number): void {
    const startNs = process.hrtime.bigint();
    const result = call();
    const tookUs = Number(process.hrtime.bigint() - startNs) / 1000;
    succeed(result, name);
    const known = this.#times.get(name) ?? [];
    known.push(tookUs);
    this.#times.set(name, known);
  }

  medians(): readonly Row[] {
    return [...this.#times].map(([name, times]) => ({ name, unit: 'µs', value: median(times) }));
  }

  /** The 99th percentiles. */
  slowest(): readonly Row[] {
    const late = (times: readonly number[]) => quantile(times, 0.99);
    return [...this.#times].map(([name, times]) => ({
      name: `${name}, p99`,
      unit: 'µs',
      value: late(times),
    }));
  }
}

export function succeed(result: number, what: string): void {
  if (result < 0) throw new Error(`${what}: the daemon answered ${result}`);
}

async function runWorkers(
  jobs: readonly WorkerJob[],
  begin: () => void,
): Promise<readonly WorkerReport[]> {
  const workers = jobs.map(() => fork(process.argv[1] ?? '', ['worker'], { execArgv: [] }));
  try {
    await Promise.all(workers.map((worker) => nextMessage(worker))); // ready
    begin();
    const reports = workers.map((worker, i) => {
      const report = nextMessage(worker);
      worker.send(jobs[i] as WorkerJob); // one job for each worker
      return report;
    });
    return (await Promise.all(reports)) as WorkerReport[];
  } finally {
    for (const worker of workers) worker.kill('SIGKILL');
  }
}

function nextMessage(worker: ChildProcess): Promise<unknown> {
  return new Promise((done, fail) => {
    worker.once('message', done);
    worker.once('exit', (status) => fail(new Error(`a client process ended with ${status}`)));
  });
}
