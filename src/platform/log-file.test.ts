import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LogFile } from './log-file.ts';
import { setrlimit } from './system-calls.ts';

const RLIMIT_FSIZE = 1;

async function withFile(body: (path: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync('/tmp/holdfast-log-');
  try {
    await body(join(directory, 'log'));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function opened(path: string): LogFile {
  const file = LogFile.open(path);
  assert.ok(file !== null);
  return file;
}

const written = (file: LogFile) => new Promise<void>((done) => file.whenWritten(done));

test('lines come one after another, behind what was there', () =>
  withFile(async (path) => {
    writeFileSync(path, 'before\n');
    const file = opened(path);
    for (let n = 0; n < 100; n++) file.write(`line ${n}\n`);
    await written(file);
    const lines = Array.from({ length: 100 }, (_, n) => `line ${n}\n`);
    assert.equal(readFileSync(path, 'ascii'), `before\n${lines.join('')}`);
    await written(file);
  }));

test('a full disk loses lines, counts them, and takes the next ones when there is room', () =>
  withFile(async (path) => {
    const file = opened(path);
    const ignore = () => {};
    process.on('SIGXFSZ', ignore);
    setrlimit(RLIMIT_FSIZE, new Uint8Array(new BigUint64Array([12n, 2n ** 64n - 1n]).buffer));
    try {
      for (const line of ['first\n', 'second\n', 'third\n']) {
        file.write(line);
        await written(file);
      }
    } finally {
      setrlimit(RLIMIT_FSIZE, new Uint8Array(16).fill(0xff));
      process.off('SIGXFSZ', ignore);
    }
    file.write('fourth\n');
    file.write('fifth\n');
    await written(file);
    const text = readFileSync(path, 'ascii');
    assert.match(text, /^first\nsecond2 lines lost: EFBIG.*\nfourth\nfifth\n$/);
  }));

test('a disk that takes nothing: no line throws or waits, and memory has a bound', async () => {
  const file = opened('/dev/full');
  for (let n = 0; n < 200_000; n++) file.write('a line of some length, as they are\n');
  await written(file);
});

test('no place for a file is no reason to throw', () => {
  assert.equal(LogFile.open('/nowhere/log'), null);
});
