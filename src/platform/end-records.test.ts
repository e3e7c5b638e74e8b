import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { EndRecords } from './end-records.ts';
import { identityOf } from './kernel-process.ts';

const END = { refusedUntilMs: 123.5 };

function withDirectory(body: (directory: string, records: EndRecords) => void): void {
  const directory = mkdtempSync('/tmp/holdfast-end-records-');
  try {
    body(directory, new EndRecords(directory));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function identity(): string {
  const own = identityOf(process.pid);
  assert.ok(own !== null);
  return own;
}

const fileIn = (directory: string) => join(directory, `lease-process.${process.pid}.end`);

test('a record is read again and again, for the process of that pid and start time alone', () => {
  withDirectory((directory, records) => {
    assert.equal(records.read(process.pid, identity()), null);
    records.write(END);
    assert.deepEqual(records.read(process.pid, identity()), END);
    assert.deepEqual(new EndRecords(directory).read(process.pid, identity()), END);
    assert.equal(records.read(process.pid, `${identity()}1`), null, 'its pid was used again');
    assert.equal(records.read(process.pid + 1, identity()), null);
    records.write({ refusedUntilMs: null });
    assert.deepEqual(records.read(process.pid, identity()), { refusedUntilMs: null });
    assert.deepEqual(readdirSync(directory), [`lease-process.${process.pid}.end`], 'no draft');
  });
});

test('what is no sound record of this boot is none, and is removed when a daemon starts', () => {
  const good = (text: string) => JSON.parse(text) as Record<string, unknown>;
  const damages: readonly ((text: string) => string)[] = [
    (text) => text.slice(0, -1),
    () => '',
    () => 'null',
    () => '[]',
    (text) => JSON.stringify({ ...good(text), boot: '00000000-0000-0000-0000-000000000000' }),
    (text) => JSON.stringify({ ...good(text), refusedUntilMs: 'soon' }),
    (text) => JSON.stringify({ ...good(text), refusedUntilMs: undefined }),
    (text) => JSON.stringify({ ...good(text), identity: 4711 }),
    (text) => JSON.stringify({ ...good(text), more: 'x'.repeat(600) }),
  ];
  for (const [n, damage] of damages.entries()) {
    withDirectory((directory, records) => {
      records.write(END);
      const path = fileIn(directory);
      writeFileSync(path, damage(readFileSync(path, 'utf8')));
      assert.equal(records.read(process.pid, identity()), null, `damage ${n}`);
      records.forgetStale();
      assert.ok(!existsSync(path), `damage ${n} is removed`);
    });
  }
});

test('a link is no record, nor is a folder', () => {
  withDirectory((directory, records) => {
    records.write(END);
    renameSync(fileIn(directory), join(directory, 'elsewhere'));
    symlinkSync(join(directory, 'elsewhere'), fileIn(directory));
    assert.equal(records.read(process.pid, identity()), null);
    rmSync(fileIn(directory));
    mkdirSync(fileIn(directory));
    assert.equal(records.read(process.pid, identity()), null);
    records.write(END); // cannot be, and says nothing
    assert.equal(records.read(process.pid, identity()), null);
    assert.deepEqual(readdirSync(directory).sort(), [
      'elsewhere',
      `lease-process.${process.pid}.end`,
    ]);
  });
});

test('a record that cannot be written is none: no such directory, no room', () => {
  const records = new EndRecords('/tmp/holdfast-no-such-directory');
  records.write(END);
  assert.equal(records.read(process.pid, identity()), null);
  records.forgetStale();
  records.forgetAll();
  if (!existsSync('/dev/full')) return;
  withDirectory((directory, full) => {
    symlinkSync('/dev/full', `${fileIn(directory)}.new`); // a draft is not written through a link
    full.write(END);
    assert.equal(full.read(process.pid, identity()), null);
  });
});

test('a start keeps the records of this boot; when none is wanted any more, all go, drafts too', () => {
  withDirectory((directory, records) => {
    records.write(END);
    writeFileSync(join(directory, 'lease-process.7.end.new'), 'half'); // perhaps being written now
    writeFileSync(join(directory, 'sanlock.holders'), 'journal');
    const all = readdirSync(directory);
    records.forgetStale();
    assert.deepEqual(readdirSync(directory), all);
    records.forgetAll();
    assert.deepEqual(readdirSync(directory), ['sanlock.holders']);
  });
});
