import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { FifoReader, sendToFifo } from './fifo.ts';
import { mkfifo } from './system-calls.ts';

test('a FIFO takes what is sent in one piece, and is gone when it is closed', async () => {
  const directory = mkdtempSync('/tmp/holdfast-fifo-');
  const path = join(directory, 'fifo');
  const sent = new Uint8Array(4096).fill(7);
  assert.equal(sendToFifo(path, sent), 'ENOENT');
  const received = new Promise<Uint8Array>((done) => {
    const reader = new FifoReader(path, (bytes) => {
      reader.close();
      reader.close();
      done(bytes);
    });
  });
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(sendToFifo(path, sent), null);
  assert.deepEqual(await received, sent);
  assert.ok(!existsSync(path));
  rmSync(directory, { recursive: true });
});

test('the FIFO of a dead daemon is used again, and what is no FIFO is left alone', () => {
  const directory = mkdtempSync('/tmp/holdfast-fifo-');
  const path = join(directory, 'fifo');
  assert.equal(mkfifo(path, 0o600), 0);
  new FifoReader(path, () => {}).close();
  writeFileSync(path, 'mine');
  assert.throws(() => new FifoReader(path, () => {}), /no FIFO/);
  assert.equal(statSync(path).size, 4);
  rmSync(directory, { recursive: true });
});
