import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { unawaitedChildren } from '../../platform/test-children.ts';
import { programAnswer } from './ask-program.ts';

const DEADLINE_MS = 20_000;
const HARDLY_MS = 100;

const answer = (script: string, deadlineMs = DEADLINE_MS, takes?: 'both') =>
  programAnswer('/bin/sh', ['-c', script], deadlineMs, takes);

test('what a program prints; also what it says on stderr, where that is wanted', async () => {
  assert.deepEqual(await answer('echo out; echo err >&2'), { kind: 'done', printed: 'out\n' });
  const both = await answer('echo out; echo err >&2', DEADLINE_MS, 'both');
  assert.deepEqual(both, { kind: 'done', printed: 'out\nerr\n' });
});

test('why it failed: its own words without warnings, or else its exit status', async () => {
  const said = await answer('echo WARNING: old >&2; echo "no VG x" >&2; exit 5');
  assert.deepEqual(said, { kind: 'failed', why: '/bin/sh failed: no VG x' });
  const silent = await answer('exit 5');
  assert.deepEqual(silent, { kind: 'failed', why: '/bin/sh failed: exit status 5' });
  const killed = await answer('kill -SEGV $$');
  assert.deepEqual(killed, { kind: 'failed', why: '/bin/sh failed: signal 11 has ended it' });
});

test('one that is not there, and one that is no program', async (t) => {
  const absent = await programAnswer('holdfast-no-such', [], DEADLINE_MS);
  assert.deepEqual(absent, { kind: 'absent', why: 'there is no holdfast-no-such here' });
  const folder = mkdtempSync('/tmp/holdfast-ask-');
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'text');
  writeFileSync(path, 'text');
  chmodSync(path, 0o644);
  const refused = await programAnswer(path, [], DEADLINE_MS);
  assert.deepEqual(refused, { kind: 'failed', why: `${path} cannot be started: EACCES` });
});

test('one that does not end is late: ended, or left with what it has started', async () => {
  const why = '/bin/sh did not end within 0.1 s';
  assert.deepEqual(await answer('exec sleep 600', HARDLY_MS), { kind: 'late', why });
  // What it has started still has the other end of its streams.
  assert.deepEqual(await answer('sleep 5; true', HARDLY_MS), { kind: 'late', why });
});

test('one that ends in time is not late, also when nobody looked until after the deadline', async () => {
  const asked = answer('echo whole', HARDLY_MS);
  const sinceMs = Date.now();
  // This process has other things to do.
  while (unawaitedChildren().length === 0 || Date.now() - sinceMs <= HARDLY_MS) {
    assert.ok(Date.now() - sinceMs < DEADLINE_MS, 'it does not end');
  }
  assert.deepEqual(await asked, { kind: 'done', printed: 'whole\n' });
});
