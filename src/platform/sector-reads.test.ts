import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { MonotonicClock } from './clock.ts';

import { DeviceSectorReads } from './sector-reads.ts';
import { allocateAligned, mkfifo } from './system-calls.ts';

const TIMEOUT_MS = 60_000;

function read(
  reads: DeviceSectorReads,
  path: string,
  { offset = 0, timeoutMs = TIMEOUT_MS } = {},
): Promise<Uint8Array | null> {
  return new Promise((answer) => {
    reads.read({ path, offset, length: 512 }, timeoutMs, answer);
  });
}

/** On a file system that has O_DIRECT. */
function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync('/var/tmp/holdfast-sectors-');
  return use(folder).finally(() => rmSync(folder, { recursive: true }));
}

test('a sector is read as it is on the device; what cannot be read is null', () =>
  withFolder(async (folder) => {
    const path = join(folder, 'disk');
    const bytes = new Uint8Array(4096).map((_, at) => at >> 9);
    writeFileSync(path, bytes);
    const reads = new DeviceSectorReads(new MonotonicClock(), allocateAligned);
    const [first, third, beyond, none] = await Promise.all([
      read(reads, path),
      read(reads, path, { offset: 1024 }),
      read(reads, path, { offset: 8192 }),
      read(reads, join(folder, 'none')),
    ]);
    assert.deepEqual([first?.[0], third?.[0], third?.length], [0, 2, 512]);
    assert.deepEqual([beyond, none], [null, null]);
  }));

test('a device that hangs is given up at the deadline, and delays no other', () =>
  withFolder(async (folder) => {
    const hung = join(folder, 'hung');
    assert.equal(mkfifo(hung, 0o600), 0); // opening it waits for a writer
    const path = join(folder, 'disk');
    writeFileSync(path, new Uint8Array(512));
    const reads = new DeviceSectorReads(new MonotonicClock(), allocateAligned);
    const late = read(reads, hung, { timeoutMs: 100 });
    const waits = read(reads, hung, { timeoutMs: 100 });
    assert.equal((await read(reads, path))?.length, 512);
    assert.deepEqual([await late, await waits], [null, null]);
    assert.equal(await read(reads, hung, { timeoutMs: 50 }), null, 'it still hangs');
    writeFileSync(hung, ''); // lets it go
  }));
