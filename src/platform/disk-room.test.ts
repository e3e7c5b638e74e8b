import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ERRNO } from '../base/errno.ts';
import { MIB } from '../base/units.ts';
import type { Disk, DiskReply, LateEnd } from '../ports/disk.ts';
import { type AlignedBuffer, AlignedPool } from './aligned-memory.ts';
import { DeviceDisks, type DiskEngine, type Transfer } from './disk-device.ts';
import { DiskRoom, URGENT_PLACES, type Visitor } from './disk-room.ts';
import { MachineClock } from './machine-clock.ts';
import { allocateAligned } from './system-calls.ts';

const PLACES = 8;

interface Inside {
  readonly visitor: Visitor;
  readonly buffer: AlignedBuffer;
}

/** A room with `PLACES` places beside the urgent ones; the requests that get in are listed. */
function harness(memoryBytes = 1 << 24) {
  const pool = new AlignedPool(allocateAligned, memoryBytes);
  const urgentPool = new AlignedPool(allocateAligned);
  const room = new DiskRoom({ depth: PLACES + URGENT_PLACES, pool, urgentPool });
  const inside: Inside[] = [];
  const enter = (group: string, of: { length?: number; urgent?: boolean } = {}) => {
    const { length = 512, urgent = false } = of;
    const begin = (buffer: AlignedBuffer) => inside.push({ visitor, buffer });
    const visitor: Visitor = { group, length, urgent, wanted: () => true, begin };
    assert.ok(room.enter(visitor));
    return inside.at(-1)?.visitor === visitor;
  };
  const leave = (group: string) => {
    const at = inside.findIndex(({ visitor }) => visitor.group === group);
    const [found] = inside.splice(at, 1);
    assert.ok(at >= 0 && found !== undefined);
    room.leave(found.visitor);
    room.release(found.visitor, found.buffer);
  };
  return { room, inside, enter, leave };
}

test('a device that gives nothing back leaves room for others, and always for renewals', () => {
  const { enter, inside, leave } = harness();
  for (let n = 0; n < 100; n++) enter('hung');
  assert.equal(inside.length, PLACES / 2);
  for (let n = 0; n < 100; n++) enter('hung too');
  assert.equal(enter('healthy'), true);
  for (let n = 0; n < URGENT_PLACES; n++) {
    assert.equal(enter('hung', { urgent: true, length: MIB }), true);
  }
  leave('healthy');
  assert.equal(enter('healthy'), true);
});

test('a waiting request gets in when there is room, in its order within a device', () => {
  const { enter, inside, leave } = harness(8 * MIB);
  const found = () => inside.map(({ visitor }) => `${visitor.group} ${visitor.length}`).join(', ');
  assert.equal(enter('a', { length: 2 << 20 }), true);
  assert.equal(enter('a', { length: 2 << 20 }), true);
  assert.equal(enter('a', { length: 2 << 20 }), false, 'it has half of the memory');
  assert.equal(enter('a'), false, 'no request overtakes');
  assert.equal(enter('b', { length: 8 * MIB }), false);
  leave('a');
  assert.equal(found(), 'a 2097152, a 2097152');
  leave('a');
  assert.equal(found(), 'a 2097152, a 512');
  leave('a');
  leave('a');
  assert.equal(found(), 'b 8388608');
});

test('when the first one that waits gives up, the next one gets in if there is room for it', () => {
  const { room, enter, inside } = harness(8 * MIB);
  assert.equal(enter('a', { length: MIB }), true);
  assert.equal(enter('b', { length: 4 << 20 }), true);
  let isWanted = true;
  const begin = (): void => assert.fail('it gave up');
  const large = { group: 'a', length: 4 << 20, urgent: false, begin, wanted: () => isWanted };
  assert.ok(room.enter(large));
  assert.equal(enter('a'), false, 'no request overtakes');
  isWanted = false;
  room.forget(large);
  assert.equal(inside.at(-1)?.visitor.group, 'a');
});

test('a request that was given up blocks no other one, even before its answer', () => {
  const { room, enter } = harness(8 * MIB);
  assert.equal(enter('a', { length: MIB }), true);
  assert.equal(enter('b', { length: 4 << 20 }), true);
  let isWanted = true;
  const begin = (): void => assert.fail('it gave up');
  const large = { group: 'a', length: 4 << 20, urgent: false, begin, wanted: () => isWanted };
  assert.ok(room.enter(large));
  isWanted = false;
  assert.equal(enter('a'), true);
});

const DEVICE_BYTES = 8192;

