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
import { type Row, type Storage, succeed } from './rows.ts';
import { type Role, usageOf } from './usage.ts';

/** Work of a client that is done again and again, to see what one of it costs the daemon. */
export interface Operation {
  readonly name: string;
  begin(client: OperationClient): void;
  once(client: OperationClient): number;
  end(client: OperationClient): void;
}

export class OperationClient {
  readonly path: string;
  readonly resource: ReturnType<typeof resourceAt>;
  readonly connection: BlockingConnection;

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
  once({ connection, resource }) {
    succeed(connection.call(acquire(resource)), 'acquire');
    return connection.call(release(resource));
  },
  end: nothing,
};

export const OPERATIONS: readonly Operation[] = [
  PAIR,
  {
    name: 'inquire',
    begin: ({ connection, resource }) => succeed(connection.call(acquire(resource)), 'acquire'),
    once: ({ connection }) => connection.call(inquire()),
    end: ({ connection, resource }) => succeed(connection.call(release(resource)), 'release'),
  },
  {
    name: 'set lvb',
    begin: ({ connection, resource }) =>
      succeed(connection.call(acquire(resource, { lvb: true })), 'acquire with lvb'),
    once: ({ path, resource }) => callOnce(path, setLvb(resource)),
    end: ({ connection, resource }) => succeed(connection.call(release(resource)), 'release'),
  },
  {
    name: 'version, new',
    begin: nothing,
    once: ({ path }) => callOnce(path, version()),
    end: nothing,
  },
];

/** What the daemon does behind its answer belongs to the operation as well. */
const SETTLE_MS = 50;
const WARM_UP = 20;

/**
 * Repeats `operation`; `before` and `after` see the daemon at rest.
 * @returns what they found, the later one minus the earlier one being their own business.
 */
export async function around<T>(
  target: { readonly daemon: Daemon; readonly storage: Storage },
  operation: Operation,
  how: { readonly count: number; readonly look: () => T | Promise<T> },
): Promise<readonly [T, T]> {
  const client = new OperationClient(target.daemon, target.storage);
  operation.begin(client);
  try {
    repeat(operation, client, WARM_UP);
    await sleep(SETTLE_MS);
    const before = await how.look();
    repeat(operation, client, how.count);
    await sleep(SETTLE_MS);
    return [before, await how.look()];
  } finally {
    operation.end(client);
    client.connection.close();
  }
}

function repeat(operation: Operation, client: OperationClient, count: number): void {
  for (let i = 0; i < count; i++) succeed(operation.once(client), operation.name);
}

/** Processor time and wake-ups of one operation, of all processes together and of each. */
export async function costs(
  daemon: Daemon,
  storage: Storage,
  how: { readonly count: number; readonly eachProcess: boolean },
): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const operation of OPERATIONS) {
    const { name } = operation;
    const look = () => usageOf(daemon);
    const found = await around({ daemon, storage }, operation, { count: how.count, look });
    const [cpu, wakeUps] = (['cpuUs', 'wakeUps'] as const).map((what) =>
      [...found[1]].map(([role, usage]): [Role, number] => {
        const earlier = found[0].get(role)?.[what] ?? 0;
        return [role, (usage[what] - earlier) / how.count];
      }),
    ) as [[Role, number][], [Role, number][]];
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
  }
  return rows;
}

/** A process that did less than this for an operation took no part in it. */
const LEAST_SHOWN = 0.05;
