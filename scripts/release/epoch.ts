import { spawnSync } from 'node:child_process';

/** Where there is no git, and nobody says when: the same everywhere. */
const NO_TIME_S = 1_767_225_600;

/** Of every file in a package: what SOURCE_DATE_EPOCH says, or the time of the last commit. */
export function sourceEpochS(root: string): number {
  const given = Number(process.env['SOURCE_DATE_EPOCH'] || Number.NaN);
  if (Number.isSafeInteger(given)) return given;
  const log = spawnSync('git', ['log', '-1', '--format=%ct'], { cwd: root, encoding: 'utf8' });
  const committed = Number((log.stdout ?? '').trim() || Number.NaN);
  return Number.isSafeInteger(committed) ? committed : NO_TIME_S;
}
