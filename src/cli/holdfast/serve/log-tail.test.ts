import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { LogTail } from './log-tail.ts';

const refused = (resource: string) =>
  `2026-11-30 19:48:00 54360 [1]: lease.refused lockspace=ls resource=${resource} result=-243\n`;

async function withLog(body: (path: string, tail: LogTail) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-log-'));
  try {
    const path = join(folder, 'sanlock.log');
    await body(path, new LogTail(path));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function names(tail: LogTail): Promise<readonly string[]> {
  return (await tail.added()).map((one) => (one.kind === 'leaseRefused' ? one.resource : one.kind));
}

test('what was there before is not new, and each line is told once, when it is whole', async () => {
  await withLog(async (path, tail) => {
    writeFileSync(path, refused('old'));
    assert.deepEqual(await names(tail), []);
    appendFileSync(path, refused('größe') + refused('b').slice(0, 40));
    assert.deepEqual(await names(tail), ['größe']);
    appendFileSync(path, refused('b').slice(40));
    assert.deepEqual(await names(tail), ['b']);
    assert.deepEqual(await names(tail), []);
  });
});

test('a log that is rotated, cut, or comes later is read from its beginning', async () => {
  await withLog(async (path, tail) => {
    assert.deepEqual(await names(tail), [], 'there is none');
    writeFileSync(path, refused('a'));
    assert.deepEqual(await names(tail), ['a']);
    renameSync(path, `${path}.1`);
    writeFileSync(path, refused('b'));
    assert.deepEqual(await names(tail), ['b']);
    writeFileSync(path, '');
    assert.deepEqual(await names(tail), []);
    appendFileSync(path, refused('c'));
    assert.deepEqual(await names(tail), ['c']);
  });
});

test('of a storm the newest, and a folder in its place is no log', async () => {
  await withLog(async (path, tail) => {
    writeFileSync(path, '');
    await tail.added();
    for (let n = 0; n < 5000; n++) appendFileSync(path, refused(`r${n}`));
    const found = await names(tail);
    assert.equal(found.length, 100);
    assert.equal(found.at(-1), 'r4999');
    assert.deepEqual(await names(new LogTail(tmpdir())), []);
  });
});
