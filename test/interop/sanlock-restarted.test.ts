import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Maker, originalsInstalled } from '../../src/rig/host.ts';
import { Rig, rigObstacle } from '../../src/rig/rig.ts';
import { until } from '../../src/rig/run.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const obstacle = rigObstacle() ?? (originalsInstalled() ? null : 'the originals are not installed');

/** sanlock dies under lvmlockd with an LV locked; the log's advice to the administrator works. */
async function documentedWayBack(rig: Rig): Promise<void> {
  const host = rig.host(1);
  const lv = `${rig.vg}/lv1`;
  await host.startDaemons();
  await host.mustLvm('vgcreate', '--shared', rig.vg, rig.lun.device);
  await host.mustLvm('lvcreate', '-an', '-L', '8m', '-n', 'lv1', rig.vg);
  await host.mustLvm('lvchange', '-aey', lv);
  // Its lease is made in the session that holds lv1's, with no persistent lease of it.
  await host.mustLvm('lvcreate', '-an', '-L', '8m', '-n', 'lv2', rig.vg);
  await host.kill('sanlock');
  const log = join(rig.dir, host.name, 'log', 'lvmlockd.err');
  const misses = () => readFileSync(log, 'latin1').includes('manager.gone');
  await until('lvmlockd to miss its sanlock', misses, { withinMs: 20_000 });
  // As a new sanlock may, by its file of holders. Once ours has handed the lockspace over, it is an
  // order.
  process.kill(host.pid('lvmlockd'), 'SIGTERM');
  await host.startSanlock();
  await host.mustLvm('lvchange', '-an', lv);
  const dropped = await host.run(host.program('lvmlockctl'), ['--drop', rig.vg]);
  assert.equal(dropped.code, 0, `${dropped.stdout}${dropped.stderr}`);
  await host.mustLvm('vgchange', '--lockstart', rig.vg);
  await host.mustLvm('lvchange', '-aey', lv);
  assert.ok(host.alive('lvmlockd'), 'the SIGTERM may have been of sanlock');
  await host.mustLvm('lvchange', '-an', lv);
  process.kill(host.pid('lvmlockd'), 'SIGTERM'); // joined anew: now it is an order
  await host.ended('lvmlockd');
}

for (const sanlock of ['ours', 'original'] as const satisfies readonly Maker[]) {
  const options = { skip: obstacle ?? false, timeout: 300_000 };
  test(`a VG is started again after sanlock was: ${sanlock}`, options, async () => {
    const makers = { sanlock, lvmlockd: 'ours', lvmlockctl: 'ours' } as const;
    const rig = await Rig.create({ hosts: [makers], bin: join(ROOT, 'bin') });
    try {
      await documentedWayBack(rig);
    } finally {
      await rig.close();
    }
  });
}
