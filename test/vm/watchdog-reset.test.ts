import assert from 'node:assert/strict';
import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MIB } from '../../src/base/units.ts';
import { decode } from '../../src/codec/struct.ts';
import { deltaLeader, LEADER_BYTES, paxosLeader } from '../../src/format/leader.ts';
import { until as untilWithin } from '../../src/rig/run.ts';
import { ROOT, whyNoMachines } from './initramfs.ts';
import { type Finished, inTime, type Machine, Machines, SHARED_DISK } from './vm.ts';

const IO_TIMEOUT_S = 2;
/** Users are stopped; the watchdog is not fed any more (spec 10 §4). */
const EXPIRY_S = 8 * IO_TIMEOUT_S;
const FIRE_S = 60;
const DEAD_S = EXPIRY_S + FIRE_S;
/** An emulated machine starts a program, and does all else, so much later. */
const LATE_S = 10;
const POLL_MS = 100;
/** wdmd tests, and pings, once in so long (spec 25). */
const WDMD_TEST_S = 10;
const START_DEADLINE_MS = 120_000;
const COMMAND_DEADLINE_MS = 120_000;

const SECTOR_BYTES = 512;
const SCRATCH_OFFSET = 4 * MIB;
const SCRATCH_BYTE = 7;
const DISK_BYTES = 8 * MIB;
/** The lease that node `number` has first. */
const lease = (number: number) => `LS:guest${number}:${SHARED_DISK}:${number * MIB}`;
const lockspace = (hostId: number) => `LS:${hostId}:${SHARED_DISK}:0`;

/**
 * Writes to the shared disk like a guest's disk would, until it waits in the kernel: then neither
 * SIGTERM nor SIGKILL ends it, and the watchdog has to.
 */
const STUBBORN = `
  const { openSync, writeSync } = require('node:fs');
  process.on('SIGTERM', () => {});
  const disk = openSync('${SHARED_DISK}', 'rs+');
  const sector = Buffer.alloc(${SECTOR_BYTES}, ${SCRATCH_BYTE});
  setInterval(() => writeSync(disk, sector, 0, sector.length, ${SCRATCH_OFFSET}), 100);
`;

const unbuilt = existsSync(`${ROOT}/dist/wdmd.cjs`) ? null : 'not built yet: npm run build';
const missing = whyNoMachines() ?? unbuilt;
const where = missing === null ? { timeout: 900_000 } : { skip: missing };

test('a host cut off from its disk is reset before another has its lease', where, async (t) => {
  const machines = await Machines.start(3, DISK_BYTES);
  const disk = new WatchedDisk(machines.disk);
  try {
    await scenario(t, machines, disk);
  } catch (error) {
    for (const machine of machines.machines) {
      t.diagnostic(`console of ${machine.name}:\n${machine.console().slice(-6000)}`);
    }
    throw error;
  } finally {
    disk.close();
    await machines.close();
  }
});

/** Node 1's user of the lease cannot be stopped, node 3's can; node 2 waits for node 1's lease. */
async function scenario(t: TestContext, machines: Machines, disk: WatchedDisk): Promise<void> {
  const [first, second, third] = machines.machines as [Machine, Machine, Machine];
  await Promise.all(machines.machines.map(startDaemons));
  await sanlock(first, 'init', '-s', lockspace(0), '-o', String(IO_TIMEOUT_S));
  await sanlock(first, 'init', '-r', lease(1));
  await sanlock(first, 'init', '-r', lease(3));
  const join = (machine: Machine, index: number) =>
    sanlock(machine, 'add_lockspace', '-s', lockspace(index + 1), '-o', String(IO_TIMEOUT_S));
  await Promise.all(machines.machines.map(join));
  first.start(holding(1, process.execPath, '-e', STUBBORN));
  const obedient = third.start(holding(3, '/bin/sleep', '1000'));
  await until('both leases are held', START_DEADLINE_MS, () => disk.owns(1, 1) && disk.owns(3, 3));
  await until("node 1's client writes", START_DEADLINE_MS, () => disk.isScratched);
  t.diagnostic(`ready after ${secondsSince(machines.startedMs)} s`);

  await Promise.all([first.cutDisk(), third.cutDisk()]);
  const cutMs = Date.now();
  second.start(['/bin/sh', '-c', 'until "$@"; do sleep 1; done', 'sh', ...holding(1, '/bin/cat')]);
  const takenMs = await until('node 2 owns it', (DEAD_S + 60) * 1000, () => disk.owns(1, 2));
  const lastMs = disk.renewedMs(1);
  assert.ok(lastMs < cutMs + 2 * IO_TIMEOUT_S * 1000, 'the cut disk is cut');
  const reset = first.events.find(({ name }) => name === 'WATCHDOG');
  assert.ok(reset, `the watchdog of node 1 fired; it saw ${JSON.stringify(first.events)}`);
  t.diagnostic(`since its last renewal: reset after ${(reset.ms - lastMs) / 1000} s`);
  t.diagnostic(`since its last renewal: taken after ${(takenMs - lastMs) / 1000} s`);
  assert.ok(reset.ms < takenMs, 'node 1 is reset before node 2 owns its lease');
  assert.ok(reset.ms - lastMs > EXPIRY_S * 1000, 'not while its own claim was good');
  assert.ok(takenMs - lastMs >= DEAD_S * 1000 - POLL_MS, 'node 2 waits long enough');
  assert.ok(takenMs - lastMs <= (DEAD_S + LATE_S) * 1000, 'and not much longer');
  await until('node 1 is off', 10_000, () => !first.isAlive);

  await inObedience(t, third, obedient, disk.renewedMs(3));
}

