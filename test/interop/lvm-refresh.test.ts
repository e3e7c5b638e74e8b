import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Host, type Makers, originalsInstalled } from '../../src/rig/host.ts';
import { ALL_ORIGINAL, ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { until } from '../../src/rig/run.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const obstacle = rigObstacle() ?? (originalsInstalled() ? null : 'the originals are not installed');
const ON_C_SANLOCK: Makers = { ...ALL_OURS, sanlock: 'original' };
/** A notice is in the next renewal, and read by the one after that of the other host. */
const NOTICE = { withinMs: 60_000, everyMs: 500 };

/** Notices that this host has heard, each by its sender. */
async function heardBy(host: Host): Promise<readonly string[]> {
  const { stdout } = await host.run(host.program('lvmlockctl'), ['-d']);
  return [...stdout.matchAll(/refresh\.heard .*fromHostId=(\d+)/g)].map(([, from = '']) => from);
}

/** The LV grows under its shared locks; lvm asks to tell the other hosts. */
async function extend(host: Host, lv: string): Promise<void> {
  const done = await host.lvm('lvextend', '-l', '+1', '--lockopt', 'shupdate', lv);
  assert.equal(done.code, 0, done.stderr);
  assert.match(`${done.stdout}${done.stderr}`, /Refreshing LV .* on other hosts/);
}

test('an extended LV is told to hosts of ours over either sanlock, and harms no original', {
  skip: obstacle ?? false,
  timeout: 300_000,
}, async () => {
  const hosts = [ALL_OURS, ALL_OURS, ON_C_SANLOCK, ALL_ORIGINAL];
  const rig = await Rig.create({ hosts, bin: join(ROOT, 'bin'), ioTimeoutS: 2 });
  try {
    const [one, two, onC, original] = [rig.host(1), rig.host(2), rig.host(3), rig.host(4)];
    const lv = `${rig.vg}/lv`;
    await Promise.all(rig.hosts.map((host) => host.startDaemons()));
    await one.mustLvm('vgcreate', '--shared', rig.vg, rig.lun.device);
    await one.mustLvm('lvcreate', '-an', '-l', '1', '-n', 'lv', rig.vg);
    await Promise.all(
      [two, onC, original].map((host) => host.mustLvm('vgchange', '--lockstart', rig.vg)),
    );
    for (const host of rig.hosts) await host.mustLvm('lvchange', '-asy', lv);

    await extend(one, lv);
    for (const host of [two, onC]) {
      const hears = async () => (await heardBy(host)).includes('1');
      await until(`${host.name} hears of host 1`, hears, NOTICE);
    }
    await extend(onC, lv);
    for (const host of [one, two]) {
      const hears = async () => (await heardBy(host)).includes('3');
      await until(`${host.name} hears of host 3`, hears, NOTICE);
    }
    // The original asks nobody, and what it is told means nothing to it.
    await extend(original, lv);
    const shown = await original.run(original.program('lvmlockctl'), ['-i']);
    assert.match(shown.stdout, /LK LV sh/);
    for (const host of rig.hosts) await host.mustLvm('lvchange', '-an', lv);
    await original.mustLvm('lvchange', '-aey', lv);
    await original.mustLvm('lvchange', '-an', lv);
    assert.ok(!(await heardBy(two)).includes('4'), 'an original tells nothing');
  } finally {
    await rig.close();
  }
});
