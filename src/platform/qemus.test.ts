import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { QUIET } from '../sim/kernel/log.ts';
import { NodeQemus } from './qemus.ts';

const UUID = '6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10';
const OTHER = '7f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f11';

/** A process that runs with those words, and what the body makes of it. */
async function running(
  words: readonly string[],
  body: (at: { qemus: NodeQemus; dir: string; pid: number; end: () => Promise<void> }) => unknown,
): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'qemus-'));
  const stays = 'console.log(1); setTimeout(() => {}, 60_000)';
  const child = spawn(process.execPath, ['-e', stays, '--', ...words], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const end = async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  try {
    await once(child.stdout, 'data');
    const qemus = new NodeQemus(dir, { deputy: null, log: QUIET });
    await body({ qemus, dir, pid: child.pid ?? 0, end });
  } finally {
    child.kill('SIGKILL');
    rmSync(dir, { recursive: true });
  }
}

function pidOf(found: ReturnType<NodeQemus['at']>): number | null {
  found?.close();
  return found?.pid ?? null;
}

test('a process is the QEMU of a guest, or of another, or has ended', () =>
  running([UUID], async ({ qemus, dir, pid, end }) => {
    assert.equal(pidOf(qemus.at(UUID, pid)), pid);
    assert.equal(pidOf(qemus.at(OTHER, pid)), null, 'its pid has come round to another process');
    assert.equal(pidOf(qemus.find(UUID)), null);
    writeFileSync(join(dir, 'odd.pid'), 'x');
    writeFileSync(join(dir, 'web.pid'), `${pid}\n`);
    assert.equal(pidOf(qemus.find(UUID)), pid);
    assert.equal(pidOf(qemus.find(OTHER)), null);
    await end();
    assert.equal(pidOf(qemus.at(UUID, pid)), null);
    assert.equal(pidOf(qemus.find(UUID)), null);
  }));

test('a QEMU is found also where libvirt has no pid file of it', () =>
  running(['-name', 'guest=web', '-uuid', UUID, '-display', 'none'], async (at) => {
    const { qemus, pid, end } = at;
    assert.equal(pidOf(qemus.find(UUID)), pid);
    assert.equal(pidOf(qemus.find(OTHER)), null);
    assert.deepEqual(
      qemus.running().filter((one) => one.pid === pid),
      [{ uuid: UUID, pid }],
    );
    await end();
    assert.equal(pidOf(qemus.find(UUID)), null);
  }));

test('a QEMU whose first thread has ended, as its disk hangs, is found', async () => {
  const python = [
    'import threading, time, ctypes, platform',
    'threading.Thread(target=time.sleep, args=(60,)).start()',
    'ctypes.CDLL(None).syscall(60 if platform.machine() == "x86_64" else 93, 0)',
  ];
  const words = ['-c', python.join('\n'), '-uuid', UUID];
  const child = spawn('/usr/bin/python3', words, { stdio: 'ignore' });
  try {
    const pid = child.pid ?? 0;
    while (!readFileSync(`/proc/${pid}/stat`, 'ascii').includes(') Z ')) await sleep(10);
    const qemus = new NodeQemus('/nonexistent', { deputy: null, log: QUIET });
    assert.equal(pidOf(qemus.find(UUID)), pid);
    assert.equal(pidOf(qemus.at(UUID, pid)), pid);
    assert.equal(pidOf(qemus.at(OTHER, pid)), null);
  } finally {
    child.kill('SIGKILL');
  }
});
