import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { NodeGuestRecords } from './guest-records.ts';

const UUID = '6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10';
const OTHER = '7f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f11';

function withRecords(body: (records: NodeGuestRecords, dir: string) => void): void {
  const parent = mkdtempSync(join(tmpdir(), 'holdfast-records-'));
  const dir = join(parent, 'guests');
  try {
    body(new NodeGuestRecords(dir), dir);
  } finally {
    rmSync(parent, { recursive: true });
  }
}

test('records of this boot are found, for nobody else to read', () => {
  withRecords((records, dir) => {
    records.save(UUID, '{"a":1}');
    records.save(UUID, '{"a":2}');
    records.save(OTHER, '{}');
    assert.deepEqual([...records.load()].sort(), [
      [UUID, '{"a":2}'],
      [OTHER, '{}'],
    ]);
    assert.deepEqual(readdirSync(dir).sort(), [`${UUID}.json`, `${OTHER}.json`]);
    assert.equal(statSync(dir).mode & 0o777, 0o700);
    assert.equal(statSync(join(dir, `${UUID}.json`)).mode & 0o777, 0o600);
    records.remove(UUID);
    records.remove(UUID);
    assert.deepEqual([...records.load().keys()], [OTHER]);
  });
});

test('those of another boot, halves and strangers are none', () => {
  withRecords((records, dir) => {
    records.save(UUID, '{}');
    const path = join(dir, `${UUID}.json`);
    const [boot = ''] = readFileSync(path, 'utf8').split('\n');
    writeFileSync(path, `x${boot}\n{}\n`);
    writeFileSync(join(dir, `${OTHER}.json.new`), `${boot}\n{}\n`);
    writeFileSync(join(dir, 'note.json'), `${boot}\n{}\n`);
    writeFileSync(join(dir, `${OTHER}.json`), '');
    assert.deepEqual([...records.load()], []);
  });
});

test('a record that cannot be written is an error, and the one before it stays', () => {
  withRecords((records, dir) => {
    records.save(UUID, '{"a":1}');
    rmSync(dir, { recursive: true });
    assert.throws(() => records.save(UUID, '{"a":2}'), /ENOENT/);
  });
});
