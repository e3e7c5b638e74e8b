import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The arguments of node in a program of ours: the words behind `node` in its first line. */
function flagsOf(program: string): string[] {
  const file = `${process.env['HOLDFAST_ROOT']}/bin/${program}`;
  const [first = ''] = readFileSync(file, 'utf8').split('\n', 1);
  const [, words = ''] = first.split(/ node\b/);
  return words.split(' ').filter((word) => word !== '');
}

// The original seeds its delays with the second it starts in, and hosts started together retry in
// step (spec 10 §17.1 item 13). Node seeds each process from the system's random source.
test('programs started at the same moment draw different random delays', async () => {
  const flags = flagsOf('sanlock');
  assert.ok(!flags.some((flag) => /random.seed/.test(flag)));
  const draw = () => run(process.execPath, [...flags, '-p', 'Math.random()']);
  const drawn = await Promise.all([draw(), draw(), draw(), draw()]);
  assert.equal(new Set(drawn.map(({ stdout }) => stdout)).size, 4);
});
