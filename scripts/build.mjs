// Bundles each program of src/bin into dist/<name>.cjs; koffi stays outside (it carries a binary).
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** Builds every program, also when one of them fails; throws at the end if any did. */
export async function buildPrograms() {
  const bin = `${root}src/bin`;
  const entries = existsSync(bin)
    ? readdirSync(bin).filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    : [];
  const built = await Promise.allSettled(entries.map((file) => bundle(`${bin}/${file}`)));
  const failed = entries.filter((_, index) => built[index]?.status === 'rejected');
  if (failed.length > 0) throw new Error(`could not build ${failed.join(', ')}: see above`);
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

function bundle(entry) {
  return build({
    entryPoints: [entry],
    outdir: `${root}dist`,
    outExtension: { '.js': '.cjs' },
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    sourcemap: true,
    // Programs load one another lazily as siblings in dist.
    external: ['koffi', './*.cjs'],
    logLevel: 'warning',
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await buildPrograms()
    .then(buildTypes)
    .catch((error) => {
      console.error(error.message);
      process.exitCode = 1;
    });
}
