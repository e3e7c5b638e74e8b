// Bundles one TypeScript program of scripts or bench and runs it.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));

export async function runScript(file, args) {
  const outfile = `${root}out/${file.replace(/\.ts$/, '.mjs')}`;
  await build({
    entryPoints: [root + file],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    sourcemap: true,
    external: ['koffi', 'esbuild', 'typescript'],
    logLevel: 'warning',
  });
  const env = { ...process.env, HOLDFAST_ROOT: root.replace(/\/$/, '') };
  const nodeArgs = ['--enable-source-maps', outfile, ...args];
  const done = spawnSync(process.execPath, nodeArgs, { cwd: root, stdio: 'inherit', env });
  return done.status ?? 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [file = '', ...args] = process.argv.slice(2);
  process.exitCode = await runScript(file, args);
}
