import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MIB } from '../base/units.ts';
import type { Disk, DiskReply, Disks } from '../ports/disk.ts';
import { AlignedPool } from './aligned-memory.ts';
import { AioEngine } from './disk-aio.ts';
import { DeviceDisks, type DiskEngine, type Transfer } from './disk-device.ts';
import { PlainEngine, wasmAllocator } from './disk-plain.ts';
import { MachineClock } from './machine-clock.ts';
import { allocateAligned } from './system-calls.ts';

const clock = new MachineClock();
const FILE_BYTES = 4 << 20;

function withFile(body: (path: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync('/var/tmp/holdfast-disk-');
  const path = join(directory, 'device');
  writeFileSync(path, new Uint8Array(FILE_BYTES));
  return body(path).finally(() => rmSync(directory, { recursive: true }));
}

function opened(disks: Disks, path: string): Promise<Disk> {
  return new Promise((done, fail) => {
    disks.open(path, 2000, (answer) =>
      answer.ok ? done(answer.disk) : fail(new Error(`errno ${answer.errno}`)),
    );
  });
}

function read(disk: Disk, offset: number, length: number): Promise<DiskReply> {
  return new Promise((done) => disk.read({ offset, length }, 2000, done));
}

function write(disk: Disk, offset: number, bytes: Uint8Array): Promise<DiskReply> {
  return new Promise((done) => disk.write({ offset, bytes }, 2000, done));
}

function pattern(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + seed) & 0xff);
}

function disksOver(engine: DiskEngine): { disks: Disks; pool: AlignedPool } {
  const pool = new AlignedPool(allocateAligned);
  return { disks: new DeviceDisks({ engine, pool, urgentPool: pool, clock }), pool };
}

const engines: readonly (readonly [string, () => { disks: Disks; pool: AlignedPool }])[] = [
  ['kernel AIO', () => disksOver(aio)],
  ['kernel AIO without its ring', () => disksOver(aioByCalls)],
  [
    'plain',
    () => {
      const pool = new AlignedPool(wasmAllocator(32 << 20));
      return {
        disks: new DeviceDisks({ engine: new PlainEngine(), pool, urgentPool: pool, clock }),
        pool,
      };
    },
  ],
];
const aio = new AioEngine();
const aioByCalls = new AioEngine(() => null);
test.after(() => {
  aio.close();
  aioByCalls.close();
});

for (const [name, make] of engines) {
  test(`${name}: written bytes are on the file and are read back`, () =>
    withFile(async (path) => {
      const { disks, pool } = make();
      const disk = await opened(disks, path);
      for (const [offset, length] of [
        [512, 512],
        [MIB, MIB],
        [8192, 4096],
      ] as const) {
        const bytes = pattern(length, offset & 0xff);
        assert.equal((await write(disk, offset, bytes)).outcome, 'done');
        const reply = await read(disk, offset, length);
        assert.ok(reply.outcome === 'done');
        assert.deepEqual(Buffer.from(reply.bytes), Buffer.from(bytes));
        reply.release();
        reply.release(); // safe to repeat
        const file = readFileSync(path).subarray(offset, offset + length);
        assert.deepEqual(file, Buffer.from(bytes));
      }
      assert.equal(pool.takenBytes, 0);
      disk.close();
    }));

  test(`${name}: many requests of one tick all answer`, () =>
    withFile(async (path) => {
      const { disks } = make();
      const disk = await opened(disks, path);
      const offsets = Array.from({ length: 64 }, (_, i) => i * 512);
      await Promise.all(offsets.map((offset) => write(disk, offset, pattern(512, offset >> 9))));
      const replies = await Promise.all(offsets.map((offset) => read(disk, offset, 512)));
      for (const [i, reply] of replies.entries()) {
        assert.ok(reply.outcome === 'done');
        assert.deepEqual(Buffer.from(reply.bytes), Buffer.from(pattern(512, i)));
        reply.release();
      }
      disk.close();
    }));

  test(`${name}: more requests than the kernel's ring has places, each with its own answer`, () =>
    withFile(async (path) => {
      const { disks } = make();
      const disk = await opened(disks, path);
      const sectors = FILE_BYTES / 512;
      for (let n = 0; n < 1000; n += 4) {
        const offsets = [n, n + 1, n + 2, n + 3].map((sector) => ((sector * 7) % sectors) * 512);
        await Promise.all(offsets.map((offset, i) => write(disk, offset, pattern(512, n + i))));
        for (const [i, offset] of offsets.entries()) {
          const reply = await read(disk, offset, 512);
          assert.ok(reply.outcome === 'done');
          assert.deepEqual(reply.bytes, pattern(512, n + i));
          reply.release();
        }
      }
      disk.close();
    }));

  test(`${name}: a read past the end is a short transfer, a misaligned one is refused`, () =>
    withFile(async (path) => {
      const { disks, pool } = make();
      const disk = await opened(disks, path);
      assert.deepEqual(await read(disk, FILE_BYTES, 512), { outcome: 'failed', errno: 90 });
      assert.deepEqual(await read(disk, 7, 512), { outcome: 'failed', errno: 22 });
      assert.equal(pool.takenBytes, 0);
      disk.close();
    }));
}

