// Bundles *.test.ts of src and test into out/ and runs those whose path contains a given word.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** Of one file or test: one that never ends must not keep the others from being reported. */
const { HOLDFAST_RESTART_MINUTES = '0', HOLDFAST_VM_LIFE } = process.env;
const MORE_MIN = Number(HOLDFAST_RESTART_MINUTES) + (HOLDFAST_VM_LIFE === 'whole' ? 75 : 0);
const LONGEST_MIN = 25 + MORE_MIN;
const root = fileURLToPath(new URL('..', import.meta.url));

function testFiles() {
  return ['src', 'test', 'scripts'].flatMap((folder) =>
    readdirSync(`${root}${folder}`, { recursive: true })
      .filter((file) => file.endsWith('.test.ts'))
      .map((file) => `${folder}/${file}`),
  );
}

/** Their tests are about the process that they run in, or start themselves as another one. */
const ALONE = 'src/platform/';

/** esbuild's entries: each file, or files that share a process, which starts slower than most end. */
function entriesOf(files, together) {
  const isAlone = (file) => together === 0 || file.startsWith(ALONE);
  const alone = files.filter(isAlone).map((file) => {
    return { in: root + file, out: file.replace(/\.ts$/, '') };
  });
  const others = files.filter((file) => !isAlone(file));
  const size = Math.ceil(others.length / together);
  const groups = [];
  for (let at = 0; at < others.length; at += size) {
    const number = groups.length;
    const group = others.slice(at, at + size);
    groups.push({ in: `together:${number}`, out: `together-${number}`, group });
  }
  return [...groups, ...alone];
}

/** An entry that imports a group of files: their tests run in one process, one after another. */
function togetherPlugin(entries) {
  return {
    name: 'together',
    setup(build) {
      build.onResolve({ filter: /^together:/ }, ({ path }) => ({ path, namespace: 'together' }));
      build.onLoad({ filter: /.*/, namespace: 'together' }, ({ path }) => {
        const group = entries.find((entry) => entry.in === path)?.group ?? [];
        const contents = group.map((file) => `import ${JSON.stringify(root + file)};`).join('\n');
        return { contents, resolveDir: root };
      });
    },
  };
}

/** Runs the matching tests, in about `together` processes or each file in its own; the exit status. */
export async function runTests(words, jobs, how = {}) {
  const { without = [], together = 0, longestMin = LONGEST_MIN } = how;
  const named = (file, any) => any.some((word) => file.includes(word));
  const files = testFiles().filter(
    (file) => (words.length === 0 || named(file, words)) && !named(file, without),
  );
  if (files.length === 0) {
    console.error(`no test file matches ${words.join(' ')}`);
    return 1;
  }
  const entries = entriesOf(files, together);
  await build({
    entryPoints: entries.map((entry) => ({ in: entry.in, out: entry.out })),
    plugins: [togetherPlugin(entries)],
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
  const built = entries.map(({ out }) => `${root}out/${out}.mjs`);
  const args = [
    '--test',
    '--enable-source-maps',
    '--expose-gc',
    `--test-timeout=${longestMin * 60_000}`,
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
  const option = (name, otherwise) => {
    const at = args.indexOf(name);
    return at < 0 ? otherwise : (args.splice(at, 2)[1] ?? otherwise);
  };
  const jobs = Number(option('--jobs', '2'));
  const together = Number(option('--together', '0'));
  const without = option('--without', '')
    .split(',')
    .filter((word) => word !== '');
  const longestMin = Number(option('--longest', `${LONGEST_MIN}`));
  process.exitCode = await runTests(args, jobs, { without, together, longestMin });
}
