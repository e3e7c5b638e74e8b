import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { QUIET } from '../sim/kernel/log.ts';
import { NodeQemus } from './qemus.ts';

const UUID = '6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10';
const OTHER = '7f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f11';

test('a process is the QEMU of a guest, or of another, or has ended', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'qemus-'));
  const stays = 'console.log(1); setTimeout(() => {}, 60_000)';
  const child = spawn(process.execPath, ['-e', stays, '--', '-uuid', UUID], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  try {
    await once(child.stdout, 'data');
    const pid = child.pid ?? 0;
    const qemus = new NodeQemus(dir, { deputy: null, log: QUIET });
    const pidOf = (found: ReturnType<NodeQemus['at']>) => {
      found?.close();
      return found?.pid ?? null;
    };
    assert.equal(pidOf(qemus.at(UUID, pid)), pid);
    assert.equal(pidOf(qemus.at(OTHER, pid)), null, 'its pid has come round to another process');
    assert.equal(pidOf(qemus.find(UUID)), null);
    writeFileSync(join(dir, 'odd.pid'), 'x');
    writeFileSync(join(dir, 'web.pid'), `${pid}\n`);
    assert.equal(pidOf(qemus.find(UUID)), pid);
    assert.equal(pidOf(qemus.find(OTHER)), null);
    assert.deepEqual(qemus.running().find((one) => one.pid === pid)?.uuid, UUID);
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.equal(pidOf(qemus.at(UUID, pid)), null);
    assert.equal(pidOf(qemus.find(UUID)), null);
  } finally {
    child.kill('SIGKILL');
    rmSync(dir, { recursive: true });
  }
});
