import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { PathProbe } from './path-probe.ts';

test('what answers is told, and what does not is given up', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-probe-'));
  try {
    const probe = new PathProbe();
    const file = join(dir, 'file');
    writeFileSync(file, 'abcdef');
    const seen = await probe.stat(file);
    assert.ok(seen.kind === 'done' && seen.value.size === 6);
    assert.deepEqual(await probe.stat(join(dir, 'none')), { kind: 'failed', errno: 'ENOENT' });
    assert.equal(await probe.mayWrite(dir), true);
    assert.equal(await probe.mayWrite(join(dir, 'none')), false);
    const read = await probe.read(file, { offset: 4, length: 10 });
    assert.ok(read.kind === 'done');
    assert.equal(new TextDecoder().decode(read.value), 'ef');
    assert.equal(probe.hangs, false);
    const hasty = new PathProbe(200);
    const pipe = join(dir, 'pipe');
    execFileSync('mkfifo', [pipe]);
    assert.deepEqual(await hasty.read(pipe, { offset: 0, length: 1 }), { kind: 'silent' });
    assert.equal(hasty.hangs, true);
    closeSync(openSync(pipe, 'w')); // the one that reads goes on
  } finally {
    rmSync(dir, { recursive: true });
  }
});
