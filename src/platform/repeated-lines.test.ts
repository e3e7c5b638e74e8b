import assert from 'node:assert/strict';
import test from 'node:test';
import type { LogFields, LogLevel } from '../base/log-fields.ts';
import { RepeatedLines } from './repeated-lines.ts';

const line = (event: string, fields: LogFields = {}, level: LogLevel = 'warn') => ({
  level,
  event,
  fields,
});

/** Gives `count` lines of one kind, one a millisecond; how many were written. */
function storm(lines: RepeatedLines<ReturnType<typeof line>>, count: number, fromMs: number) {
  let written = 0;
  for (let n = 0; n < count; n++) {
    if (lines.take(line('lease.refused', { resource: 'vm7', ageMs: n }), fromMs + n)) written++;
  }
  return written;
}

test('a storm is written four times, then counted once in ten seconds', () => {
  const lines = new RepeatedLines<ReturnType<typeof line>>();
  assert.equal(storm(lines, 1000, 0), 4);
  assert.equal(lines.nextMs(), 10_000);
  assert.deepEqual(lines.due(9_999), []);
  const [counted, ...more] = lines.due(10_000);
  assert.deepEqual(more, []);
  assert.deepEqual(counted, [line('lease.refused', { resource: 'vm7', ageMs: 999 }), 996]);
  assert.equal(lines.nextMs(), null);
  assert.equal(storm(lines, 50, 10_001), 0, 'it goes on');
  assert.equal(lines.due(20_000)[0]?.[1], 50);
  assert.deepEqual(lines.due(30_000), [], 'it is over');
  assert.equal(storm(lines, 5, 30_001), 4, 'a new one begins anew');
});

test('lines of other content are all written, and debug lines always', () => {
  const lines = new RepeatedLines<ReturnType<typeof line>>();
  for (let n = 0; n < 60; n++) {
    assert.ok(lines.take(line('lease.refused', { resource: `vm${n}` }), 0));
    assert.ok(lines.take(line('lease.refused', { resource: 'x' }, 'debug'), 0));
  }
  assert.equal(lines.nextMs(), null);
});

test('what is remembered has a bound, and no count is lost', () => {
  const lines = new RepeatedLines<ReturnType<typeof line>>();
  let counted = 0;
  let written = 0;
  for (let n = 0; n < 20_000; n++) {
    for (const [, count] of lines.due(n)) counted += count;
    if (lines.take(line('client.refused', { client: n % 200 }), n)) written++;
  }
  for (const [, count] of lines.all()) counted += count;
  assert.equal(written + counted, 20_000);
  assert.ok(lines.due(20_000).length <= 65);
});

test('at the end every count is written', () => {
  const lines = new RepeatedLines<ReturnType<typeof line>>();
  storm(lines, 10, 0);
  assert.equal(lines.all()[0]?.[1], 6);
  assert.deepEqual(lines.all(), []);
});
