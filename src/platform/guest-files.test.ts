import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { NodeGuestFiles, type WatchFolder } from './guest-files.ts';

const SWEEP_MS = 100;

/** As libvirt does it. */
function write(dir: string, name: string, xml: string): void {
  const path = join(dir, `${name}.xml`);
  writeFileSync(`${path}.new`, xml);
  renameSync(`${path}.new`, path);
}

/** What is told of a directory whose watch is of that kind, at once and after a change. */
async function told(watchFolder: WatchFolder | null): Promise<readonly string[]> {
  const base = mkdtempSync(join(tmpdir(), 'guest-files-'));
  const dir = join(base, 'qemu');
  const files =
    watchFolder === null ? new NodeGuestFiles(dir) : new NodeGuestFiles(dir, watchFolder, SWEEP_MS);
  const said: string[] = [];
  try {
    mkdirSync(dir);
    write(dir, 'web', 'begins');
    const goesOn = new Promise<void>((resolve) => {
      files.watch((name, xml) => {
        const line = `${name} ${xml}`;
        if (said.at(-1) !== line) said.push(line); // a change may be told twice
        if (xml === 'goes on') resolve();
      });
    });
    writeFileSync(join(dir, 'web.pid'), '1');
    write(dir, 'web', 'goes on');
    await goesOn;
    return said;
  } finally {
    files.close();
    rmSync(base, { recursive: true });
  }
}

test('each file is told, and each change of it', { timeout: 30_000 }, async () => {
  assert.deepEqual(await told(null), ['web begins', 'web goes on']);
});

test('also where the kernel has no watch left', { timeout: 30_000 }, async () => {
  const none: WatchFolder = () => {
    throw new Error('EMFILE');
  };
  assert.deepEqual(await told(none), ['web begins', 'web goes on']);
});

test('also where it drops the event', { timeout: 30_000 }, async () => {
  const deaf: WatchFolder = () => ({ close: () => {}, on: () => {} });
  assert.deepEqual(await told(deaf), ['web begins', 'web goes on']);
});
