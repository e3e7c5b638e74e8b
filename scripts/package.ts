/** `npm run package`: Debian packages of this tree, in out/packages. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ARCHITECTURES, type Architecture, ownArchitecture } from './deb/koffi.ts';
import { buildDeb } from './deb/package.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
/** Where there is no git, and nobody says when: the same everywhere. */
const NO_TIME_S = 1_767_225_600;

/** Of every file in a package: what SOURCE_DATE_EPOCH says, or the time of the last commit. */
export function sourceEpochS(): number {
  const given = Number(process.env['SOURCE_DATE_EPOCH'] || Number.NaN);
  if (Number.isSafeInteger(given)) return given;
  const log = spawnSync('git', ['log', '-1', '--format=%ct'], { cwd: ROOT, encoding: 'utf8' });
  const committed = Number((log.stdout ?? '').trim() || Number.NaN);
  return Number.isSafeInteger(committed) ? committed : NO_TIME_S;
}

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
    const epochS = sourceEpochS();
    console.log(buildDeb({ root: ROOT, architecture, folder, epochS, ...suffix }));
  }
} catch (error) {
  console.error(`npm run package: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
