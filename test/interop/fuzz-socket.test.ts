import assert from 'node:assert/strict';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { connect } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MIB } from '../../src/base/units.ts';
import {
  readLockspace,
  readResource,
  readResourceOwners,
  writeLockspace,
  writeResource,
} from '../../src/wire/sanlock/area-calls.ts';
import {
  addLockspace,
  getHosts,
  getLockspaces,
  hostStatus,
  inquireLockspace,
  logDump,
  register,
  renewalHistory,
  status,
  version,
} from '../../src/wire/sanlock/daemon-calls.ts';
import {
  acquire,
  convert,
  inquire,
  release,
  request,
  setLvb,
} from '../../src/wire/sanlock/lease-calls.ts';
import { SM_CMD } from '../../src/wire/sanlock/socket.ts';
import type { Resource } from '../../src/wire/sanlock/types.ts';
import { clientOf, lockspaceAt, must, registerProcess } from './sanlock-clients.ts';
import { makeArea, startDaemon, type TestDaemon, whyNot } from './sanlock-daemons.ts';

const CONNECTIONS = Number(process.env['HOLDFAST_ROUNDS'] ?? 600);
const AT_ONCE = 20;

/** mulberry32 */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Commands that end the daemon or a lockspace when they are understood: not for fuzzing. */
const DEADLY: readonly number[] = [
  SM_CMD.SHUTDOWN,
  SM_CMD.SHUTDOWN_WAIT,
  SM_CMD.REM_LOCKSPACE,
  SM_CMD.RELEASE,
  SM_CMD.WRITE_LOCKSPACE,
  SM_CMD.WRITE_RESOURCE,
  SM_CMD.FORMAT_RINDEX,
  SM_CMD.UPDATE_RINDEX,
  SM_CMD.CREATE_RESOURCE,
  SM_CMD.DELETE_RESOURCE,
  SM_CMD.REBUILD_RINDEX,
];

/** Requests as clients make them, to be spoilt. */
function templates(path: string): readonly Uint8Array[] {
  const lockspace = lockspaceAt(path);
  const resource = makeResource(path, 'RB', 4);
  return [
    register(),
    version(),
    status(),
    logDump(),
    getLockspaces(),
    getHosts('LS'),
    hostStatus('LS'),
    renewalHistory('LS'),
    inquireLockspace(lockspace),
    addLockspace(lockspace, { ioTimeoutS: 2 }),
    readLockspace(lockspace),
    readResource(resource),
    readResourceOwners(resource),
    acquire([resource, makeResource(path, 'RC', 6)]),
    convert(resource),
    inquire(),
    setLvb(resource, new Uint8Array(512)),
    request(resource, { forceMode: 0 }),
  ].map((call) => call.request);
}

function makeResource(path: string, name: string, mebibyte: number): Resource {
  const disks = [{ path, offset: BigInt(mebibyte * MIB) }];
  return { lockspaceName: 'LS', name, disks, lver: 0n, flags: 0 };
}

/** Bytes no client would send: random, spoilt, cut short, or with a wrong header. */
function nonsense(good: readonly Uint8Array[], random: () => number): Buffer {
  const below = (limit: number) => Math.floor(random() * limit);
  const noise = (length: number) => Buffer.from(Array.from({ length }, () => below(256)));
  const bytes = Buffer.from(good[below(good.length)] ?? []);
  switch (below(6)) {
    case 0:
      return noise(1 + below(3000));
    case 1:
      return bytes.subarray(0, below(bytes.length));
    case 2:
      bytes.writeUInt32LE(random() < 0.5 ? 0xffffffff : below(100), 16); // length
      return bytes;
    case 3:
      bytes.writeInt32LE(random() < 0.5 ? 0x7fffffff : below(20) - 10, 24 + 4 * below(2)); // data
      return bytes;
    case 4:
      for (let n = 1 + below(8); n > 0; n--) bytes[4 + below(bytes.length - 4)] = below(256);
      return bytes;
    default:
      return Buffer.concat([bytes, noise(below(2000)), bytes]);
  }
}

function isDeadly(bytes: Buffer): boolean {
  for (let at = 0; at + 32 <= bytes.length; at++) {
    const isHeader = bytes.readUInt32LE(at) === 0x04282010;
    if (isHeader && DEADLY.includes(bytes.readUInt32LE(at + 8))) return true;
  }
  return false;
}

/** Sends, listens a little, and leaves in one of three ways. */
async function harass(daemon: TestDaemon, bytes: Buffer, random: () => number): Promise<void> {
  const socket = connect({ path: daemon.socketPath, allowHalfOpen: true });
  socket.on('error', () => undefined);
  socket.resume();
  const cut = Math.floor(random() * bytes.length);
  socket.write(bytes.subarray(0, cut));
  await sleep(random() * 20);
  socket.write(bytes.subarray(cut));
  await sleep(random() * 20);
  if (random() < 0.3) socket.end();
  await sleep(random() * 20);
  socket.destroy();
}

const GUARD = 0xa5;

/** Leases at 0, 2, 4 and 6 MiB, and between them bytes that no command may touch. */
function makeGuarded(daemon: TestDaemon): string {
  const path = makeArea(`${daemon.directory}/leases`, 8 * MIB);
  const fd = openSync(path, 'r+');
  for (const mebibyte of [1, 3, 5, 7])
    writeSync(fd, Buffer.alloc(MIB, GUARD), 0, MIB, mebibyte * MIB);
  closeSync(fd);
  return path;
}