test('opening what is not there answers its errno', async () => {
  const pool = new AlignedPool(allocateAligned);
  const disks = new DeviceDisks({ engine: aio, pool, urgentPool: pool, clock });
  await assert.rejects(opened(disks, '/var/tmp/holdfast-nowhere/x'), /errno 2/);
});

test('an engine without room is a failure, not a hang', () =>
  withFile(async (path) => {
    const full: DiskEngine = {
      depth: 32,
      start: () => false,
      deviceSectorSize: () => null,
      deviceBytes: () => null,
    };
    const pool = new AlignedPool(allocateAligned);
    const disk = await opened(
      new DeviceDisks({ engine: full, pool, urgentPool: pool, clock }),
      path,
    );
    assert.deepEqual(await read(disk, 0, 512), { outcome: 'failed', errno: 11, unsent: true });
    assert.equal(pool.takenBytes, 0);
    disk.close();
  }));

test('a timed-out request is unknown, keeps its memory until the kernel is done, and may not answer twice', () =>
  withFile(async (path) => {
    const stuck: Transfer[] = [];
    const engine: DiskEngine = {
      depth: 32,
      start: (transfer) => stuck.push(transfer) > 0,
      deviceSectorSize: () => null,
      deviceBytes: () => null,
    };
    const pool = new AlignedPool(allocateAligned);
    const disk = await opened(new DeviceDisks({ engine, pool, urgentPool: pool, clock }), path);
    let answers = 0;
    const reply = await new Promise<DiskReply>((done) =>
      disk.write({ offset: 0, bytes: pattern(512, 1) }, 30, (answer) => {
        answers++;
        done(answer);
      }),
    );
    assert.equal(reply.outcome, 'unknown');
    assert.equal(stuck[0]?.wanted(), false);
    assert.equal(pool.takenBytes, 512);
    disk.close(); // the descriptor stays open for the kernel's sake; closing must not crash
    stuck[0]?.ended(512);
    assert.equal(pool.takenBytes, 0);
    assert.equal(answers, 1);
  }));

test('a request that an engine has held for too long is dropped, whether its timer came or not', () =>
  withFile(async (path) => {
    const kept: Transfer[] = [];
    const engine: DiskEngine = {
      depth: 32,
      start: (transfer) => kept.push(transfer) > 0,
      deviceSectorSize: () => null,
      deviceBytes: () => null,
    };
    const late = { nowMs: 0, asleepMs: 0 };
    const stopped = {
      nowMs: () => clock.nowMs() + late.nowMs,
      bootMs: () => stopped.nowMs() + late.asleepMs,
      wallMs: () => clock.wallMs(),
      after: (delayMs: number, fire: () => void) => clock.after(delayMs, fire),
    };
    const pool = new AlignedPool(allocateAligned);
    const disk = await opened(
      new DeviceDisks({ engine, pool, urgentPool: pool, clock: stopped }),
      path,
    );
    const replies: DiskReply[] = [];
    disk.write({ offset: 0, bytes: pattern(512, 1) }, 2000, (reply) => replies.push(reply));
    assert.equal(kept[0]?.wanted(), true);
    late.nowMs = 2000;
    assert.equal(kept[0]?.wanted(), false, 'the process stood still');
    late.nowMs = 0;
    late.asleepMs = 2000;
    assert.equal(kept[0]?.wanted(), false, 'the machine slept');
    kept[0]?.dropped();
    assert.deepEqual(replies, [{ outcome: 'unknown' }], 'as its timer would say');
    disk.close();
  }));
