import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { test } from 'node:test';
import type { Finding } from '../../src/base/finding.ts';
import { run } from '../../src/rig/run.ts';
import { noHungFile, startHungFile } from './hung-file.ts';

/** holdfast guard check where the file system of the leases hangs. */
const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const HOLDFAST = resolve(ROOT, 'bin/holdfast');
const obstacle = noHungFile();

test('a lease directory that hangs is said, and keeps nobody waiting', {
  skip: obstacle ?? false,
}, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-hung-'));
  const hung = await startHungFile(4096);
  try {
    const etc = join(dir, 'etc');
    cpSync('/etc', etc, { recursive: true, verbatimSymlinks: true });
    mkdirSync(join(etc, 'holdfast'), { recursive: true });
    const conf = `host_id = 1\ndisk_lease_dir = "${dirname(hung.path)}"\n`;
    writeFileSync(join(etc, 'holdfast/guard.conf'), conf);
    hung.hang();
    const script = 'mount --bind "$1" /etc && exec "$2" guard check --json';
    const words = ['--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', etc, HOLDFAST];
    const { code, stdout, stderr } = await run('unshare', words, { timeoutMs: 60_000 });
    assert.equal(code, 1, stderr);
    const { findings } = JSON.parse(stdout) as { readonly findings: readonly Finding[] };
    const kinds = findings.map(({ kind }) => kind);
    assert.ok(kinds.includes('leaseDirSilent'), kinds.join());
    assert.ok(!kinds.includes('leaseDirMissing'), kinds.join());
  } finally {
    hung.close();
    rmSync(dir, { recursive: true });
  }
});
