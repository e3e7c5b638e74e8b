import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { buildSync } from 'esbuild';

const ROOT = process.env['HOLDFAST_ROOT'] ?? process.cwd();
const LINES = 20_000; // more than a pipe holds
const PRINTING = `
import { PlainOutput } from '${ROOT}/src/platform/plain-output.ts';
const output = new PlainOutput(1);
for (let i = 0; i < ${LINES}; i++) output.write(Buffer.from('line ' + i + '\\n'));
process.exitCode = 3;
`;
const LEAVING = `${PRINTING}
void output.taken().then(() => process.reallyExit(3));
`;

function printThrough(t: TestContext, line: string, contents = PRINTING) {
  const directory = mkdtempSync('/tmp/holdfast-output-');
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const program = join(directory, 'printing.cjs');
  buildSync({
    stdin: { contents, resolveDir: ROOT },
    outfile: program,
    bundle: true,
    platform: 'node',
    format: 'cjs',
  });
  const args = ['-c', line, process.execPath, program];
  return spawnSync('/bin/bash', args, { encoding: 'utf8', timeout: 60_000 });
}

const ALL = Array.from({ length: LINES }, (_, i) => `line ${i}\n`).join('');

test('everything comes, in order, and the program ends by itself', (t) => {
  const ran = printThrough(t, '"$0" "$1" | cat; exit $PIPESTATUS');
  assert.equal(ran.stdout, ALL);
  assert.equal(ran.status, 3);
});

for (const [what, program] of [
  ['nothing', PRINTING],
  ['nothing of a program that leaves when all is taken', LEAVING],
] as const) {
  test(`a pipe that does not wait for its reader loses ${what}`, (t) => {
    // Perl sets O_NONBLOCK on the pipe that the program then has as its output.
    const nonblock = `perl -e 'use Fcntl; fcntl(STDOUT, F_SETFL, O_NONBLOCK|O_WRONLY); exec @ARGV'`;
    const line = `${nonblock} "$0" "$1" | (sleep 1; cat); exit $PIPESTATUS`;
    const ran = printThrough(t, line, program);
    assert.equal(ran.stderr, '');
    assert.equal(ran.stdout, ALL);
    assert.equal(ran.status, 3);
  });
}

test('a reader that has gone ends the program as SIGPIPE would', (t) => {
  const ran = printThrough(t, '"$0" "$1" | head -1; exit $PIPESTATUS');
  assert.equal(ran.stdout, 'line 0\n');
  assert.equal(ran.stderr, '');
  assert.equal(ran.status, 141);
});

const BY_STREAM = `
import { endWithReader } from '${ROOT}/src/platform/broken-pipe.ts';
endWithReader();
process.stdout.write('line\\n');
process.exitCode = 3;
`;
for (const [what, program] of [
  ['at once', PRINTING],
  ['by a stream', BY_STREAM],
] as const) {
  test(`output written ${what} to a full disk: one sentence, and no answer`, (t) => {
    const ran = printThrough(t, '"$0" "$1" >/dev/full', program);
    assert.equal(ran.stderr, 'cannot write what this command prints: ENOSPC\n');
    assert.equal(ran.status, 2);
  });
}
