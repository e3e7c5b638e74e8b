import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../../src/rig/run.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const NPM_MS = 180_000;

test('packed and installed globally, the programs are on the PATH and run', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-package-'));
  try {
    const pack = ['pack', ROOT, '--ignore-scripts', '--pack-destination', dir];
    const packed = await run('npm', pack, { timeoutMs: NPM_MS });
    assert.equal(packed.code, 0, packed.stderr);
    const archive = (await readdir(dir)).find((file) => file.endsWith('.tgz'));
    assert.ok(archive !== undefined);
    const prefix = join(dir, 'prefix');
    const options = [
      '--ignore-scripts',
      '--prefer-offline',
      '--no-audit',
      '--no-fund',
      '--prefix',
      prefix,
    ];
    const install = ['install', '--global', ...options, join(dir, archive)];
    const installed = await run('npm', install, { timeoutMs: NPM_MS });
    assert.equal(installed.code, 0, installed.stderr);
    const env = { ...process.env, PATH: `${prefix}/bin:${process.env['PATH'] ?? ''}` };
    for (const [program, argument, wanted] of [
      ['sanlock', 'version', /^3\.8\.5$/m],
      ['holdfast', 'version', /^holdfast \d/],
      ['lvmlockd', '-V', /^lvmlockd version/],
      ['lvmlockctl', '-h', /--info/],
      ['wdmd', '-V', /^wdmd version 3\.8\.5$/m],
      ['fence_sanlock', '-ometadata', /<resource-agent name="fence_sanlock"/],
      ['fence_sanlockd', '-V', /^fence_sanlockd 3\.8\.5/],
    ] as const) {
      const said = await run(program, [argument], { env });
      assert.equal(said.code, 0, `${program}: ${said.stderr}`);
      assert.match(said.stdout, wanted);
    }
    const shown = await readdir(join(prefix, 'share/man/man8'));
    for (const page of ['holdfast.8', 'sanlock.8', 'lvmlockd.8']) assert.ok(shown.includes(page));
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
