import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { originalsInstalled } from '../../src/rig/host.ts';
import { ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { LvmlockdPeer } from './lvmlockd-peer.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const obstacle = rigObstacle() ?? (originalsInstalled() ? null : 'lvm is not installed');
const SOCKET = '/run/lvm/lvmlockd.socket';
const COMMANDS = 12;
/** Five repeats, a second apart; what waits already is met half a second earlier at most. */
const OWN_TIME_MS = 4400;

async function rig(hosts: number, scenario: (rig: Rig) => Promise<void>): Promise<void> {
  const makers = Array.from({ length: hosts }, () => ALL_OURS);
  const made = await Rig.create({ hosts: makers, bin: join(ROOT, 'bin') });
  try {
    await scenario(made);
  } finally {
    await made.close();
  }
}

const options = { skip: obstacle ?? false, timeout: 300_000 };

test('many lvmlockctl at once take turns', options, () =>
  rig(1, async (one) => {
    const host = one.host(1);
    await host.startDaemons();
    await host.mustLvm('vgcreate', '--shared', one.vg, one.lun.device);
    const asked = Array.from({ length: 8 }, () => host.run(host.program('lvmlockctl'), ['-i']));
    for (const { code, stdout, stderr } of await Promise.all(asked)) {
      assert.equal(code, 0, stderr);
      assert.match(stdout, new RegExp(`^VG ${one.vg} lock_type=sanlock`, 'm'));
    }
  }),
);

test('each of many commands has its own time while another host holds the VG', options, () =>
  rig(2, async (two) => {
    const [a, b] = [two.host(1), two.host(2)];
    for (const host of two.hosts) await host.startDaemons();
    await a.mustLvm('vgcreate', '--shared', two.vg, two.lun.device);
    await b.mustLvm('vgchange', '--lockstart', two.vg);
    const vg = ['vg_name', two.vg] as const;
    const holder = await LvmlockdPeer.connect(b.path(SOCKET));
    assert.equal(await holder.ask('lock_vg', [['mode', 'ex'], vg]), 0);
    const waits = Array.from({ length: COMMANDS }, async () => {
      const peer = await LvmlockdPeer.connect(a.path(SOCKET));
      const sinceMs = performance.now();
      const result = await peer.ask('lock_vg', [['mode', 'sh'], vg]);
      peer.close();
      return { result, waitedMs: performance.now() - sinceMs };
    });
    for (const { result, waitedMs } of await Promise.all(waits)) {
      assert.equal(result, -11);
      assert.ok(waitedMs >= OWN_TIME_MS, `answered after ${waitedMs} ms`);
    }
    // lvm itself asks four times, so all of these outlast a holder of more than one time.
    const commands = Array.from({ length: COMMANDS }, () => a.lvm('lvs', two.vg));
    const watcher = await LvmlockdPeer.connect(a.path(SOCKET));
    assert.equal(await watcher.ask('lock_vg', [['mode', 'sh'], vg]), -11);
    assert.equal(await watcher.ask('lock_vg', [['mode', 'sh'], vg]), -11);
    watcher.close();
    assert.equal(await holder.ask('lock_vg', [['mode', 'un'], vg]), 0);
    holder.close();
    for (const { code, stderr } of await Promise.all(commands)) assert.equal(code, 0, stderr);
  }),
);
