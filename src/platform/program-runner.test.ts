import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProgramEnd } from '../ports/programs.ts';
import { ProgramRunner } from './program-runner.ts';

const LONG_MS = 60_000;

function run(words: readonly string[], deadlineMs = LONG_MS): Promise<ProgramEnd> {
  const runner = new ProgramRunner({ PATH: process.env['PATH'] });
  return new Promise((resolve) => runner.run(words, deadlineMs, resolve));
}

test('a program gets its words as they are, and its output and status come back', async () => {
  const odd = ['a b', "'", '$HOME', '`id`', '*', '-n'];
  const end = await run(['printf', '%s\\n', ...odd]);
  assert.deepEqual(end, { status: 0, output: `${odd.join('\n')}\n`, trouble: '' });
});

test('what a failing program says is told, and a program that is not there', async () => {
  const failed = await run(['ls', '/nowhere/at/all']);
  assert.equal(failed.status, 2);
  assert.match(failed.trouble, /nowhere/);
  const absent = await run(['no-such-program-of-holdfast']);
  assert.equal(absent.status, 127);
});

test('a program that does not end is killed at the deadline, with what it started', async () => {
  const end = await run(['sh', '-c', 'sleep 1000 & sleep 1000'], 200);
  assert.equal(end.status, null);
  assert.match(end.trouble, /200 ms/);
});

test('more programs than the limit at once are refused', async () => {
  const runner = new ProgramRunner({ PATH: process.env['PATH'] });
  const ends: ProgramEnd[] = [];
  const all = Promise.all(
    Array.from(
      { length: 9 },
      () =>
        new Promise<void>((resolve) => {
          runner.run(['sleep', '0.3'], LONG_MS, (end) => {
            ends.push(end);
            resolve();
          });
        }),
    ),
  );
  assert.equal(ends.length, 1, 'the ninth is refused at once');
  assert.match(ends[0]?.trouble ?? '', /8 programs/);
  await all;
  assert.equal(ends.filter(({ status }) => status === 0).length, 8);
});
