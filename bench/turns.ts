import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MIB } from '../src/base/units.ts';
import { Daemon, type DaemonKind, sleep } from './daemon.ts';
import { OURS, THEIRS } from './daemon-kinds.ts';
import type { Setting } from './goals.ts';
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

/** How long and how often both daemons are measured. */
export interface TurnOptions {
  readonly rounds: number;
  /** Of each kind, for latencies. */
  readonly calls: number;
  readonly seconds: number;
  readonly warmUpMs: number;
}

/** Of areas where nothing else is asked for. */
export const NUM_HOSTS = 62;
const CLIENTS = [1, 8, 32] as const;
export const RESOURCES = 32;
/** A join waits twice as long; a renewal in so many seconds is lost among the calls. */
const IO_TIMEOUT_S = 3;
/** Short turns: what else the machine does then meets both daemons alike. */
const TURNS = 4;

/**
 * The rows of a daemon alone on a disk. A disk of a shared machine is twice as slow in the next
 * minute: only what is measured within seconds can be compared.
 */
export async function inTurns(
  options: TurnOptions,
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

/** On new files. */
export function fileStorage(directory: string, side: string, numHosts = NUM_HOSTS): Storage {
  const [lockspaceFile, resourceFile] = [join(directory, `${side}-ls`), join(directory, side)];
  writeFileSync(lockspaceFile, new Uint8Array(MIB));
  writeFileSync(resourceFile, new Uint8Array(RESOURCES * MIB));
  return storageOn(lockspaceFile, resourceFile, numHosts);
}

/** On files or devices that there are. */
export function storageOn(
  lockspaceFile: string,
  resourceFile: string,
  numHosts = NUM_HOSTS,
): Storage {
  return {
    ...{ lockspaceFile, resourceFile },
    ...{ resources: RESOURCES, numHosts, ioTimeoutS: IO_TIMEOUT_S },
  };
}

/** A daemon that takes part. */
export interface Contender {
  readonly side: Side;
  readonly daemon: Daemon;
  readonly storage: Storage;
}

/**
 * Both daemons, warm.
 * @param of.daemons those that are to be stopped, also when a later one does not start
 */
export async function startBoth(
  of: {
    readonly kinds: Readonly<Record<Side, DaemonKind>>;
    readonly storages: Readonly<Record<Side, Storage>>;
    readonly daemons: Daemon[];
  },
  { warmUpMs }: TurnOptions,
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

/** In turns, so that what else the machine does meets both alike. */
export async function measureLatencies(
  contenders: readonly Contender[],
  { calls }: TurnOptions,
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

/** Rates of several clients, one daemon after the other. */
export async function measureThroughput(
  contenders: readonly Contender[],
  { seconds }: TurnOptions,
  results: Results,
): Promise<void> {
  for (const clients of CLIENTS) {
    for (const { side, daemon, storage } of contenders) {
      results.note(await throughput(daemon, storage, { clients, seconds }), side);
    }
  }
}