/** One device whose requests the test ends; two of them may be under way. */
async function withDisk(
  body: (of: { disk: Disk; started: Transfer[] }) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync('/var/tmp/holdfast-room-');
  const path = join(directory, 'device');
  writeFileSync(path, new Uint8Array(DEVICE_BYTES));
  const started: Transfer[] = [];
  const engine: DiskEngine = {
    depth: URGENT_PLACES + 4,
    start: (transfer) => started.push(transfer) > 0,
    deviceSectorSize: () => null,
    deviceBytes: () => DEVICE_BYTES,
  };
  const pool = new AlignedPool(allocateAligned);
  const urgentPool = new AlignedPool(allocateAligned);
  const disks = new DeviceDisks({ engine, pool, urgentPool, clock: new MachineClock() });
  try {
    const disk = await new Promise<Disk>((done, fail) =>
      disks.open(path, 20_000, (opened) =>
        opened.ok ? done(opened.disk) : fail(new Error(`errno ${opened.errno}`)),
      ),
    );
    await body({ disk, started });
    disk.close();
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const LONG_MS = 60_000;

test('a write that waits is sent later, with the bytes of when it was asked for', () =>
  withDisk(async ({ disk, started }) => {
    const replies: string[] = [];
    for (const name of ['one', 'two']) {
      disk.read({ offset: 0, length: 512 }, LONG_MS, (reply) => replies.push(name + reply.outcome));
    }
    const bytes = new Uint8Array(512).fill(7);
    disk.write({ offset: 512, bytes }, LONG_MS, (reply) => replies.push(`write ${reply.outcome}`));
    bytes.fill(9);
    assert.equal(started.length, 2);
    started[0]?.ended(-5);
    assert.deepEqual([started.length, started[2]?.write], [3, true]);
    assert.ok(started[2]?.buffer.bytes.subarray(0, 512).every((byte) => byte === 7));
    started[2]?.ended(512);
    started[1]?.ended(-5);
    assert.deepEqual(replies, ['onefailed', 'write done', 'twofailed']);
  }));

test('a request that waits in vain is answered unknown in its time, and is never sent', () =>
  withDisk(async ({ disk, started }) => {
    for (let n = 0; n < 2; n++) disk.read({ offset: 0, length: 512 }, LONG_MS, () => {});
    const bytes = new Uint8Array(512);
    const ended: string[] = [];
    const reply = await new Promise<DiskReply>((done) =>
      disk.write({ offset: 0, bytes }, 20, done, () => ended.push('ended')),
    );
    assert.equal(reply.outcome, 'unknown');
    assert.deepEqual(ended, ['ended'], 'no later write has to wait for it');
    for (const transfer of [...started]) transfer.ended(-5);
    assert.equal(started.length, 2);
  }));

test('what the kernel itself calls cancelled may land: it was sent', () =>
  withDisk(async ({ disk, started }) => {
    const bytes = new Uint8Array(512);
    const replies: DiskReply[] = [];
    disk.write({ offset: 0, bytes }, LONG_MS, (reply) => replies.push(reply));
    started[0]?.ended(-ERRNO.ECANCELED);
    assert.deepEqual(replies, [{ outcome: 'failed', errno: ERRNO.ECANCELED }]);
    const lateEnds: LateEnd[] = [];
    await new Promise<DiskReply>((done) =>
      disk.write({ offset: 0, bytes }, 20, done, (end) => lateEnds.push(end)),
    );
    started[1]?.ended(-ERRNO.ECANCELED);
    assert.deepEqual(lateEnds, ['refused']);
  }));

test('a write past the end of the device was never sent; within it ENOSPC may be a full pool', () =>
  withDisk(async ({ disk, started }) => {
    const bytes = new Uint8Array(512);
    const failed = { outcome: 'failed', errno: ERRNO.ENOSPC } as const;
    for (const [offset, wanted, late] of [
      [DEVICE_BYTES, { ...failed, unsent: true }, 'unsent'],
      [DEVICE_BYTES - 512, failed, 'refused'],
    ] as const) {
      const replies: DiskReply[] = [];
      disk.write({ offset, bytes }, LONG_MS, (reply) => replies.push(reply));
      started.pop()?.ended(-ERRNO.ENOSPC);
      assert.deepEqual(replies, [wanted]);
      const lateEnds: LateEnd[] = [];
      await new Promise<DiskReply>((done) =>
        disk.write({ offset, bytes }, 20, done, (end) => lateEnds.push(end)),
      );
      started.pop()?.ended(-ERRNO.ENOSPC);
      assert.deepEqual(lateEnds, [late]);
    }
    const replies: DiskReply[] = [];
    disk.read({ offset: DEVICE_BYTES, length: 512 }, LONG_MS, (reply) => replies.push(reply));
    started.pop()?.ended(-ERRNO.ENOSPC);
    assert.deepEqual(replies, [failed]);
  }));

test('what the engine drops was never sent, in time or late', () =>
  withDisk(async ({ disk, started }) => {
    const bytes = new Uint8Array(512);
    const lateEnds: LateEnd[] = [];
    const replies: DiskReply[] = [];
    disk.write(
      { offset: 0, bytes },
      LONG_MS,
      (reply) => replies.push(reply),
      (end) => lateEnds.push(end),
    );
    started[0]?.dropped();
    assert.deepEqual([replies, lateEnds.splice(0)], [[{ outcome: 'unknown' }], ['unsent']]);
    await new Promise<DiskReply>((done) =>
      disk.write({ offset: 0, bytes }, 20, done, (end) => lateEnds.push(end)),
    );
    started[1]?.dropped();
    assert.deepEqual(lateEnds, ['unsent']);
  }));

test('a renewal overtakes waiting requests', () =>
  withDisk(async ({ disk, started }) => {
    for (let n = 0; n < 5; n++) disk.read({ offset: 0, length: 512 }, LONG_MS, () => {});
    assert.equal(started.length, 2);
    disk.read({ offset: 4096, length: 512, urgent: true }, LONG_MS, () => {});
    assert.equal(started[2]?.offset, 4096);
    for (let n = 0; n < started.length; n++) started[n]?.ended(-5);
    assert.equal(started.length, 6);
  }));