/** Its user ended at SIGTERM, so this host is not reset, however long we wait. */
async function inObedience(
  t: TestContext,
  machine: Machine,
  user: Promise<Finished>,
  lastMs: number,
): Promise<void> {
  const ended = await inTime(user, 10_000, () => "node 3's client has not ended");
  t.diagnostic(`node 3's client ended ${(ended.endedMs - lastMs) / 1000} s after the last renewal`);
  assert.equal(ended.status, 128 + 15, ended.output);
  assert.ok(ended.endedMs - lastMs <= (EXPIRY_S + LATE_S) * 1000, 'it is stopped in time');
  const safeMs = lastMs + (DEAD_S + 20) * 1000;
  if (Date.now() < safeMs) await sleep(safeMs - Date.now());
  assert.deepEqual(
    machine.events.filter(({ name }) => name === 'WATCHDOG'),
    [],
  );
  const dump = await machine.run([`${ROOT}/bin/wdmd`, '-d'], COMMAND_DEADLINE_MS);
  const [, now, fed] = / now (\d+) last_keepalive (\d+)/.exec(dump.output) ?? [];
  assert.ok(
    Number(now) - Number(fed) <= WDMD_TEST_S + LATE_S,
    `wdmd feeds its watchdog: ${dump.output}`,
  );
  const alive = await machine.run([`${ROOT}/bin/sanlock`, 'client', 'status'], COMMAND_DEADLINE_MS);
  assert.equal(alive.status, 0, alive.output);
  assert.doesNotMatch(alive.output, /^r LS/m, 'the lease is given up');
}

async function startDaemons(machine: Machine): Promise<void> {
  const daemons = [
    { socket: '/run/wdmd/wdmd.sock', command: [`${ROOT}/bin/wdmd`, '-D'] },
    {
      socket: '/run/sanlock/sanlock.sock',
      command: [`${ROOT}/bin/sanlock`, 'daemon', '-D', '-w', '1', '-U', 'root', '-G', 'root'],
    },
  ];
  const wait = `until [ -S "$1" ]; do sleep 0.2; done`;
  for (const { socket, command } of daemons) {
    machine.start(command);
    await machine.run(['/bin/sh', '-c', wait, 'sh', socket], START_DEADLINE_MS);
  }
}

async function sanlock(machine: Machine, ...args: string[]): Promise<void> {
  const words = [`${ROOT}/bin/sanlock`, 'client', ...args];
  const ran = await machine.run(words, COMMAND_DEADLINE_MS);
  assert.equal(ran.status, 0, `${machine.name}: ${args.join(' ')}: ${ran.output}`);
}

function holding(number: number, ...program: string[]): readonly string[] {
  return [`${ROOT}/bin/sanlock`, 'client', 'command', '-r', lease(number), '-c', ...program];
}

/** Resolves, when it is so, with the time. */
async function until(what: string, timeoutMs: number, isSo: () => boolean): Promise<number> {
  await untilWithin(what, isSo, { withinMs: timeoutMs, everyMs: POLL_MS });
  return Date.now();
}

function secondsSince(ms: number): string {
  return ((Date.now() - ms) / 1000).toFixed(1);
}

/** The shared disk as this host sees it, beside all machines. */
class WatchedDisk {
  readonly #fd: number;
  readonly #timer: NodeJS.Timeout;
  /** By host id: the last renewal and when it was seen. */
  readonly #renewals = new Map<number, { readonly timestampS: bigint; readonly seenMs: number }>();

  constructor(path: string) {
    this.#fd = openSync(path, 'r');
    this.#timer = setInterval(() => {
      for (const hostId of [1, 3]) this.#readLease(hostId);
    }, POLL_MS);
  }

  #readLease(hostId: number): void {
    const { timestampS } = decode(deltaLeader, this.#read((hostId - 1) * SECTOR_BYTES));
    if (this.#renewals.get(hostId)?.timestampS === timestampS) return;
    this.#renewals.set(hostId, { timestampS, seenMs: Date.now() });
  }

  renewedMs(hostId: number): number {
    return this.#renewals.get(hostId)?.seenMs ?? 0;
  }

  owns(number: number, hostId: number): boolean {
    const leader = decode(paxosLeader, this.#read(number * MIB));
    return leader.ownerId === BigInt(hostId) && leader.timestampS !== 0n;
  }

  get isScratched(): boolean {
    return this.#read(SCRATCH_OFFSET)[0] === SCRATCH_BYTE;
  }

  #read(offset: number): Uint8Array {
    const bytes = new Uint8Array(LEADER_BYTES);
    readSync(this.#fd, bytes, 0, LEADER_BYTES, offset);
    return bytes;
  }

  close(): void {
    clearInterval(this.#timer);
    closeSync(this.#fd);
  }
}
