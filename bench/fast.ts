import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MIB } from '../src/base/units.ts';
import { Daemon, type DaemonKind, sleep } from './daemon.ts';
import { OURS, THEIRS } from './daemon-kinds.ts';
import { drawFlames } from './flame-pass.ts';
import type { Setting } from './goals.ts';
import { costs } from './operations.ts';
import { garbage, Probes } from './probed.ts';
import { ramDisks } from './ram-disk.ts';
import { Results, type Side } from './results.ts';
import {
  firstPairs,
  latencies,
  prepare,
  Stopwatch,
  type Storage,
  throughput,
  warmUp,
} from './rows.ts';
import { printHops, printNames, traceOperations } from './system-calls.ts';
import { findTracer } from './trace.ts';
import { pageFaultUs } from './usage.ts';

/** The software's own cost: storage that answers at once, small areas for both. */
export interface FastOptions {
  readonly rounds: number;
  /** Of each kind, for latencies. */
  readonly calls: number;
  readonly seconds: number;
  readonly warmUpMs: number;
  /** Less of everything, and tmpfs alone: for use while one works on the code. */
  readonly quick: boolean;
  /** Where a flame graph of pairs shall be written; null: none is wanted. */
  readonly flame: string | null;
}

const TMPFS = '/dev/shm';
const NUM_HOSTS = 62;
const CLIENTS = [1, 8, 32] as const;
const RESOURCES = 32;
/** A join waits twice as long; a renewal in so many seconds is lost among the calls. */
const IO_TIMEOUT_S = 3;
/** Short turns: what else the machine does then meets both daemons alike. */
const TURNS = 4;
/** Operations of each kind that are traced. */
const TRACED = 100;
/** Operations of each kind while collections are counted: a process has several then. */
const COLLECTED = 400;
const QUICK = { rounds: 1, calls: 100, seconds: 1, warmUpMs: 5000 };

