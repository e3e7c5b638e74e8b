import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildSync } from 'esbuild';
import { lockableMappings } from './memory-lock.ts';

test('pages of files are locked, the memory that V8 manages is not', () => {
  const maps = [
    '00400000-00bad000 r--p 00000000 fe:00 11   /usr/bin/node',
    '00bad000-02500000 r-xp 007ad000 fe:00 11   /usr/bin/node',
    '05000000-05800000 rw-p 00000000 00:00 0    [heap]',
    '7f0000000000-7f0000040000 rw-p 00000000 00:00 0 ', // a page of the heap
    '7f1000000000-7f1000001000 ---p 00000000 00:00 0 ', // the code range
    '7f1000001000-7f1000040000 rwxp 00000000 00:00 0 ',
    '7f1000040000-7f1008000000 ---p 00000000 00:00 0 ',
    '7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0    [stack]',
    '7ffd00100000-7ffd00104000 r--p 00000000 00:00 0    [vvar]',
  ].join('\n');
  assert.deepEqual(
    lockableMappings(maps).map((one) => one.start.toString(16)),
    ['400000', 'bad000', '5000000', '7ffd00000000'],
  );
});

// Enough code to fill pages, then none of it: V8 gives the pages back.
const CHURN = `
function make(count) {
  const made = [];
  for (let i = 0; i < count; i++) {
    const f = new Function('a', 'let s=0;for(let j=0;j<a;j++){s+=j*' + i + '%7} return s');
    for (let k = 0; k < 30; k++) f(100);
    made.push(f);
  }
}
make(2000);
const reason = require('./memory-lock.cjs').lockMemory(1);
for (let round = 0; round < 10; round++) gc();
make(500);
for (let round = 0; round < 20; round++) {
  let held = [];
  for (let i = 0; i < 100000; i++) held.push({ i });
  held = held.filter(({ i }) => i % 97 === 0); // pages left with holes, which V8 discards
  gc();
}
for (let round = 0; round < 10; round++) gc();
const locked = /^VmLck:\\s+(\\d+)/m.exec(require('fs').readFileSync('/proc/self/status', 'ascii'))[1];
console.log(JSON.stringify({ reason, lockedKb: Number(locked) }));
process.kill(process.pid, 'SIGKILL');
`;

test('V8 survives giving back heap and code, with memory locked', () => {
  const directory = mkdtempSync('/tmp/holdfast-lock-');
  const root = process.env['HOLDFAST_ROOT'] ?? process.cwd();
  buildSync({
    entryPoints: [join(root, 'src/platform/memory-lock.ts')],
    outfile: join(directory, 'memory-lock.cjs'),
    bundle: true,
    platform: 'node',
    format: 'cjs',
    external: ['koffi'],
  });
  writeFileSync(join(directory, 'churn.cjs'), CHURN);
  const flags = ['--expose-gc', '--always-sparkplug'];
  const ran = spawnSync(process.execPath, [...flags, join(directory, 'churn.cjs')], {
    encoding: 'utf8',
    env: { ...process.env, NODE_PATH: join(root, 'node_modules') },
  });
  rmSync(directory, { recursive: true });
  assert.equal(ran.signal, 'SIGKILL', ran.stderr); // by itself, at the very end
  const { reason, lockedKb } = JSON.parse(ran.stdout) as { reason: unknown; lockedKb: number };
  if (reason === null) assert.ok(lockedKb > 10_000, `${lockedKb} KiB locked`);
  else assert.match(String(reason), /^(ENOMEM|EPERM)$/); // a limit of the user who runs the test
});
