// Bundles the benchmark and runs it: node bench/run.mjs [--dir /var/tmp] [--rounds 3] …
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { buildPrograms } from '../scripts/build.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
await buildPrograms();
for (const [entry, outfile, format] of [
  ['main.ts', 'main.mjs', 'esm'],
  ['probe.ts', 'probe.cjs', 'cjs'], // for `node --require`
]) {
  await build({
    entryPoints: [`${root}bench/${entry}`],
    outfile: `${root}out/bench/${outfile}`,
    bundle: true,
    platform: 'node',
    format,
    target: 'node20',
    external: ['koffi'],
    logLevel: 'warning',
  });
}
// As `bin/` starts our programs: without what makes Node read certificates first.
const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
const run = spawnSync(process.execPath, [`${root}out/bench/main.mjs`, ...process.argv.slice(2)], {
  stdio: 'inherit',
  cwd: root,
  env,
});
process.exitCode = run.status ?? 1;
