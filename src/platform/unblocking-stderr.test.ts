import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { buildSync } from 'esbuild';
import { unblockingStderr } from './unblocking-stderr.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? process.cwd();
const LINES = 50_000;
const MAX_ASKED = 300;

/** Far more lines than a pipe or a socket holds, then a word on stdout. */
const CHATTER = `
import { DaemonLog } from '${ROOT}/src/platform/log.ts';
const log = new DaemonLog({
  program: 'chatter', file: null, fileSeverity: 0, syslogSeverity: 0, stderr: true, utc: true,
});
for (let i = 0; i < ${LINES}; i++) log.info('line.said', { number: i, text: 'x'.repeat(60) });
process.stdout.write('said\\n');
process.stdin.on('data', (asked) => asked.forEach(() => log.info('line.last', {})));
process.stdin.on('end', () => process.exit(0));
`;

/** Started through `sh`, whose line decides what stderr is; it is not read before the word comes. */
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
  let received = '';
  await new Promise((written) => child.stdout.once('data', written));
  child.stderr.on('data', (bytes: Buffer) => {
    received += bytes;
  });
  const ended = new Promise((closed) => child.once('close', closed));
  // Again while nothing comes: what is between us and it may not have made room yet.
  let asked = 0;
  for (; asked < MAX_ASKED && !received.includes('line.last'); asked++) {
    child.stdin.write('?'); // a line for each byte: they may arrive together
    await new Promise((later) => setTimeout(later, 100));
  }
  child.stdin.end();
  await ended;
  return { received, asked };
}

test('a socket without a reader holds no line up, and lost lines are counted', async (t) => {
  const { received, asked } = await chat(t, 'exec "$0" "$1"');
  // More than once, where the reader was given the processor before the word had been written.
  const counts = [...received.matchAll(/^(\d+) lines lost: nobody read them$/gm)];
  const lost = counts.reduce((sum, [, lines]) => sum + Number(lines), 0);
  assert.equal(lost + (received.match(/line\.(said|last)/g)?.length ?? 0), LINES + asked);
  assert.match(received, /line\.last/);
});

test('a pipe without a reader holds no line up', async (t) => {
  // The reader begins when the word has been written.
  const late = '{ "$0" "$1" 2>&1 >&3 | { read -r first; echo "$first"; cat; } >&2; } 3>&1';
  const { received } = await chat(t, late);
  assert.match(received, /number=0 /);
  assert.match(received, /line\.last/);
});

test('a closed stderr is no reason to throw', () => {
  const write = unblockingStderr(() => 0);
  write('one\n');
});

test('a line of which a part was taken is finished before the next', () => {
  let [room, taken] = [4, ''];
  const write = unblockingStderr((bytes) => {
    const part = bytes.subarray(0, room);
    taken += Buffer.from(part);
    room -= part.length;
    return part.length;
  });
  write('abcdef\n'); // four of its bytes find room
  write('lost\n');
  room = 3;
  write('lost too\n'); // the rest of the first one takes all the room there is
  room = 100;
  write('last\n');
  assert.equal(taken, 'abcdef\n2 lines lost: nobody read them\nlast\n');
});
