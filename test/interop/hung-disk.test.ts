import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { AlignedPool } from '../../src/platform/aligned-memory.ts';
import { AioEngine } from '../../src/platform/disk-aio.ts';
import { DeviceDisks } from '../../src/platform/disk-device.ts';
import { MachineClock } from '../../src/platform/machine-clock.ts';
import { allocateAligned } from '../../src/platform/system-calls.ts';
import type { Disk, DiskReply } from '../../src/ports/disk.ts';
import { noHungFile, startHungFile } from './hung-file.ts';

const missing = noHungFile();
const where = missing === null ? {} : { skip: missing };

test(
  'kernel AIO on a hung device: unknown on time, a live event loop, memory back later',
  where,
  async () => {
    const file = await startHungFile(4 * MIB);
    const clock = new MachineClock();
    const pool = new AlignedPool(allocateAligned);
    const engine = new AioEngine();
    const disks = new DeviceDisks({ engine, pool, urgentPool: pool, clock });
    try {
      const disk = await new Promise<Disk>((done, fail) =>
        disks.open(file.path, 10_000, (answer) =>
          answer.ok ? done(answer.disk) : fail(new Error(`errno ${answer.errno}`)),
        ),
      );
      const write = (timeoutMs: number) =>
        new Promise<DiskReply>((done) =>
          disk.write({ offset: 512, bytes: new Uint8Array(512).fill(7) }, timeoutMs, done),
        );
      assert.equal((await write(10_000)).outcome, 'done');

      file.hang();
      const gap = watchGaps(clock);
      const startMs = clock.nowMs();
      const replies = await Promise.all([
        write(300),
        new Promise<DiskReply>((done) => disk.read({ offset: 0, length: MIB }, 300, done)),
      ]);
      const tookMs = clock.nowMs() - startMs;
      assert.deepEqual(replies, [{ outcome: 'unknown' }, { outcome: 'unknown' }]);
      assert.ok(tookMs >= 300 && tookMs < 10_000, `answered after ${tookMs} ms`);
      assert.ok(gap.stop() < 5000, 'the event loop turned while the device hung');
      assert.ok(pool.takenBytes >= MIB, 'the kernel may still write into this memory');

      file.recover();
      const deadlineMs = clock.nowMs() + 30_000;
      while (pool.takenBytes > 0) {
        assert.ok(clock.nowMs() < deadlineMs, 'late completions give the memory back');
        await new Promise((done) => setTimeout(done, 10));
      }
      assert.equal((await write(10_000)).outcome, 'done');
      disk.close();
    } finally {
      file.close();
      engine.close();
    }
  },
);

/** The longest time in which the event loop did not turn. */
function watchGaps(clock: MachineClock): { stop(): number } {
  let worstMs = 0;
  let lastMs = clock.nowMs();
  const timer = setInterval(() => {
    const nowMs = clock.nowMs();
    worstMs = Math.max(worstMs, nowMs - lastMs);
    lastMs = nowMs;
  }, 5);
  return {
    stop: () => {
      clearInterval(timer);
      return worstMs;
    },
  };
}
