import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { LineSource } from './line-source.ts';

/** A program that prints these lines, and then stays or ends. */
function printing(lines: readonly string[], andThen: 'stays' | 'ends') {
  const last = andThen === 'stays' ? 'exec sleep 1000' : '';
  const script = `printf '%s\\n' "$@"; ${last}`;
  return () =>
    spawn('/bin/sh', ['-c', script, 'sh', ...lines], { stdio: ['ignore', 'pipe', 'ignore'] });
}

const NO_LOG = '/nonexistent/sanlock.log';
const never = () => new AbortController().signal;

test('each look is a line; of several the newest', async () => {
  const source = new LineSource(printing(['{"n":1}', '{"n":2}'], 'stays'), NO_LOG);
  try {
    const number = async () =>
      ((await source.look(never())).snapshot as unknown as { n: number }).n;
    while ((await number()) !== 2);
    const late = source.look(AbortSignal.timeout(50));
    await assert.rejects(late, /has ended/);
  } finally {
    source.close();
  }
});

test('a program that has ended is started again by the next look', async () => {
  let starts = 0;
  const start = printing(['{}'], 'ends');
  const source = new LineSource(() => {
    starts += 1;
    return start();
  }, NO_LOG);
  let looks = 0;
  while (looks < 3) {
    looks += await source.look(never()).then(
      () => 1,
      () => 0,
    );
  }
  assert.ok(starts >= 3);
  source.close();
});
