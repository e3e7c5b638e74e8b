import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Host, type Maker, originalsInstalled } from '../../src/rig/host.ts';
import { ALL_ORIGINAL, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { until } from '../../src/rig/run.ts';
import { exclusive, refused, shared } from './mixture-scenario.ts';

// The steps of docs/operations/exchange.md: one host's programs, exchanged while the other works.

const BIN = join(process.env['HOLDFAST_ROOT'] ?? '.', 'bin');
const missing = rigObstacle() ?? (originalsInstalled() ? null : 'the originals are not installed');
const where = { skip: missing ?? false, timeout: 300_000 };

/** Out of the VG, one daemon after the other, in again. */
async function exchangeAll(rig: Rig, host: Host, maker: Maker): Promise<void> {
  await host.mustLvm('vgchange', '--lockstop', rig.vg);
  await host.kill('lvmlockd', 'SIGTERM');
  await host.kill('sanlock', 'SIGTERM');
  for (const program of ['sanlock', 'lvmlockd', 'lvmlockctl'] as const)
    host.setMaker(program, maker);
  await host.startDaemons();
  await host.mustLvm('vgchange', '--lockstart', rig.vg);
}

/** Only sanlock, below an lvmlockd that goes on. */
async function exchangeSanlock(rig: Rig, host: Host, maker: Maker): Promise<void> {
  await host.mustLvm('vgchange', '--lockstop', rig.vg);
  await host.kill('sanlock', 'SIGTERM');
  host.setMaker('sanlock', maker);
  await host.startSanlock();
  await host.mustLvm('vgchange', '--lockstart', rig.vg);
}

test(
  'each program of a host is exchanged for ours and back, while another host works',
  where,
  async (t) => {
    const rig = await Rig.create({ hosts: [ALL_ORIGINAL, ALL_ORIGINAL], bin: BIN, ioTimeoutS: 1 });
    const [a, b] = [rig.host(1), rig.host(2)];
    const kept = `${rig.vg}/kept`;
    try {
      for (const host of rig.hosts) await host.startDaemons();
      await b.mustLvm('vgcreate', '--shared', rig.vg, rig.lun.device);
      await b.mustLvm('lvcreate', '-an', '-L', '8m', '-n', 'lv1', rig.vg);
      await b.mustLvm('lvcreate', '-aey', '-L', '8m', '-n', 'kept', rig.vg);
      await a.mustLvm('vgchange', '--lockstart', rig.vg);
      const works = async (when: string): Promise<void> => {
        await refused(a, '-aey', kept);
        await exclusive(rig, a, b);
        await shared(rig, a, b);
        t.diagnostic(when);
      };
      await works('the originals');
      await exchangeSanlock(rig, a, 'ours');
      await works('our sanlock below their lvmlockd');
      await exchangeAll(rig, a, 'ours');
      await works('ours');
      await exchangeSanlock(rig, a, 'original');
      await works('their sanlock below our lvmlockd');
      await exchangeAll(rig, a, 'original');
      await works('the originals again');
      await b.mustLvm('lvchange', '-an', kept); // no other host ever had it
      await a.mustLvm('lvchange', '-aey', kept);
    } finally {
      await rig.close();
    }
  },
);

test('lvmlockd is exchanged for ours below an active volume', where, async () => {
  const rig = await Rig.create({ hosts: [ALL_ORIGINAL, ALL_ORIGINAL], bin: BIN, ioTimeoutS: 1 });
  const [a, b] = [rig.host(1), rig.host(2)];
  const name = `${rig.vg}/lv1`;
  try {
    for (const host of rig.hosts) await host.startDaemons();
    await a.mustLvm('vgcreate', '--shared', rig.vg, rig.lun.device);
    await a.mustLvm('lvcreate', '-aey', '-L', '8m', '-n', 'lv1', rig.vg);
    await b.mustLvm('vgchange', '--lockstart', rig.vg);
    await a.kill('lvmlockd'); // it never ends in order while a volume is locked
    a.setMaker('lvmlockd', 'ours');
    a.setMaker('lvmlockctl', 'ours');
    await a.startLvmlockd();
    await a.mustLvm('vgchange', '--lockstart', rig.vg);
    await refused(b, '-aey', name);
    const locks = await a.run(a.program('lvmlockctl'), ['-i']);
    assert.match(locks.stdout, /LK LV ex/, locks.stdout);
    await a.mustLvm('lvchange', '-an', name);
    const taken = () => b.lvm('lvchange', '-aey', name).then(({ code }) => code === 0);
    await until('the volume on the other host', taken, { withinMs: 10_000, everyMs: 500 });
  } finally {
    await rig.close();
  }
});
