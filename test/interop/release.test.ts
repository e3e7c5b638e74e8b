import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../../src/rig/run.ts';
import { ROOT } from './deb-fixtures.ts';

/** Fetches koffi's compiled part for the other architecture, once. */
const RELEASE_MS = 300_000;
const here = { skip: existsSync('/usr/bin/dpkg-deb') ? false : 'dpkg-deb is not installed' };

async function released(folder: string, ...words: string[]) {
  const args = [`${ROOT}/scripts/run-script.mjs`, 'scripts/release.ts', '--out', folder, ...words];
  return run(process.execPath, args, { timeoutMs: RELEASE_MS });
}

test('a release: packages, tarball, list and sums; twice the same bytes', here, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-release-'));
  try {
    const places = [join(folder, 'a'), join(folder, 'b')] as const;
    for (const place of places) {
      const { code, stderr } = await released(place, '--dry');
      assert.equal(code, 0, stderr);
    }
    const [first, second] = places;
    const names = readdirSync(first).sort();
    assert.deepEqual(names, [
      ...['NOTES.md', 'SHA256SUMS', 'holdfast-0.1.0.cdx.json', 'holdfast-0.1.0.tgz'],
      ...['holdfast_0.1.0_amd64.deb', 'holdfast_0.1.0_arm64.deb'],
    ]);
    for (const name of names) {
      assert.deepEqual(readFileSync(join(first, name)), readFileSync(join(second, name)), name);
    }
    const sums = readFileSync(join(first, 'SHA256SUMS'), 'utf8').trim().split('\n');
    assert.equal(sums.length, names.length - 2, 'all but itself and the notes');
    for (const line of sums) {
      const [sum, name = ''] = line.split('  ');
      const bytes = readFileSync(join(first, name));
      assert.equal(createHash('sha256').update(bytes).digest('hex'), sum, name);
    }
    const bill = JSON.parse(readFileSync(join(first, 'holdfast-0.1.0.cdx.json'), 'utf8'));
    const shipped = bill.components.map(({ name }: { readonly name: string }) => name);
    for (const name of ['koffi', 'saxes', 'preact', 'uplot']) assert.ok(shipped.includes(name));
    for (const name of ['typescript', 'esbuild']) assert.ok(!shipped.includes(name), name);
    const refused = await released(first, '--tag', 'v9.9.9');
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /the tag v9\.9\.9 is not that of package\.json/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
