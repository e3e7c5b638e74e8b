import {
  acquire,
  BlockingConnection,
  callOnce,
  inquire,
  release,
  resourceAt,
  setLvb,
  version,
} from './blocking-client.ts';
import { type Daemon, sleep } from './daemon.ts';
import { type Row, Stopwatch, type Storage, succeed } from './rows.ts';
import { type Role, usageOf } from './usage.ts';

/** Work of a client that is done again and again, to see what one of it costs the daemon. */
export interface Operation {
  readonly name: string;
  begin(client: OperationClient): void;
  once(client: OperationClient): void;
  end(client: OperationClient): void;
}

export class OperationClient {
  readonly path: string;
  readonly resource: ReturnType<typeof resourceAt>;
  readonly connection: BlockingConnection;
  /** Of the calls since it was put here. */
  times = new Stopwatch();

  constructor(daemon: Daemon, storage: Storage) {
    this.path = daemon.socketPath;
    this.resource = resourceAt(storage.resourceFile, 0);
    this.connection = new BlockingConnection(this.path);
    this.connection.register();
  }
}

const nothing = (): void => {};

export const PAIR: Operation = {
  name: 'pair',
  begin: nothing,
  once({ times, connection, resource }) {
    times.run('acquire ex', () => connection.call(acquire(resource)));
    times.run('release ex', () => connection.call(release(resource)));
  },
  end: nothing,
};

export const OPERATIONS: readonly Operation[] = [
  PAIR,
  {
    name: 'inquire',
    begin: ({ connection, resource }) => succeed(connection.call(acquire(resource)), 'acquire'),
    once: ({ times, connection }) => times.run('inquire', () => connection.call(inquire())),
    end: ({ connection, resource }) => succeed(connection.call(release(resource)), 'release'),
  },
  {
    name: 'set lvb',
    begin: ({ connection, resource }) =>
      succeed(connection.call(acquire(resource, { lvb: true })), 'acquire with lvb'),
    once: ({ times, path, resource }) =>
      times.run('set lvb', () => callOnce(path, setLvb(resource))),
    end: ({ connection, resource }) => succeed(connection.call(release(resource)), 'release'),
  },
  {
    name: 'version, new',
    begin: nothing,
    once: ({ times, path }) => times.run('version, new', () => callOnce(path, version())),
    end: nothing,
  },
];

/** What the daemon does behind its answer belongs to the operation as well. */
const SETTLE_MS = 50;
/** Node compiles what runs often, for some time after it has begun to run. */
const WARM_UP = { calls: 500, longestMs: 1500 };

/**
 * Has `measure` do the work, `count` times the operation, when the daemon is warm and at rest. The
 * work it is given ends with the daemon at rest again.
 */
export async function measured<T>(
  { daemon, storage }: { readonly daemon: Daemon; readonly storage: Storage },
  { operation, count }: { readonly operation: Operation; readonly count: number },
  measure: (work: () => Promise<void>, client: OperationClient) => Promise<T>,
): Promise<T> {
  const client = new OperationClient(daemon, storage);
  operation.begin(client);
  try {
    const latestMs = performance.now() + WARM_UP.longestMs;
    for (let i = 0; i < WARM_UP.calls && performance.now() < latestMs; i++) operation.once(client);
    await sleep(SETTLE_MS);
    return await measure(async () => {
      repeat(operation, client, count);
      await sleep(SETTLE_MS);
    }, client);
  } finally {
    operation.end(client);
    client.connection.close();
  }
}

function repeat(operation: Operation, client: OperationClient, count: number): void {
  for (let i = 0; i < count; i++) operation.once(client);
}

/** Processor time, wake-ups and page faults of one operation, of all processes together and of each. */
export async function costs(
  daemon: Daemon,
  storage: Storage,
  how: { readonly count: number; readonly eachProcess: boolean },
): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const operation of OPERATIONS) {
    const { name } = operation;
    const of = { operation, count: how.count };
    const found = await measured({ daemon, storage }, of, async (work) => {
      const before = usageOf(daemon);
      await work();
      return [before, usageOf(daemon)] as const;
    });
    const [cpu, wakeUps, faults] = (['cpuUs', 'wakeUps', 'pageFaults'] as const).map((what) =>
      [...found[1]].map(([role, usage]): [Role, number] => {
        const earlier = found[0].get(role)?.[what] ?? 0;
        return [role, (usage[what] - earlier) / how.count];
      }),
    ) as [[Role, number][], [Role, number][], [Role, number][]];
    const add = (label: string, unit: Row['unit'], each: readonly [Role, number][]) => {
      const value = each.reduce((sum, [, one]) => sum + one, 0);
      rows.push({ name: `${name}: ${label}`, unit, value });
      if (!how.eachProcess) return;
      for (const [role, value] of each) {
        if (value >= LEAST_SHOWN) rows.push({ name: `${name}: ${label}, ${role}`, unit, value });
      }
    };
    add('CPU', 'µs', cpu);
    add('wake-ups', 'a call', wakeUps);
    add('page faults', 'a call', faults);
  }
  return rows;
}

/** A process that did less than this for an operation took no part in it. */
const LEAST_SHOWN = 0.05;
