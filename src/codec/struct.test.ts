import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  bytestring,
  damageOf,
  decode,
  encode,
  isPossible,
  rangeOf,
  struct,
  u32,
  u64,
} from './struct.ts';

const record = struct('record', 24, {
  count: u32(0, { least: 1, most: 9 }),
  anything: u32(4),
  version: u64(8, { most: 2n ** 62n }),
  name: bytestring(16, 8),
});
const GOOD = { count: 1, anything: 0xffffffff, version: 0n, name: 'x' };

test('a record is damaged by the first field outside its range, and says which', () => {
  assert.equal(damageOf(record, GOOD), null);
  assert.equal(damageOf(record, { ...GOOD, count: 9, version: 2n ** 62n }), null, 'at both ends');
  const cases = [
    [{ count: 0 }, { field: 'count', found: 0, wanted: '1..9' }],
    [
      { count: 10, version: 2n ** 63n },
      { field: 'count', found: 10, wanted: '1..9' },
    ],
    [
      { version: 2n ** 62n + 1n },
      { field: 'version', found: 2n ** 62n + 1n, wanted: `0..${2n ** 62n}` },
    ],
  ] as const;
  for (const [change, damage] of cases) {
    const read = decode(record, encode(record, { ...GOOD, ...change }));
    assert.deepEqual(damageOf(record, read), damage);
  }
});

test('a number is asked for before it is made larger', () => {
  assert.equal(isPossible(record.fields.version, 2n ** 62n), true);
  assert.equal(isPossible(record.fields.version, 2n ** 62n + 1n), false);
  assert.equal(isPossible(record.fields.anything, -1), true, 'it has no range');
});

test('a table with a range that leaves no room for a step, or no value, is a bug', () => {
  assert.throws(() => struct('full', 8, { all: u64(0, { most: 2n ** 63n }) }), /full\.all/);
  assert.throws(() => struct('full', 4, { all: u32(0, { most: 2 ** 31 }) }), /full\.all/);
  assert.throws(() => struct('empty', 4, { none: u32(0, { least: 5, most: 4 }) }), /empty\.none/);
  struct('half', 8, { most: u64(0, { most: 2n ** 63n - 1n }) });
});

test('a range of bytes is named by its fields', () => {
  assert.deepEqual(rangeOf(record, 'count', 'version'), { start: 0, end: 8 });
  assert.deepEqual(rangeOf(record, 'anything', 'name'), { start: 4, end: 16 });
  assert.throws(() => rangeOf(record, 'name', 'count'), /record\.name/);
});
