// `npm run check`: everything that needs neither root nor special hardware, in under a minute.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = `${root}node_modules/.bin/`;
const script = (file, ...args) => [
  process.execPath,
  [`${root}scripts/run-script.mjs`, file, ...args],
];

const STEPS = [
  ['format and lint', [`${bin}biome`, ['check', '--error-on-warnings']]],
  ['types', [`${bin}tsc`, []]],
  ['tidy', script('scripts/tidy-check.ts')],
  ['unit tests', [process.execPath, [`${root}scripts/run-tests.mjs`, 'src/', 'scripts/']]],
  ['scenarios', script('scripts/scenarios.ts'), 'scripts/scenarios.ts'],
  ['simulation, fixed seeds', script('scripts/sim.ts', '--check'), 'scripts/sim.ts'],
];

let failed = 0;
for (const [name, [program, args], needs] of STEPS) {
  if (needs !== undefined && !existsSync(root + needs)) continue;
  const startedMs = Date.now();
  const done = spawnSync(program, args, { cwd: root, encoding: 'utf8', maxBuffer: 64 << 20 });
  const good = done.status === 0;
  const seconds = ((Date.now() - startedMs) / 1000).toFixed(1);
  const tests = /^# pass (\d+)$/m.exec(done.stdout)?.[1];
  const count = tests === undefined ? '' : `, ${tests} tests`;
  console.log(`${good ? 'ok    ' : 'FAILED'} ${name} (${seconds} s${count})`);
  if (good) continue;
  failed++;
  console.log(`${done.stdout}${done.stderr}${done.error?.message ?? ''}`);
}
console.log(failed === 0 ? 'check: all good' : `check: ${failed} of ${STEPS.length} steps failed`);
process.exitCode = failed === 0 ? 0 : 1;
