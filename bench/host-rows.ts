import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MIB } from '../src/base/units.ts';
import {
  acquire,
  addLockspace,
  BlockingConnection,
  callOnce,
  release,
  resourceAt,
  writeLockspace,
} from './blocking-client.ts';
import { type Daemon, sleep } from './daemon.ts';
import { join as joinLockspace, type Row, type Storage, succeed } from './rows.ts';

const FURTHER = 3;
const SETTLE_MS = 35_000; // as the one before has: without the process that formatted their areas
const STATUS_CALLS = 10;
const MS_PER_TICK = 10;
/** Of proc(5), counted from behind the name. */
const CHILDREN_USER_TICKS = 13;
const CHILDREN_SYSTEM_TICKS = 14;

/** What each lockspace more than one takes, once it has settled; they stay joined. */
export async function furtherLockspaces(
  daemon: Daemon,
  directory: string,
): Promise<readonly Row[]> {
  const before = daemon.memory();
  for (let n = 0; n < FURTHER; n++) {
    const area = { path: join(directory, `further${n}`), offset: 0 };
    writeFileSync(area.path, new Uint8Array(MIB));
    const name = `F${n}`;
    succeed(callOnce(daemon.socketPath, writeLockspace(name, area, { ioTimeoutS: 1 })), 'format');
    succeed(
      callOnce(daemon.socketPath, addLockspace(name, area, { hostId: 1, ioTimeoutS: 1 })),
      name,
    );
  }
  await sleep(SETTLE_MS);
  const after = daemon.memory();
  const each = (kb: number) => kb / FURTHER / 1024;
  return [
    {
      name: 'memory (PSS), each further lockspace',
      unit: 'MB',
      value: each(after.pssKb - before.pssKb),
    },
    {
      name: 'memory (private), each further',
      unit: 'MB',
      value: each(after.privateKb - before.privateKb),
    },
  ];
}

/** `client status` as a user types it: the processor time of the whole process. */
export function clientStatus(daemon: Daemon): readonly Row[] {
  const [program = '', ...args] = daemon.kind.client;
  const before = childrenMs();
  for (let n = 0; n < STATUS_CALLS; n++) {
    const { status } = spawnSync(program, [...args, 'client', 'status'], {
      env: { ...process.env, SANLOCK_RUN_DIR: daemon.runDir },
    });
    if (status !== 0) throw new Error(`client status ended with ${status}`);
  }
  const value = (childrenMs() - before) / STATUS_CALLS;
  return [{ name: 'client status, whole process', unit: 'ms CPU', value }];
}

/** The second host joins, and at once acquires a lease that the first one holds. */
export function firstConflict(pair: readonly [Daemon, Daemon], storage: Storage): readonly Row[] {
  const resource = resourceAt(storage.resourceFile, 2);
  const [holder, other] = pair.map((daemon) => new BlockingConnection(daemon.socketPath)) as [
    BlockingConnection,
    BlockingConnection,
  ];
  for (const connection of [holder, other]) connection.register();
  succeed(holder.call(acquire(resource)), 'acquire');
  joinLockspace(pair[1], storage, 2);
  const startMs = performance.now();
  const result = other.call(acquire(resource));
  const value = performance.now() - startMs;
  if (result >= 0) throw new Error('one exclusive lease was granted to two hosts');
  succeed(holder.call(release(resource)), 'release');
  for (const connection of [holder, other]) connection.close();
  return [{ name: 'first conflict after joining', unit: 'ms', value }];
}

/** Of all children that have ended. */
function childrenMs(): number {
  const stat = readFileSync('/proc/self/stat', 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[CHILDREN_USER_TICKS]) + Number(fields[CHILDREN_SYSTEM_TICKS]);
  return ticks * MS_PER_TICK;
}
