import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../../src/rig/run.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const NPM_MS = 180_000;
/** Not /tmp, which units do not see. */
const PLACE = process.getuid?.() === 0 ? '/opt' : '/var/tmp';

interface Installed {
  readonly prefix: string;
  readonly folder: string;
}

/** They name the programs of that prefix, and leave alone what is not theirs. */
async function unitsOf(env: NodeJS.ProcessEnv, { prefix, folder }: Installed): Promise<void> {
  if (PLACE !== '/opt') return;
  const install = (...more: string[]) =>
    run('holdfast', ['install-units', '--to', folder, ...more], { env });
  const wrote = await install();
  assert.equal(wrote.code, 0, wrote.stderr);
  const units = (await readdir(folder)).sort();
  const packed = await readdir(join(ROOT, 'packaging'));
  assert.deepEqual(
    units,
    packed.filter((name) => /\.(service|slice)$/.test(name)),
  );
  for (const unit of units) {
    const text = await readFile(join(folder, unit), 'utf8');
    for (const [, program = ''] of text.matchAll(/^Exec\w+=[-+]*(\/\S+)/gm)) {
      if (!/\/s?bin\/(sh|lvm)$/.test(program))
        assert.ok(program.startsWith(`${prefix}/bin/`), program);
    }
  }
  const again = await install();
  assert.equal(again.stdout.match(/^is there already: /gm)?.length, units.length);
  await writeFile(join(folder, 'wdmd.service'), '[Unit]\nDescription=Mine\n');
  const refused = await install();
  assert.deepEqual([refused.code, refused.stdout], [1, '']);
  assert.match(refused.stderr, /wdmd\.service is not a unit of holdfast: move it away first/);
  const removed = await install('--remove', '--json');
  assert.equal(JSON.parse(removed.stdout).files.length, units.length - 1);
  assert.deepEqual(await readdir(folder), ['wdmd.service'], 'what is not ours stays');
}

test('packed and installed globally, the programs are on the PATH and run', async () => {
  const dir = await mkdtemp(join(PLACE, 'holdfast-package-'));
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
    await unitsOf(env, { prefix, folder: join(dir, 'units') });
    const shown = await readdir(join(prefix, 'share/man/man8'));
    for (const page of ['holdfast.8', 'sanlock.8', 'lvmlockd.8']) assert.ok(shown.includes(page));
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
