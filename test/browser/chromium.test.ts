import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { browserObstacle, Chromium } from './chromium.ts';

test('a browser leaves nothing behind', { skip: browserObstacle() ?? false }, async () => {
  const before = process.env['TMPDIR'];
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-tmp-'));
  process.env['TMPDIR'] = folder;
  try {
    const browser = await Chromium.start();
    await (await browser.open({ width: 800, height: 600 })).close();
    await browser.close();
    assert.deepEqual(readdirSync(folder), []);
  } finally {
    if (before === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = before;
    rmSync(folder, { recursive: true, force: true });
  }
});
