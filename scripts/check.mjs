// `npm run check`: everything that needs neither root nor special hardware, in under a minute.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = `${root}node_modules/.bin/`;
const script = (file, ...args) => [
  process.execPath,
  [`${root}scripts/run-script.mjs`, file, ...args],
];

/** Each ends in a few seconds. */
const FIRST = [
  ['format and lint', [`${bin}biome`, ['check', '--error-on-warnings']]],
  ['types', [`${bin}tsc`, []]],
  ['types of the page', [`${bin}tsc`, ['-p', 'tsconfig.page.json']]],
  ['tidy', script('scripts/tidy-check.ts')],
];
/**
 * None takes a minute: one that hangs is told of in eight. Whether the simulator notices faults is a
 * step of `npm test`: it takes a sixth as long as these.
 */
const UNIT_TESTS = [
  ...['--jobs', '3', '--together', '24', '--longest', '8'],
  ...['--without', 'scripts/sim-mutants'],
];
/** Beside each other: the simulation keeps one core busy, and the longest test another. */
const THEN = [
  [
    'unit tests',
    [process.execPath, [`${root}scripts/run-tests.mjs`, 'src/', 'scripts/', ...UNIT_TESTS]],
  ],
  ['scenarios', script('scripts/scenarios.ts'), 'scripts/scenarios.ts'],
  ['simulation, fixed seeds', script('scripts/sim.ts', '--check'), 'scripts/sim.ts'],
];

let failed = 0;

/** The exit status, and all that was written. */
function run(program, args) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    const take = (bytes) => {
      text += bytes;
    };
    child.stdout.setEncoding('utf8').on('data', take);
    child.stderr.setEncoding('utf8').on('data', take);
    child.on('error', (error) => resolve({ good: false, text: error.message }));
    child.on('close', (status) => resolve({ good: status === 0, text }));
  });
}

async function step([name, [program, args], needs]) {
  if (needs !== undefined && !existsSync(root + needs)) return;
  const startedMs = Date.now();
  const { good, text } = await run(program, args);
  const seconds = ((Date.now() - startedMs) / 1000).toFixed(1);
  const tests = /^# pass (\d+)$/m.exec(text)?.[1];
  const count = tests === undefined ? '' : `, ${tests} tests`;
  console.log(`${good ? 'ok    ' : 'FAILED'} ${name} (${seconds} s${count})`);
  if (good) return;
  failed++;
  console.log(text);
}

for (const one of FIRST) await step(one);
await Promise.all(THEN.map(step));
const all = FIRST.length + THEN.length;
console.log(failed === 0 ? 'check: all good' : `check: ${failed} of ${all} steps failed`);
process.exitCode = failed === 0 ? 0 : 1;
