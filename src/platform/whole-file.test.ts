import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createFile, removeFile, replaceFile, seeFile } from './whole-file.ts';

test('a file is there whole: replaced, made once, looked at without following links', () => {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-file-'));
  try {
    const path = join(dir, 'hook');
    const draft = join(dir, '.new');
    assert.deepEqual(seeFile(path), { kind: 'absent' });
    writeFileSync(draft, 'left by one that was killed');
    replaceFile({ path, draft, text: 'one', mode: 0o755 });
    replaceFile({ path, draft, text: 'two', mode: 0o755 });
    const { uid, gid } = statSync(path);
    assert.deepEqual(seeFile(path), { kind: 'file', text: 'two', mode: 0o755, uid, gid });
    assert.equal(createFile({ path, draft, text: 'three', mode: 0o644 }), false);
    assert.equal(readFileSync(path, 'utf8'), 'two');
    assert.equal(createFile({ path: join(dir, 'conf'), draft, text: 'c', mode: 0o644 }), true);
    assert.deepEqual(readdirSync(dir).sort(), ['conf', 'hook']);
    symlinkSync('hook', join(dir, 'link'));
    mkdirSync(join(dir, 'folder'));
    for (const name of ['link', 'folder']) {
      assert.deepEqual(seeFile(join(dir, name)), { kind: 'other' });
    }
    removeFile(path);
    removeFile(path);
    assert.deepEqual(seeFile(path), { kind: 'absent' });
    assert.throws(() => replaceFile({ path, draft: join(dir, 'no/x'), text: '', mode: 0o644 }));
  } finally {
    rmSync(dir, { recursive: true });
  }
});
