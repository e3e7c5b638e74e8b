import assert from 'node:assert/strict';
import fs, {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { mock, test } from 'node:test';
import { JournalFile } from './journal-file.ts';
import { setrlimit } from './system-calls.ts';

const RLIMIT_FSIZE = 1;
const [EXT4, TMPFS] = [0xef53, 0x01021994];
const BOOTED_S = Number(/^btime (\d+)$/m.exec(readFileSync('/proc/stat', 'ascii'))?.[1]);
const BOOT = readFileSync('/proc/sys/kernel/random/boot_id', 'ascii').trim();

interface Harness {
  readonly path: string;
  readonly logged: string[];
  open(): JournalFile;
}

function withFile(body: (harness: Harness) => void): void {
  const directory = mkdtempSync('/tmp/holdfast-journal-');
  const path = join(directory, 'holders');
  const logged: string[] = [];
  const note = (event: string) => logged.push(event);
  const log = { error: note, warn: note, info: note, debug: note };
  try {
    body({ path, logged, open: () => new JournalFile(path, log) });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** A file of this process may grow to this size: a write beyond it is cut short, the next fails. */
function withLimit(bytes: number, body: () => void): void {
  const limits = new BigUint64Array([BigInt(bytes), 0xffff_ffff_ffff_ffffn]);
  const ignore = () => {};
  process.on('SIGXFSZ', ignore);
  setrlimit(RLIMIT_FSIZE, new Uint8Array(limits.buffer));
  try {
    body();
  } finally {
    setrlimit(RLIMIT_FSIZE, new Uint8Array(16).fill(0xff));
    process.off('SIGXFSZ', ignore);
  }
}

const line = (n: number) => JSON.stringify({ kind: 'free', id: n, holder: '→'.repeat(8) });

test('what one process wrote the next one reads; a journal of another boot is none', () =>
  withFile(({ path, open }) => {
    const journal = open();
    assert.deepEqual(journal.load(), { lines: [], damaged: 0 });
    assert.equal(journal.append(line(0)), false, 'before the first whole journal there is no file');
    assert.equal(journal.replace([line(1)]), true);
    assert.equal(journal.append(line(2)), true);
    assert.deepEqual(open().load(), { lines: [line(1), line(2)], damaged: 0 });
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, text.replace(BOOT, BOOT.replaceAll(/[0-9a-f]/g, '0')));
    assert.deepEqual(open().load(), { lines: [], damaged: 0 });
  }));

test('a line that finds no room is refused and leaves nothing behind', () =>
  withFile(({ path, logged, open }) => {
    const journal = open();
    journal.replace([line(1)]);
    const { length } = readFileSync(path);
    withLimit(length + 20, () => {
      assert.equal(journal.append(line(2)), false);
      assert.equal(journal.append(line(3)), false);
    });
    assert.deepEqual(logged, ['journal.notWritten'], 'logged once');
    assert.equal(readFileSync(path).length, length);
    assert.equal(journal.append(line(4)), true);
    assert.deepEqual(logged, ['journal.notWritten', 'journal.writtenAgain']);
    assert.deepEqual(open().load(), { lines: [line(1), line(4)], damaged: 0 });
  }));

test('a journal that finds no room leaves the old one in use, and no draft', () =>
  withFile(({ path, open }) => {
    const journal = open();
    journal.replace([line(1)]);
    const { length } = readFileSync(path);
    withLimit(length + 20, () => assert.equal(journal.replace([line(2), line(3)]), false));
    assert.equal(existsSync(`${path}.new`), false);
    symlinkSync('/dev/full', `${path}.new`);
    assert.equal(journal.replace([line(2)]), false);
    assert.equal(existsSync(`${path}.new`), false);
    assert.equal(journal.append(line(4)), true);
    assert.deepEqual(open().load().lines, [line(1), line(4)]);
  }));

test('cut at any byte, a journal is read as far as it is sound', () =>
  withFile(({ path, open }) => {
    const lines = [line(1), line(2), line(3)];
    open().replace(lines);
    const whole = readFileSync(path);
    for (let length = 0; length < whole.length; length++) {
      writeFileSync(path, whole.subarray(0, length));
      const { lines: read, damaged } = open().load();
      assert.deepEqual(read, lines.slice(0, read.length), `cut at ${length}`);
      // The last line was not done when its writer died; without its first line it is no journal.
      assert.equal(damaged, length <= BOOT.length ? 1 : 0, `cut at ${length}`);
    }
  }));

/** As if the file were on another kind of file system than it is. */
function onFileSystem(type: number, body: () => void): void {
  mock.method(fs, 'statfsSync', () => ({ type }));
  syncBuiltinESMExports();
  try {
    body();
  } finally {
    mock.restoreAll();
    syncBuiltinESMExports();
  }
}

test('without its first line it is of another boot where it was written before this one', () =>
  withFile(({ path, logged, open }) => {
    const damagedAfter = (type: number, writtenS: number) => {
      writeFileSync(path, `\0\0\0\0\n${line(1)}\n`);
      utimesSync(path, writtenS, writtenS);
      let damaged = 0;
      onFileSystem(type, () => {
        damaged = open().load().damaged;
      });
      return damaged;
    };
    assert.equal(damagedAfter(EXT4, BOOTED_S - 3600), 0);
    assert.ok(logged.includes('journal.otherBoot'), 'which is logged');
    for (const nearS of [-1, 0, 1]) assert.equal(damagedAfter(EXT4, BOOTED_S + nearS), 1);
    assert.equal(damagedAfter(EXT4, BOOTED_S + 3600), 1);
    // Such a file is of this boot, whatever the wall clock showed when it was written.
    assert.equal(damagedAfter(TMPFS, BOOTED_S - 3600), 1);
  }));

test('the first whole journal is on the disk before it counts', () =>
  withFile(({ open }) => {
    const actions: string[] = [];
    const { fsyncSync, renameSync } = fs;
    mock.method(fs, 'fsyncSync', (fd: number) => {
      actions.push('fsync');
      fsyncSync(fd);
    });
    mock.method(fs, 'renameSync', (from: string, to: string) => {
      actions.push('rename');
      renameSync(from, to);
    });
    syncBuiltinESMExports();
    try {
      open().replace([line(1)]);
    } finally {
      mock.restoreAll();
      syncBuiltinESMExports();
    }
    assert.deepEqual(actions, ['fsync', 'rename']);
  }));

test('no damaged byte passes, whatever it is', () =>
  withFile(({ path, logged, open }) => {
    const lines = [line(1), line(2), line(3)];
    open().replace(lines);
    const whole = readFileSync(path);
    for (let at = 0; at < whole.length - 1; at++) {
      const bytes = Buffer.from(whole);
      bytes[at] = (bytes[at] ?? 0) ^ 0x01;
      writeFileSync(path, bytes);
      const read = open().load();
      const isOtherBoot = at < BOOT.length && read.lines.length === 0;
      assert.ok(read.damaged > 0 || isOtherBoot, `byte ${at}: ${read.lines.join()}`);
      for (const one of read.lines) assert.ok(lines.includes(one));
    }
    assert.ok(logged.includes('journal.damaged'));
    assert.ok(existsSync(`${path}.damaged`), 'kept for a review');
  }));

test('a journal of an earlier version is read; two of its lines in one are damage', () =>
  withFile(({ path, open }) => {
    writeFileSync(path, [BOOT, line(1), line(2), ''].join('\n'));
    assert.deepEqual(open().load(), { lines: [line(1), line(2)], damaged: 0 });
    writeFileSync(path, `${BOOT}\n${line(1).slice(0, 20)}`);
    appendFileSync(path, `${line(2)}\n${line(3)}\n`);
    assert.deepEqual(open().load(), { lines: [line(3)], damaged: 1 });
    truncateSync(path, BOOT.length + 5);
    assert.deepEqual(open().load(), { lines: [], damaged: 0 });
  }));

test('what cannot be read is not taken for nothing', () =>
  withFile(({ path, logged, open }) => {
    symlinkSync('.', path); // a folder: EISDIR, for root as well
    assert.deepEqual(open().load(), { lines: [], damaged: 1 });
    assert.deepEqual(logged, ['journal.notRead']);
  }));
