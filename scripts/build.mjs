// Bundles each program of src/bin into dist/<name>.cjs; koffi stays outside (it carries a binary).
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

export const root = fileURLToPath(new URL('..', import.meta.url));

export async function buildPrograms() {
  const bin = `${root}src/bin`;
  const entryPoints = existsSync(bin)
    ? readdirSync(bin)
        .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
        .map((file) => `${bin}/${file}`)
    : [];
  await build({
    entryPoints,
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

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildPrograms();
