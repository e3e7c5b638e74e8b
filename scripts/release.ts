/** `npm run release`: everything that a release consists of, in out/release. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { HOLDFAST_VERSION } from '../src/base/version.ts';
import { ARCHITECTURES } from './deb/koffi.ts';
import { buildDeb } from './deb/package.ts';
import { notesOf, whyNotOf } from './release/changelog.ts';
import { sourceEpochS } from './release/epoch.ts';
import { softwareBill } from './release/sbom.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const PACK_MS = 120_000;
/** What the page of a release says; it is none of its files. */
const NOTES = 'NOTES.md';
const SUMS = 'SHA256SUMS';

const read = (name: string) => readFileSync(join(ROOT, name), 'utf8');

function checkTag(tag: string): void {
  const { version } = JSON.parse(read('package.json')) as { readonly version: string };
  const wrong = whyNotOf(tag, { changelog: read('CHANGELOG.md'), packageVersion: version });
  if (wrong !== null) throw new Error(wrong);
}

function pack(folder: string): void {
  const args = ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder];
  const done = spawnSync('npm', args, { cwd: ROOT, encoding: 'utf8', timeout: PACK_MS });
  if (done.status !== 0) throw new Error(`npm pack failed: ${(done.stderr ?? '').trim()}`);
}

/** As `sha256sum` prints them, and `sha256sum --check` reads them. */
function sumsOf(folder: string): string {
  const names = readdirSync(folder).filter((name) => name !== NOTES && name !== SUMS);
  const lines = names.sort().map((name) => {
    const sum = createHash('sha256')
      .update(readFileSync(join(folder, name)))
      .digest('hex');
    return `${sum}  ${name}\n`;
  });
  return lines.join('');
}

function release(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const epochS = sourceEpochS(ROOT);
  for (const architecture of ARCHITECTURES) buildDeb({ root: ROOT, architecture, folder, epochS });
  pack(folder);
  const bill = softwareBill(ROOT, epochS);
  writeFileSync(join(folder, `holdfast-${HOLDFAST_VERSION}.cdx.json`), bill);
  writeFileSync(join(folder, SUMS), sumsOf(folder));
  writeFileSync(join(folder, NOTES), `${notesOf(read('CHANGELOG.md'), HOLDFAST_VERSION).text}\n`);
}

try {
  const options = {
    tag: { type: 'string' },
    dry: { type: 'boolean' },
    out: { type: 'string' },
  } as const;
  const { values } = parseArgs({ options });
  if ((values.tag === undefined) === (values.dry !== true)) {
    throw new Error('wanted either --tag v1.2.3, which has to fit this tree, or --dry');
  }
  if (values.tag !== undefined) checkTag(values.tag);
  const folder = values.out ?? join(ROOT, 'out/release');
  release(folder);
  process.stdout.write(`in ${folder}:\n${readFileSync(join(folder, SUMS), 'utf8')}`);
} catch (error) {
  console.error(`npm run release: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