function assertGuarded(path: string): void {
  const fd = openSync(path, 'r');
  const bytes = Buffer.alloc(MIB);
  for (const mebibyte of [1, 3, 5, 7]) {
    readSync(fd, bytes, 0, MIB, mebibyte * MIB);
    assert.ok(
      bytes.every((byte) => byte === GUARD),
      `nothing is written at ${mebibyte} MiB`,
    );
  }
  closeSync(fd);
}

/** A joined lockspace, three leases, and a process that holds the first. */
async function prepare(daemon: TestDaemon): Promise<{ path: string; pid: number }> {
  const client = clientOf(daemon);
  const path = makeGuarded(daemon);
  const lockspace = lockspaceAt(path);
  await must(client, writeLockspace(lockspace, { ioTimeoutS: 2 }));
  for (const [name, at] of [
    ['RA', 2],
    ['RB', 4],
    ['RC', 6],
  ] as const) {
    // biome-ignore format: pairs
    await must(client, writeResource(makeResource(path, name, at)));
  }
  await must(client, addLockspace(lockspace, { ioTimeoutS: 2 }));
  const { pid } = await registerProcess(daemon);
  await must(client, acquire([makeResource(path, 'RA', 2)], { target: pid }));
  return { path, pid };
}

async function assertServing(daemon: TestDaemon, pid: number, when: string): Promise<void> {
  const said = () => `${when}\n${daemon.log().slice(-2000)}`;
  assert.equal(daemon.process.exitCode, null, `the daemon runs ${said()}`);
  const client = clientOf(daemon);
  const answered = await client.call(version(), { timeoutMs: 5000 });
  assert.ok(answered.ok, `the daemon answers ${said()}`);
  const held = await client.call(inquire(pid), { timeoutMs: 5000 });
  assert.ok(held.ok && held.value.count === 1, `the lease is still held ${said()}`);
}

const where = { skip: whyNot('ours') ?? false };

test('nonsense on sanlock.sock is answered or dropped, and harms nothing', where, async () => {
  const seed = Number(process.env['HOLDFAST_SEED'] ?? 8842);
  const random = randomFrom(seed);
  const daemon = await startDaemon('ours', { hostName: 'host1' });
  try {
    const { path, pid } = await prepare(daemon);
    const good = templates(path);
    for (let sent = 0; sent < CONNECTIONS; sent += AT_ONCE) {
      const batch = Array.from({ length: AT_ONCE }, () => nonsense(good, random));
      const harmless = batch.filter((bytes) => !isDeadly(bytes));
      await Promise.all(harmless.map((bytes) => harass(daemon, bytes, random)));
      await assertServing(
        daemon,
        pid,
        `after ${sent + AT_ONCE} connections, HOLDFAST_SEED=${seed}`,
      );
    }
    assertGuarded(path);
  } finally {
    await daemon.stop();
  }
});

test('nonsense in the areas is answered, and the daemon writes nowhere else', where, async () => {
  const seed = Number(process.env['HOLDFAST_SEED'] ?? 8842);
  const random = randomFrom(seed);
  const daemon = await startDaemon('ours', { hostName: 'host1' });
  try {
    const { path, pid } = await prepare(daemon);
    const client = clientOf(daemon);
    const other = await registerProcess(daemon);
    const resource = makeResource(path, 'RB', 4);
    const target = other.pid;
    for (let round = 0; round < CONNECTIONS / 20; round++) {
      scribble(path, 4 * MIB, random);
      scribbleOtherHosts(path, random);
      const limit = { timeoutMs: 30_000 };
      const answers = [
        await client.call(readResource(resource), limit),
        await client.call(readResourceOwners(resource), limit),
        await client.call(request(resource, { forceMode: 0 }), limit),
        await client.call(acquire([resource], { target, ownerNowait: true }), limit),
        await client.call(convert({ ...resource, flags: 4 }, { target }), limit),
        await client.call(release([], { target, all: true }), limit),
        await client.call(hostStatus('LS'), limit),
      ];
      for (const answer of answers) {
        const isAnswered = answer.ok || answer.error.outcome === 'refused';
        const said = answer.ok ? '' : answer.error.message;
        assert.ok(
          isAnswered,
          `round ${round}, HOLDFAST_SEED=${seed}: ${said}\n${daemon.log().slice(-2000)}`,
        );
      }
      await assertServing(daemon, pid, `after round ${round}, HOLDFAST_SEED=${seed}`);
    }
    assertGuarded(path);
  } finally {
    await daemon.stop();
  }
});

/** Random bytes over some of a resource area: often in its first sectors, sometimes everywhere. */
function scribble(path: string, from: number, random: () => number): void {
  const fd = openSync(path, 'r+');
  for (let n = 1 + Math.floor(random() * 4); n > 0; n--) {
    const length = 1 + Math.floor(random() * 512);
    const at = Math.floor(random() * (random() < 0.5 ? 4096 : MIB - length));
    const bytes = Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)));
    writeSync(fd, bytes, 0, length, from + at);
  }
  closeSync(fd);
}

/** Not the first sector: that is our own host's lease, whose loss other tests cover. */
function scribbleOtherHosts(path: string, random: () => number): void {
  const fd = openSync(path, 'r+');
  const bytes = Buffer.from(Array.from({ length: 200 }, () => Math.floor(random() * 256)));
  const sector = 1 + Math.floor(random() * 1999);
  writeSync(fd, bytes, 0, bytes.length, sector * 512);
  closeSync(fd);
}
