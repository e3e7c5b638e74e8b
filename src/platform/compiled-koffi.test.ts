import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { compiledKoffi } from './compiled-koffi.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? process.cwd();
const MACHINE = process.arch;

/** What of koffi this test calls. */
interface Part {
  load(library: string): { func(declaration: string): () => number };
}

test('the compiled part of koffi calls the C library as koffi does', () => {
  const part = compiledKoffi(`${ROOT}/dist`) as Part | null;
  assert.equal(part?.load('libc.so.6').func('int getpid()')(), process.pid);
});

test('koffi itself is wanted where its compiled part is elsewhere, or does not load', (t) => {
  const directory = mkdtempSync('/tmp/holdfast-koffi-');
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  assert.equal(compiledKoffi(join(directory, 'dist')), null);
  const folder = join(
    directory,
    'node_modules',
    `@koromix/koffi-linux-${MACHINE}`,
    `linux_${MACHINE}`,
  );
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'koffi.node'), 'of another machine');
  assert.equal(compiledKoffi(join(directory, 'dist')), null);
});
