import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { findLibvirtDaemons, startedMs, tellLibvirt } from './libvirt-daemons.ts';

test('a libvirt daemon is found by its pid file, told once, and no other process is', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-libvirt-'));
  // A program of that name, which says when it is told.
  const program = join(dir, 'virtqemud');
  copyFileSync('/bin/sh', program);
  const script = 'trap "echo told; exit 0" HUP; echo ready; while :; do sleep 0.05; done';
  const child = spawn(program, ['-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    assert.equal(`${(await once(child.stdout, 'data'))[0]}`, 'ready\n');
    writeFileSync(join(dir, 'virtqemud.pid'), `${child.pid}\n`);
    writeFileSync(join(dir, 'libvirtd.pid'), `${process.pid}`);
    const found = findLibvirtDaemons(dir);
    assert.deepEqual(
      found.map((one) => [one.program, one.pid]),
      [['virtqemud', child.pid]],
    );
    const [daemon] = found;
    assert.ok(daemon?.startedMs);
    const since = Date.now() - daemon.startedMs;
    assert.ok(since > -2000 && since < 60_000, `${since} ms ago`);
    assert.equal(tellLibvirt({ ...daemon, identity: 'another' }), false);
    const said = once(child.stdout, 'data');
    assert.equal(tellLibvirt(daemon), true);
    assert.equal(`${(await said)[0]}`, 'told\n');
    if (child.exitCode === null) await once(child, 'exit');
    assert.deepEqual(findLibvirtDaemons(dir), []);
    assert.equal(tellLibvirt(daemon), false);
  } finally {
    child.kill('SIGKILL');
    rmSync(dir, { recursive: true });
  }
});

test('pid files that name no process are of no daemon', () => {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-libvirt-'));
  for (const text of ['', '0', '1', '-1', 'x', '99999999']) {
    writeFileSync(join(dir, 'libvirtd.pid'), text);
    assert.deepEqual(findLibvirtDaemons(dir), [], text);
  }
  rmSync(dir, { recursive: true });
  assert.equal(startedMs(99_999_999), null);
});
