/** `npm run package`: Debian packages of this tree, in out/packages. */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ARCHITECTURES, type Architecture, ownArchitecture } from './deb/koffi.ts';
import { buildDeb } from './deb/package.ts';
import { sourceEpochS } from './release/epoch.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
function wantedArchitectures(given: readonly string[]): readonly Architecture[] {
  const own = ownArchitecture();
  const names = given.length > 0 ? given : own === null ? [] : [own];
  const known = ARCHITECTURES.filter((name) => names.includes(name) || names.includes('all'));
  const unknown = names.find((name) => name !== 'all' && !known.includes(name as Architecture));
  if (unknown === undefined && known.length > 0) return known;
  const found = unknown ?? process.arch;
  throw new Error(`there is no package for ${found}: --arch ${ARCHITECTURES.join('|')}|all`);
}

try {
  const options = {
    arch: { type: 'string', multiple: true },
    out: { type: 'string' },
    suffix: { type: 'string' },
  } as const;
  const { values } = parseArgs({ options });
  const folder = values.out ?? join(ROOT, 'out/packages');
  const suffix = values.suffix === undefined ? {} : { suffix: values.suffix };
  for (const architecture of wantedArchitectures(values.arch ?? [])) {
    const epochS = sourceEpochS(ROOT);
    console.log(buildDeb({ root: ROOT, architecture, folder, epochS, ...suffix }));
  }
} catch (error) {
  console.error(`npm run package: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
