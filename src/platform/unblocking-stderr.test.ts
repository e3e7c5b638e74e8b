import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { buildSync } from 'esbuild';
import { unblockingStderr } from './unblocking-stderr.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? process.cwd();
const LINES = 50_000;

/** Far more lines than a pipe or a socket holds, then a word on stdout. */
const CHATTER = `
import { DaemonLog } from '${ROOT}/src/platform/log.ts';
const log = new DaemonLog({
  program: 'chatter', file: null, fileSeverity: 0, syslogSeverity: 0, stderr: true, utc: true,
});
for (let i = 0; i < ${LINES}; i++) log.info('line.said', { number: i, text: 'x'.repeat(60) });
process.stdout.write('said\\n');
process.stdin.once('data', () => {
  log.info('line.last', {});
  process.exit(0);
});
`;

/** Started through `sh`, whose line decides what stderr is; nobody reads it before the word. */
async function chat(t: TestContext, line: string) {
  const directory = mkdtempSync('/tmp/holdfast-stderr-');
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const program = join(directory, 'chatter.cjs');
  buildSync({
    stdin: { contents: CHATTER, resolveDir: ROOT },
    outfile: program,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    external: ['koffi'],
  });
  const env = { ...process.env, NODE_PATH: join(ROOT, 'node_modules'), DIRECTORY: directory };
  const child = spawn('/bin/sh', ['-c', line, process.execPath, program], { env });
  t.after(() => child.kill('SIGKILL'));
  let heard = '';
  await new Promise((said) => child.stdout.once('data', said));
  child.stderr.on('data', (bytes: Buffer) => {
    heard += bytes;
  });
  // Read first: the line that comes after it must find room.
  await new Promise((quiet) => child.stderr.once('data', () => setImmediate(quiet)));
  child.stdin.write('go\n');
  await new Promise((ended) => child.once('close', ended));
  return heard;
}

test('a socket that nobody reads holds no line up, and what was lost is counted', async (t) => {
  const heard = await chat(t, 'exec "$0" "$1"');
  // More than once, where the reader was given the processor before the word had been said.
  const told = [...heard.matchAll(/^(\d+) lines lost: nobody read them$/gm)];
  const lost = told.reduce((sum, [, lines]) => sum + Number(lines), 0);
  assert.equal(lost + (heard.match(/line\.said/g)?.length ?? 0), LINES);
  assert.match(heard, /line\.last/);
});

test('a pipe that nobody reads holds no line up', async (t) => {
  // The reader begins when the word has been said.
  const late = '{ "$0" "$1" 2>&1 >&3 | { read -r first; echo "$first"; cat; } >&2; } 3>&1';
  const heard = await chat(t, late);
  assert.match(heard, /number=0 /);
  assert.match(heard, /line\.last/);
});

test('a closed stderr is no reason to throw', () => {
  const say = unblockingStderr(() => 0);
  say('one\n');
});

test('a line of which a part was taken is finished before the next', () => {
  let [room, taken] = [4, ''];
  const say = unblockingStderr((bytes) => {
    const part = bytes.subarray(0, room);
    taken += Buffer.from(part);
    room -= part.length;
    return part.length;
  });
  say('abcdef\n'); // four of its bytes find room
  say('lost\n');
  room = 3;
  say('lost too\n'); // the rest of the first one takes all the room there is
  room = 100;
  say('last\n');
  assert.equal(taken, 'abcdef\n2 lines lost: nobody read them\nlast\n');
});
