import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { buildSync } from 'esbuild';

const ROOT = process.env['HOLDFAST_ROOT'] ?? process.cwd();
const CLIENT = 'sanlock-client.cjs';

const isCacheOfClient = (name: string) =>
  name.startsWith('sanlock-client.') && name.endsWith('.v8cache');

/** The built client and its cache, in a folder that the test may change. */
class Installation {
  readonly directory = mkdtempSync('/tmp/holdfast-code-');
  readonly file = join(this.directory, CLIENT);
  readonly cache: string;

  constructor(t: TestContext) {
    t.after(() => rmSync(this.directory, { recursive: true, force: true }));
    const [cache = ''] = readdirSync(`${ROOT}/dist`).filter(isCacheOfClient);
    this.cache = join(this.directory, cache);
    for (const name of [CLIENT, cache]) {
      cpSync(`${ROOT}/dist/${name}`, join(this.directory, name), { preserveTimestamps: true });
    }
    buildSync({
      stdin: {
        contents: `
          import { runFromCodeCache } from '${ROOT}/src/platform/code-cache.ts';
          const isUsed = runFromCodeCache(__dirname + '/${CLIENT}', { require, module });
          process.on('exit', () => process.stdout.write(isUsed ? 'used' : 'not used'));
        `,
        resolveDir: ROOT,
      },
      outfile: join(this.directory, 'run.cjs'),
      bundle: true,
      platform: 'node',
      format: 'cjs',
    });
  }

  /** What `sanlock version` prints, and whether the cache was used; in a process of its own. */
  run(...flags: readonly string[]): string {
    const args = [...flags, join(this.directory, 'run.cjs'), 'version'];
    return execFileSync(process.execPath, args, { encoding: 'utf8' });
  }

  /** Another text of the same length. */
  change(): void {
    const text = readFileSync(this.file, 'utf8');
    assert.ok(text.includes('"3.8.5"'));
    writeFileSync(this.file, text.replaceAll('"3.8.5"', '"3.8.6"'));
  }
}

test('the code of the build is used by the Node that built it', (t) => {
  assert.equal(new Installation(t).run(), '3.8.5\nused');
});

test('files of one time, as a package has them, belong together', (t) => {
  const installed = new Installation(t);
  for (const file of [installed.file, installed.cache]) utimesSync(file, 1e9, 1e9);
  assert.equal(installed.run(), '3.8.5\nused');
});

test('a program that was changed by hand is compiled anew', (t) => {
  const installed = new Installation(t);
  installed.change();
  assert.equal(installed.run(), '3.8.6\nnot used');
});

test('the cache of another build is not used, whatever its time', (t) => {
  const installed = new Installation(t);
  installed.change();
  const text = readFileSync(installed.file, 'utf8');
  writeFileSync(installed.file, text.replace(/[0-9a-f]{16}\n$/, '0123456789abcdef\n'));
  for (const file of [installed.file, installed.cache]) utimesSync(file, 1e9, 1e9);
  assert.equal(installed.run(), '3.8.6\nnot used');
});

test('a cache of another V8, a part of one, or none, costs no more than compiling', (t) => {
  const installed = new Installation(t);
  assert.equal(installed.run('--no-opt'), '3.8.5\nnot used');
  const whole = readFileSync(installed.cache);
  for (const bytes of [whole.subarray(0, whole.length / 2), whole.subarray(0, 7)]) {
    writeFileSync(installed.cache, bytes);
    assert.equal(installed.run(), '3.8.5\nnot used');
  }
  rmSync(installed.cache);
  assert.equal(installed.run(), '3.8.5\nnot used');
});
