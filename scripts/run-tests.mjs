// Bundles *.test.ts of src and test into out/ and runs those whose path contains a given word.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** Of one file or test: one that never ends must not keep the others from being reported. */
const LONGEST_MS = (25 + Number(process.env.HOLDFAST_RESTART_MINUTES ?? 0)) * 60_000;
const root = fileURLToPath(new URL('..', import.meta.url));

function testFiles() {
  return ['src', 'test', 'scripts'].flatMap((folder) =>
    readdirSync(`${root}${folder}`, { recursive: true })
      .filter((file) => file.endsWith('.test.ts'))
      .map((file) => `${folder}/${file}`),
  );
}

/** Runs the matching tests; returns the exit status. */
export async function runTests(words, jobs, without = []) {
  const named = (file, any) => any.some((word) => file.includes(word));
  const files = testFiles().filter(
    (file) => (words.length === 0 || named(file, words)) && !named(file, without),
  );
  if (files.length === 0) {
    console.error(`no test file matches ${words.join(' ')}`);
    return 1;
  }
  await build({
    entryPoints: files.map((file) => root + file),
    outbase: root,
    outdir: `${root}out`,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    sourcemap: true,
    external: ['koffi', 'esbuild', 'typescript'],
    logLevel: 'warning',
  });
  const built = files.map((file) => `${root}out/${file.replace(/\.ts$/, '.mjs')}`);
  const args = [
    '--test',
    '--enable-source-maps',
    '--expose-gc',
    `--test-timeout=${LONGEST_MS}`,
    `--test-concurrency=${jobs}`,
    ...built,
  ];
  const run = spawnSync(process.execPath, args, {
    stdio: 'inherit',
    cwd: root,
    env: { ...process.env, HOLDFAST_ROOT: root.replace(/\/$/, '') },
  });
  return run.status ?? 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const args = process.argv.slice(2);
  const at = args.indexOf('--jobs');
  const jobs = at < 0 ? 2 : Number(args.splice(at, 2)[1]);
  const not = args.indexOf('--without');
  const without = not < 0 ? [] : (args.splice(not, 2)[1] ?? '').split(',');
  process.exitCode = await runTests(args, jobs, without);
}
