// Bundles each program of src/bin into dist/<name>.cjs; koffi stays outside (it carries a binary).
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, copyFileSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { runScript } from './run-script.mjs';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** Builds every program, also when one of them fails; throws at the end if any did. */
export async function buildPrograms() {
  const bin = `${root}src/bin`;
  const entries = existsSync(bin)
    ? readdirSync(bin).filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    : [];
  const id = entries.length > 0 ? buildId() : '';
  const built = await Promise.allSettled(entries.map((file) => bundle(`${bin}/${file}`, id)));
  const failed = entries.filter((_, index) => built[index]?.status === 'rejected');
  const cached = CODE_CACHED.filter((name) => !failed.includes(`${name}.ts`));
  for (const name of cached) writeIdentity(`${root}dist/${name}.cjs`);
  compileCode();
  if (failed.length > 0) throw new Error(`could not build ${failed.join(', ')}: see above`);
}

/** Commands that show something, and are run again and again (decision 0025). */
const CODE_CACHED = ['sanlock-client', 'holdfast-status'];

/** The page of `holdfast serve`, with what it is made of: nothing comes from elsewhere. */
export async function buildPage() {
  const page = `${root}src/web/page`;
  await build({
    entryPoints: [
      { in: `${page}/main.tsx`, out: 'page' },
      { in: `${page}/page.css`, out: 'page' },
    ],
    outdir: `${root}dist/web`,
    bundle: true,
    platform: 'browser',
    format: 'iife',
    target: 'es2022',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    minify: true,
    legalComments: 'none', // NOTICE has them
    logLevel: 'warning',
  });
  for (const file of ['index.html', 'icon.svg']) {
    copyFileSync(`${page}/${file}`, `${root}dist/web/${file}`);
  }
}

/** The last line of a program that may run from compiled code, for `platform/code-cache`. */
function writeIdentity(file) {
  const identity = createHash('sha256').update(readFileSync(file)).digest('hex').slice(0, 16);
  appendFileSync(file, `//# code ${identity}\n`);
}

/** As an installation does; without it these commands only start slower. */
function compileCode() {
  const program = `${root}dist/compile-code.cjs`;
  if (existsSync(program)) spawnSync(process.execPath, [program], { stdio: 'inherit' });
}

/** Declarations of the library, `holdfast/client`; an installation without tsc does without. */
export function buildTypes() {
  const tsc = `${root}node_modules/.bin/tsc`;
  if (!existsSync(tsc)) return;
  const emit = ['--declaration', '--emitDeclarationOnly', '--noEmit', 'false'];
  const args = ['-p', `${root}tsconfig.client.json`, ...emit, '--outDir', `${root}dist/types`];
  const done = spawnSync(tsc, args, { stdio: 'inherit', cwd: root });
  if (done.status !== 0) throw new Error('could not emit the declarations of holdfast/client');
}

/** The pages of the manual, and what shells complete with: `dist/man`, `dist/completion`. */
export async function buildManual() {
  const status = await runScript('scripts/man-pages.ts', []);
  if (status !== 0) throw new Error('could not write the pages of the manual: see above');
}

/** Alike for alike sources: a program started later knows whether it is of the same build. */
function buildId() {
  const hash = createHash('sha256');
  const files = readdirSync(`${root}src`, { recursive: true }).sort();
  for (const file of files.filter((name) => /\.tsx?$/.test(name) && !/\.test\.ts$/.test(name))) {
    hash.update(`${file}\n`).update(readFileSync(`${root}src/${file}`));
  }
  return hash.digest('hex').slice(0, 16);
}

function bundle(entry, id) {
  return build({
    entryPoints: [entry],
    outdir: `${root}dist`,
    outExtension: { '.js': '.cjs' },
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    sourcemap: true,
    define: { HOLDFAST_BUILD: JSON.stringify(id) },
    // Programs load one another lazily as siblings in dist.
    external: ['koffi', './*.cjs'],
    logLevel: 'warning',
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await buildPrograms()
    .then(buildPage)
    .then(buildTypes)
    .then(buildManual)
    .catch((error) => {
      console.error(error.message);
      process.exitCode = 1;
    });
}
