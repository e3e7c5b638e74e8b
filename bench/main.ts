import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { MIB } from '../src/base/units.ts';
import { Daemon, type DaemonKind } from './daemon.ts';
import { OURS, THEIRS } from './daemon-kinds.ts';
import { diskCalls } from './disk-calls.ts';
import { fast } from './fast.ts';
import { flooded, serveFlood } from './flood-row.ts';
import type { Setting } from './goals.ts';
import { guests } from './guests.ts';
import { clientStatus, firstConflict, furtherLockspaces } from './host-rows.ts';
import { lvmRows } from './lvm-rows.ts';
import { Results } from './results.ts';
import {
  fight,
  firstPairs,
  handover,
  idle,
  latencies,
  prepare,
  type Row,
  type Storage,
  sharing,
  throughput,
  warmUp,
} from './rows.ts';
import { serveCost } from './serve.ts';
import { statusCost } from './status.ts';
import { serveTransport, transports } from './transports.ts';
import { inTurns } from './turns.ts';
import { serveWorker } from './worker.ts';

const RESOURCES = 33;
/** Renewals come every other io timeout: some must fall into it. */
const FLOOD_SECONDS = 20;
const WARM_UP_MS = 8000;
const IDLE = { settleS: 35, seconds: 24 }; // four renewals
const QUICK_IDLE = { settleS: 2, seconds: 2 };
const TMPFS_MAGIC = 0x0102_1994;
const CLIENTS = [1, 8, 32] as const;

interface Options {
  readonly directory: string;
  readonly rounds: number;
  readonly calls: number;
  readonly seconds: number;
  readonly numHosts: number;
  readonly both: boolean;
  readonly quick: boolean;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      dir: { type: 'string', default: '/var/tmp' },
      rounds: { type: 'string', default: '3' },
      calls: { type: 'string', default: '200' },
      seconds: { type: 'string', default: '3' },
      'num-hosts': { type: 'string', default: '0' }, // of areas made by holdfast
      both: { type: 'boolean', default: false }, // and of those made by C
      quick: { type: 'boolean', default: false },
      only: { type: 'string', default: '' }, // 'holdfast' or 'c'
      fast: { type: 'boolean', default: false }, // the software's own cost
      flame: { type: 'string' }, // with --fast: the file of a flame graph
      turns: { type: 'boolean', default: false }, // both daemons at once, in short turns
      alternatives: { type: 'boolean', default: false }, // to how our processes speak and read
      lvm: { type: 'boolean', default: false }, // lvm's commands instead of sanlock's calls
      guests: { type: 'boolean', default: false }, // what the guard costs a guest of libvirt
      serve: { type: 'boolean', default: false }, // what holdfast serve costs while it runs
      status: { type: 'boolean', default: false }, // what one look by holdfast status costs
    },
  });
  const options: Options = {
    directory: values.dir,
    rounds: Number(values.rounds),
    calls: Number(values.calls),
    seconds: Number(values.seconds),
    numHosts: Number(values['num-hosts']),
    both: values.both,
    quick: values.quick,
  };
  if (await aside(values, options)) return;
  const inShortTurns = { ...options, warmUpMs: WARM_UP_MS, flame: values.flame ?? null };
  if (values.fast) {
    await fast(inShortTurns);
    return;
  }
  if (values.turns) {
    const { directory, numHosts: ours, both } = options;
    const numHosts = { ours, theirs: both ? ours : 0 };
    await inTurns(inShortTurns, { directory, numHosts, setting: settingOf(options) });
    return;
  }
  const results = new Results(settingOf(options));
  // Rounds alternate: on a shared machine only numbers of the same minutes can be compared.
  const measure = values.lvm ? measureLvm : measureSanlock;
  for (let round = 0; round < options.rounds; round++) {
    if (values.only !== 'holdfast') results.note(await measure(THEIRS, options), 'theirs');
    if (values.only !== 'c') results.note(await measure(OURS, options), 'ours');
  }
  results.print();
}

/** What is no comparison of the daemons, run alone. @returns whether one was asked for */
async function aside(
  of: Readonly<Record<'alternatives' | 'status' | 'serve' | 'guests', boolean>>,
  { rounds, directory }: Options,
): Promise<boolean> {
  if (of.alternatives) {
    await transports(rounds);
    diskCalls('/dev/shm', 'tmpfs');
    diskCalls(directory, 'the disk');
  } else if (of.status) await statusCost(rounds);
  else if (of.serve) await serveCost(rounds);
  else if (of.guests) await guests(rounds);
  return of.alternatives || of.status || of.serve || of.guests;
}

function measureLvm(kind: DaemonKind, { calls, quick }: Options): Promise<readonly Row[]> {
  const size = quick ? { commands: 3, lvs: 60, made: 10 } : { commands: 9, lvs: 300, made: 50 };
  return lvmRows({ ours: kind === OURS, calls, ...size });
}

async function measureSanlock(kind: DaemonKind, options: Options): Promise<readonly Row[]> {
  const directory = mkdtempSync(join(options.directory, 'holdfast-bench-'));
  const storage: Storage = {
    lockspaceFile: emptyFile(join(directory, 'lockspace'), MIB),
    resourceFile: emptyFile(join(directory, 'resources'), RESOURCES * MIB),
    resources: RESOURCES,
    numHosts: kind === OURS || options.both ? options.numHosts : 0,
    ioTimeoutS: 3,
  };
  const daemons: Daemon[] = [];
  try {
    const first = await Daemon.start(kind, 'bench-host-1');
    daemons.push(first);
    prepare(first, storage);
    const rows: Row[] = [...(await idle(first, options.quick ? QUICK_IDLE : IDLE))];
    rows.push(...clientStatus(first));
    if (!options.quick) rows.push(...(await furtherLockspaces(first, directory)));
    rows.push(...firstPairs(first, storage));
    await warmUp(first, storage, WARM_UP_MS);
    rows.push(...latencies(first, storage, options.calls));
    for (const clients of CLIENTS) {
      rows.push(...(await throughput(first, storage, { clients, seconds: options.seconds })));
    }
    rows.push(...(await flooded(first, storage, FLOOD_SECONDS)));
    if (options.quick) return rows;
    const second = await Daemon.start(kind, 'bench-host-2');
    daemons.push(second);
    rows.push(...firstConflict([first, second], storage));
    await warmUp(second, storage, WARM_UP_MS);
    rows.push(...handover([first, second], storage, options.calls));
    rows.push(...(await fight([first, second], storage, options.seconds)));
    rows.push(...(await sharing([first, second], storage, options.seconds)));
    return rows;
  } finally {
    for (const daemon of daemons) daemon.stop();
    rmSync(directory, { recursive: true });
  }
}

function emptyFile(path: string, bytes: number): string {
  writeFileSync(path, new Uint8Array(bytes));
  return path;
}

function settingOf({ directory, numHosts, both }: Options): Setting {
  const isMemory = statfsSync(directory).type === TMPFS_MAGIC;
  if (isMemory) return numHosts > 0 && both ? 'memory, small areas' : 'other';
  if (numHosts === 0) return 'disk, 2000 hosts';
  return both ? 'other' : 'disk, small areas';
}

if (process.argv[2] === 'worker') serveWorker();
else if (process.argv[2] === 'flood') serveFlood();
else if (process.argv[2] === 'transport') serveTransport(process.argv[3] ?? '');
else await main();
