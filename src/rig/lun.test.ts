import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { fileBehind, Lun, lunObstacle } from './lun.ts';
import { pause, until } from './run.ts';

const skip = lunObstacle() ?? false;
/** Well above what taking down a LUN takes that nobody has open. */
const LOOK_MS = 200;

async function withLun(use: (lun: Lun) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-lun-'));
  try {
    await use(await Lun.create(join(dir, 'lun.img'), 300));
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

for (const which of ['device', 'lvmlock'] as const) {
  const title = `a LUN whose ${which} another has open is taken down when it is closed`;
  test(title, { skip }, async () => {
    await withLun(async (lun) => {
      assert.equal(await fileBehind(lun.device), lun.image);
      const user = await open(lun[which], 'r');
      let isDown = false;
      const down = lun.close().then(() => {
        isDown = true;
      });
      const flag = `/sys/block/${basename(lun[which])}/loop/autoclear`;
      const isAsked = () => readFileSync(flag, 'ascii') === '1\n';
      await until('losetup -d', isAsked, { withinMs: 10_000 });
      await pause(LOOK_MS);
      assert.equal(isDown, false);
      assert.ok(existsSync(lun.image));
      await user.close();
      await down;
      assert.notEqual(await fileBehind(lun.lvmlock), lun.image);
      assert.notEqual(await fileBehind(lun.device), lun.image);
      assert.equal(existsSync(lun.image), false);
    });
  });
}
