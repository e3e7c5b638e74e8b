import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type DiskFacts, factsOf, PathLooks } from './disk-facts.ts';

test('a path is followed as far as it is there', async () => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'holdfast-facts-')));
  try {
    mkdirSync(join(folder, 'data/sub'), { recursive: true });
    writeFileSync(join(folder, 'data/a.img'), '');
    symlinkSync('data', join(folder, 'link'));
    symlinkSync(join(folder, 'link/new.img'), join(folder, 'dangling'));
    symlinkSync('round', join(folder, 'round'));
    const real = async (path: string) => (await factsOf(`${folder}/${path}`)).realPath;
    const file = join(folder, 'data/a.img');
    for (const path of ['data/a.img', 'link/a.img', '/link//sub/.././a.img']) {
      assert.equal(await real(path), file, path);
    }
    assert.equal(await real('link/new.img'), join(folder, 'data/new.img'));
    assert.equal(await real('dangling'), join(folder, 'data/new.img'));
    assert.equal(await real('gone/a/../b.img'), join(folder, 'gone/b.img'));
    await assert.rejects(real('round'), { code: 'ELOOP' });
    await assert.rejects(real('data/a.img/b'), { code: 'ENOTDIR' });
    assert.deepEqual(await factsOf('/dev/null'), { realPath: '/dev/null', deviceKey: null });

    const looks = new PathLooks();
    const missing = await looks.lookUp([file, `${folder}/round`]);
    assert.equal(missing, `${folder}/round cannot be looked up: ELOOP`);
    const found = await looks.lookUp([file, file, `${folder}/link/a.img`]);
    assert.ok(typeof found !== 'string');
    assert.deepEqual(
      [...found.values()].map(({ realPath }) => realPath),
      [file, file],
    );
    assert.deepEqual(await looks.lookUp([]), new Map());
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

/** Paths that begin with /hung are answered when the test says so. */
class Storage {
  readonly looked: string[] = [];
  readonly #hung: (() => void)[] = [];

  readonly look = async (path: string): Promise<DiskFacts> => {
    this.looked.push(path);
    if (path.startsWith('/hung')) {
      await new Promise<void>((resolve) => {
        this.#hung.push(resolve);
      });
    }
    return { realPath: path, deviceKey: null };
  };

  recover(): void {
    for (const answer of this.#hung.splice(0)) answer();
  }
}

test('a file system that hangs costs its guest one look and the deadline, and others nothing', async () => {
  const storage = new Storage();
  const looks = new PathLooks(storage.look, 30);
  assert.equal(
    await looks.lookUp(['/good', '/hung/a', '/hung/b']),
    'the file system of /hung/a did not answer within 0.03 s',
  );
  assert.deepEqual(storage.looked, ['/good', '/hung/a']);
  assert.ok(typeof (await looks.lookUp(['/good'])) !== 'string');
  storage.recover();
});

test('where too many hang the next one waits, and says for whom', async () => {
  const storage = new Storage();
  const patient = new PathLooks(storage.look, 10_000);
  const hung = Array.from({ length: 32 }, (_, n) => patient.lookUp([`/hung/${n}`]));
  const waiting = patient.lookUp(['/good']);
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(!storage.looked.includes('/good'));
  storage.recover();
  for (const one of await Promise.all([...hung, waiting])) assert.ok(typeof one !== 'string');

  const hasty = new PathLooks(storage.look, 30);
  const late = Array.from({ length: 33 }, (_, n) => hasty.lookUp([`/hung/${n}`]));
  const said = await Promise.all(late);
  assert.equal(said[0], 'the file system of /hung/0 did not answer within 0.03 s');
  assert.equal(said[32], 'file systems of other guests did not answer within 0.03 s');
  storage.recover();
});

test('what waits in vain leaves, and beyond a bound none waits', async () => {
  const storage = new Storage();
  const looks = new PathLooks(storage.look, 30, 2);
  const hung = Array.from({ length: 32 }, (_, n) => looks.lookUp([`/hung/${n}`]));
  const waiting = [looks.lookUp(['/a']), looks.lookUp(['/b'])];
  assert.equal(await looks.lookUp(['/c']), '2 others wait for file systems already');
  await Promise.all([...hung, ...waiting]);
  const again = looks.lookUp(['/d']);
  storage.recover();
  assert.ok(typeof (await again) !== 'string', 'the places of those that were late are free');
  assert.ok(!storage.looked.includes('/a'), 'nobody waits for its answer');
});
