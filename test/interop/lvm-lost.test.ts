import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { originalsInstalled } from '../../src/rig/host.ts';
import { ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { until } from '../../src/rig/run.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const obstacle = rigObstacle() ?? (originalsInstalled() ? null : 'the originals are not installed');

test('lvm starts a VG that was killed, once nothing uses it, and is told why not before', {
  skip: obstacle ?? false,
  timeout: 300_000,
}, async () => {
  const rig = await Rig.create({ hosts: [ALL_OURS], bin: join(ROOT, 'bin'), ioTimeoutS: 2 });
  try {
    const host = rig.host(1);
    const { vg } = rig;
    const lv = `${vg}/lv1`;
    const ctl = async (...args: readonly string[]): Promise<string> => {
      const done = await host.run(host.program('lvmlockctl'), args);
      assert.equal(done.code, 0, `${done.stdout}${done.stderr}`);
      return done.stdout;
    };
    const isStarted = async (): Promise<boolean> => (await ctl('-i')).includes(`VG ${vg} `);
    await host.startDaemons();
    await host.mustLvm('vgcreate', '--shared', vg, rig.lun.device);
    await host.mustLvm('lvcreate', '-aey', '-L', '8m', '-n', 'lv1', vg);

    await ctl('--kill', vg); //                  as sanlock does it
    const refused = await host.lvm('vgchange', '--lockstart', vg);
    assert.match(`${refused.stdout}${refused.stderr}`, /VG \S+ start failed/);
    await host.mustLvm('lvchange', '-an', lv);
    await host.mustLvm('vgchange', '--lockstart', vg);
    await host.mustLvm('lvchange', '-aey', lv);

    await ctl('--kill', vg);
    await host.mustLvm('lvchange', '-an', lv);
    await ctl('--drop', vg);
    assert.equal(await isStarted(), false);
    const activates = async () => (await host.lvm('lvchange', '-aey', lv)).code === 0;
    await until('lvmlockd starts the VG again by itself', activates, { withinMs: 60_000 });
    await host.mustLvm('lvchange', '-an', lv);

    await ctl('--kill', vg);
    await ctl('--drop', vg);
    await host.mustLvm('vgchange', '--lockstart', vg);
    await host.mustLvm('lvchange', '-aey', lv);
  } finally {
    await rig.close();
  }
});
