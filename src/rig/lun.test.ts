import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { Lun, lunObstacle } from './lun.ts';
import { pause, until } from './run.ts';

const skip = lunObstacle() ?? false;
/** Well above what taking down a LUN takes that nobody has open. */
const LOOK_MS = 200;

const loopFile = (device: string, name: string) =>
  readFileSync(`/sys/block/${basename(device)}/loop/${name}`, 'utf8').trim();

async function withLun(use: (lun: Lun) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-lun-'));
  try {
    await use(await Lun.create(join(dir, 'lun.img'), 300));
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

for (const which of ['device', 'lvmlock'] as const) {
  test(`a LUN whose ${which} another has open is taken down when it is closed`, {
    skip,
  }, async () => {
    await withLun(async (lun) => {
      const image = loopFile(lun.device, 'backing_file');
      const user = await open(lun[which], 'r');
      let isDown = false;
      const down = lun.close().then(() => {
        isDown = true;
      });
      await until('losetup -d', () => loopFile(lun[which], 'autoclear') === '1', {
        withinMs: 10_000,
      });
      await pause(LOOK_MS);
      assert.equal(isDown, false);
      assert.ok(existsSync(lun.image));
      await user.close();
      await down;
      for (const device of [lun.device, lun.lvmlock]) {
        const file = `/sys/block/${basename(device)}/loop/backing_file`;
        assert.ok(
          !existsSync(file) || ![image, lun.device].includes(readFileSync(file, 'utf8').trim()),
        );
      }
      assert.equal(existsSync(lun.image), false);
    });
  });
}
