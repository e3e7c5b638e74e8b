import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MIB } from '../base/units.ts';
import { FreshReads } from './fresh-reads.ts';

const DEADLINE_MS = 5000;

function withFolder(use: (folder: string) => Promise<void>): () => Promise<void> {
  return async () => {
    const folder = mkdtempSync('/var/tmp/holdfast-fresh-');
    try {
      await use(folder);
    } finally {
      rmSync(folder, { recursive: true });
    }
  };
}

test(
  'reads of either size, the same memory again, and what cannot be read',
  withFolder(async (folder) => {
    const path = join(folder, 'image');
    const bytes = new Uint8Array(2 * MIB).map((_, at) => (at >>> 9) & 0xff);
    writeFileSync(path, bytes);
    const reads = new FreshReads(DEADLINE_MS);
    for (let turn = 0; turn < 40; turn++) {
      const found = await reads.look(path, async (piece) => [
        await piece({ offset: 512, length: 1024 }),
        await piece({ offset: 0, length: MIB }),
        await piece({ offset: 4096, length: 512 }),
        await piece({ offset: 2 * MIB - 512, length: 1024 }),
        await piece({ offset: 0, length: 64 * MIB }),
      ]);
      assert.ok(typeof found !== 'string');
      const [small, large, last, past, huge] = found;
      assert.deepEqual(small, bytes.slice(512, 1536));
      assert.deepEqual(large, bytes.slice(0, MIB));
      assert.deepEqual(last, bytes.slice(4096, 4608));
      assert.match(String(past), /ends before byte 2097664/);
      assert.match(String(huge), /no memory is left to read 67108864 bytes/);
    }
    assert.equal(reads.hangs, false);
    const absent = await reads.look(join(folder, 'none'), async () => 'never');
    assert.match(absent, /cannot open .*: ENOENT/);
  }),
);

test(
  'a device that hangs is given up, and not asked again before its call has ended',
  withFolder(async (folder) => {
    const path = join(folder, 'fifo');
    execFileSync('mkfifo', [path]);
    const reads = new FreshReads(50);
    let letGo = () => {};
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const found = await reads.look(path, async () => {
      await held;
      return 'late';
    });
    assert.match(found, /did not answer a read within 0.05 s/);
    assert.equal(reads.hangs, true);
    assert.match(await reads.look(path, async () => 'no'), /an earlier read of .* still hangs/);
    letGo();
    while (reads.hangs) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(await reads.look(path, async () => 'again'), 'again');
  }),
);

test(
  'many devices at once wait for each other, and so do looks at one',
  withFolder(async (folder) => {
    const reads = new FreshReads(DEADLINE_MS);
    const paths = Array.from({ length: 30 }, (_, n) => join(folder, `image${n % 20}`));
    for (const path of paths) writeFileSync(path, new Uint8Array(4096).fill(7));
    const looks = paths.map((path) =>
      reads.look(path, async (piece) => {
        await new Promise((resolve) => setImmediate(resolve));
        return [await piece({ offset: 0, length: 512 })];
      }),
    );
    for (const found of await Promise.all(looks)) {
      assert.ok(typeof found !== 'string', String(found));
      assert.deepEqual(found, [new Uint8Array(512).fill(7)]);
    }
    assert.equal(reads.hangs, false);
  }),
);

test(
  'those that hang keep no other look waiting for longer than their deadline',
  withFolder(async (folder) => {
    const path = join(folder, 'image');
    writeFileSync(path, new Uint8Array(4096));
    execFileSync('mkfifo', [join(folder, 'fifo')]);
    const reads = new FreshReads(1500);
    let letGo = () => {};
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const link = (n: number) => {
      const one = join(folder, `link${n}`);
      symlinkSync(join(folder, 'fifo'), one);
      return reads.look(one, () => held);
    };
    const hung = Array.from({ length: 7 }, (_, n) => link(n));
    const same = reads.look(join(folder, 'link0'), async () => 'no');
    assert.equal(await reads.look(path, async () => 'done'), 'done');
    for (const found of await Promise.all(hung)) assert.match(String(found), /did not answer/);
    assert.match(await same, /an earlier read of .* still hangs/);
    assert.match(String(await link(7)), /did not answer/);
    assert.match(await reads.look(path, async () => 'no'), /8 reads of other devices hang/);
    letGo();
    while (reads.hangs) await new Promise((resolve) => setImmediate(resolve));
  }),
);

test('a device of characters is not opened: a watchdog would be started', async () => {
  const reads = new FreshReads(DEADLINE_MS);
  assert.match(await reads.look('/dev/zero', async () => 'no'), /cannot open .*: ENODEV/);
});
