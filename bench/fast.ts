import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Daemon } from './daemon.ts';
import { OURS, THEIRS } from './daemon-kinds.ts';
import { drawFlames } from './flame-pass.ts';
import { costs } from './operations.ts';
import { garbage, Probes } from './probed.ts';
import { ramDisks } from './ram-disk.ts';
import { Results, type Side } from './results.ts';
import type { Storage } from './rows.ts';
import { printHops, printNames, traceOperations } from './system-calls.ts';
import { findTracer } from './trace.ts';
import {
  type Contender,
  fileStorage,
  measureLatencies,
  measureThroughput,
  NUM_HOSTS,
  RESOURCES,
  startBoth,
  storageOn,
  type TurnOptions,
} from './turns.ts';
import { pageFaultUs } from './usage.ts';

/** The software's own cost: storage that answers at once, small areas for both. */
export interface FastOptions extends TurnOptions {
  /** Less of everything, and tmpfs alone: for use while one works on the code. */
  readonly quick: boolean;
  /** Where a flame graph of pairs shall be written; null: none is wanted. */
  readonly flame: string | null;
}

const TMPFS = '/dev/shm';
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