export async function fast(wanted: FastOptions): Promise<void> {
  const options = wanted.quick ? { ...wanted, ...QUICK } : wanted;
  const directory = mkdtempSync(join(TMPFS, 'holdfast-bench-'));
  try {
    const [c, ours] = [fileStorage(directory, 'c'), fileStorage(directory, 'ours')];
    await compare('tmpfs', { ours, theirs: c }, options);
    if (options.quick) console.log('\nLeft out by --quick: the block device in memory.');
    else await onDisks(options);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function onDisks(options: FastOptions): Promise<void> {
  const disks = ramDisks({ count: 4, mebibytes: RESOURCES });
  if (typeof disks === 'string') {
    console.log(`\nLeft out: the block device in memory: ${disks}.`);
    return;
  }
  try {
    const [a = '', b = '', c = '', d = ''] = disks.paths;
    const storages = { ours: storageOn(a, b), theirs: storageOn(c, d) };
    await compare(disks.label, storages, { ...options, flame: null });
    if (disks.remark !== null) console.log(`No better block device in memory: ${disks.remark}.`);
  } finally {
    disks.close();
  }
}

/**
 * The rows of a daemon alone on a disk. A disk of a shared machine is twice as slow in the next
 * minute: only what is measured within seconds can be compared.
 */
export async function inTurns(
  options: FastOptions,
  on: {
    readonly directory: string;
    readonly numHosts: Readonly<Record<Side, number>>;
    readonly setting: Setting;
  },
): Promise<void> {
  const directory = mkdtempSync(join(on.directory, 'holdfast-bench-'));
  const daemons: Daemon[] = [];
  const results = new Results(on.setting);
  try {
    const storages = {
      ours: fileStorage(directory, 'ours', on.numHosts.ours),
      theirs: fileStorage(directory, 'c', on.numHosts.theirs),
    };
    const kinds = { ours: OURS, theirs: THEIRS };
    const contenders = await startBoth({ kinds, storages, daemons }, options, results);
    for (let round = 0; round < options.rounds; round++) {
      await measureLatencies(contenders, options, results);
      await measureThroughput(contenders, options, results);
    }
    results.print();
  } finally {
    for (const daemon of daemons) daemon.stop();
    rmSync(directory, { recursive: true });
  }
}

function fileStorage(directory: string, side: string, numHosts = NUM_HOSTS): Storage {
  const [lockspaceFile, resourceFile] = [join(directory, `${side}-ls`), join(directory, side)];
  writeFileSync(lockspaceFile, new Uint8Array(MIB));
  writeFileSync(resourceFile, new Uint8Array(RESOURCES * MIB));
  return storageOn(lockspaceFile, resourceFile, numHosts);
}

function storageOn(lockspaceFile: string, resourceFile: string, numHosts = NUM_HOSTS): Storage {
  return {
    ...{ lockspaceFile, resourceFile },
    ...{ resources: RESOURCES, numHosts, ioTimeoutS: IO_TIMEOUT_S },
  };
}

interface Contender {
  readonly side: Side;
  readonly daemon: Daemon;
  readonly storage: Storage;
}

/** Both daemons run at the same time, each on its own storage; they are measured in turns. */
async function compare(
  name: string,
  storages: Readonly<Record<Side, Storage>>,
  options: FastOptions,
): Promise<void> {
  const daemons: Daemon[] = [];
  const probes = new Probes();
  const results = new Results('memory, small areas');
  try {
    const kinds = { ours: probes.in(OURS), theirs: THEIRS };
    const contenders = await startBoth({ kinds, storages, daemons }, options, results);
    for (let round = 0; round < options.rounds; round++) {
      await measureRound(contenders, options, results);
    }
    await probe(probes, contenders, { options, results });
    const tell = await trace(contenders, results);
    console.log(`\n== ${name}, areas for ${NUM_HOSTS} hosts`);
    results.print();
    console.log(`\nA page fault costs ${pageFaultUs().toFixed(1)} µs on this machine.`);
    tell();
  } finally {
    for (const daemon of daemons) daemon.stop();
    probes.close();
  }
}

/** @param of.daemons those that are to be stopped, also when a later one does not start */
async function startBoth(
  of: {
    readonly kinds: Readonly<Record<Side, DaemonKind>>;
    readonly storages: Readonly<Record<Side, Storage>>;
    readonly daemons: Daemon[];
  },
  { warmUpMs }: FastOptions,
  results: Results,
): Promise<readonly Contender[]> {
  const contenders: Contender[] = [];
  for (const side of ['ours', 'theirs'] as const) {
    const storage = of.storages[side];
    const daemon = await Daemon.start(of.kinds[side], `bench-${side}`);
    of.daemons.push(daemon);
    contenders.push({ side, daemon, storage });
    prepare(daemon, storage);
    results.note(firstPairs(daemon, storage), side);
    await warmUp(daemon, storage, warmUpMs);
    await sleep(200);
  }
  return contenders;
}

async function measureRound(
  contenders: readonly Contender[],
  options: FastOptions,
  results: Results,
): Promise<void> {
  await measureLatencies(contenders, options, results);
  await measureThroughput(contenders, options, results);
  for (const { side, daemon, storage } of contenders) {
    const how = { count: options.calls, eachProcess: side === 'ours' };
    results.note(await costs(daemon, storage, how), side);
  }
}

async function measureLatencies(
  contenders: readonly Contender[],
  { calls }: FastOptions,
  results: Results,
): Promise<void> {
  const times = { ours: new Stopwatch(), theirs: new Stopwatch() };
  for (let turn = 0; turn < TURNS; turn++) {
    for (const { side, daemon, storage } of contenders) {
      latencies(daemon, storage, Math.ceil(calls / TURNS), times[side]);
    }
  }
  for (const { side } of contenders) {
    results.note(times[side].medians(), side);
    results.note(times[side].slowest(), side);
  }
}

async function measureThroughput(
  contenders: readonly Contender[],
  { seconds }: FastOptions,
  results: Results,
): Promise<void> {
  for (const clients of CLIENTS) {
    for (const { side, daemon, storage } of contenders) {
      results.note(await throughput(daemon, storage, { clients, seconds }), side);
    }
  }
}

/** What only our own processes can tell, in a pass of its own. */
async function probe(
  probes: Probes,
  contenders: readonly Contender[],
  { options, results }: { readonly options: FastOptions; readonly results: Results },
): Promise<void> {
  for (const target of contenders.filter(({ side }) => side === 'ours')) {
    results.note(await garbage(probes, target, COLLECTED), 'ours');
    if (options.flame !== null) await drawFlames(probes, target, options.flame);
  }
}

/**
 * A pass of its own, as it disturbs all others.
 * @returns what prints the parts that are no rows.
 */
async function trace(contenders: readonly Contender[], results: Results): Promise<() => void> {
  const tracer = findTracer();
  if (tracer === null) {
    return () =>
      console.log('\nLeft out: system calls and the way of a request: no perf, no strace.');
  }
  const printers: (() => void)[] = [];
  for (const { side, daemon, storage } of contenders) {
    const how = { count: TRACED, tracer, eachProcess: side === 'ours' };
    const traces = await traceOperations({ daemon, storage }, how);
    for (const { rows } of traces) results.note(rows, side);
    printers.push(() => printNames(daemon.kind.label, traces));
    if (side === 'ours') printers.push(() => printHops(traces, tracer));
  }
  return () => {
    for (const print of printers) print();
  };
}
