import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Host, originalsInstalled } from '../../src/rig/host.ts';
import { ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { until } from '../../src/rig/run.ts';
import { LvmlockdPeer } from './lvmlockd-peer.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const obstacle = rigObstacle() ?? (originalsInstalled() ? null : 'lvm is not installed');
const MIB = 1024 * 1024;
const GHOST = 'aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa';

/** A first sector that no lease has. */
async function damage(rig: Rig, slot: number): Promise<void> {
  const device = await open(rig.lun.lvmlock, 'r+');
  try {
    await device.write(randomBytes(512), 0, 512, slot * MIB);
    await device.sync();
  } finally {
    await device.close();
  }
}

async function check(host: Host, ...args: readonly string[]) {
  const { code, stdout, stderr } = await host.run(host.program('lvmlockctl'), ['--check', ...args]);
  return { code, text: `${stdout}${stderr}` };
}

test('slots and metadata are compared, and mended where that is safe', {
  skip: obstacle ?? false,
  timeout: 300_000,
}, async () => {
  const hosts = [ALL_OURS, ALL_OURS];
  const rig = await Rig.create({ hosts, bin: join(ROOT, 'bin'), ioTimeoutS: 2 });
  try {
    const [a, b] = [rig.host(1), rig.host(2)];
    const { vg } = rig;
    for (const host of rig.hosts) await host.startDaemons();
    await a.mustLvm('vgcreate', '--shared', vg, rig.lun.device);
    await b.mustLvm('vgchange', '--lockstart', vg);
    const names = ['l67', 'l68', 'l69'];
    for (const name of names) await a.mustLvm('lvcreate', '-an', '-l', '1', '-n', name, vg);
    const sound = await check(a, vg);
    assert.deepEqual([sound.code, sound.text], [0, `VG ${vg}: 191 slots, 5 in use: agree\n`]);

    // A lease given away under its LV, one of no LV, and damage of both kinds.
    const uuid = (await a.mustLvm('lvs', '--noheadings', '-o', 'uuid', `${vg}/l67`)).trim();
    const peer = await LvmlockdPeer.connect(a.path('/run/lvm/lvmlockd.socket'));
    const of = [
      ['vg_name', vg],
      ['vg_lock_type', 'sanlock'],
      ['vg_lock_args', '1.0.0:lvmlock'],
    ] as const;
    const lv = (name: string) => [...of, ['lv_uuid', name]] as const;
    assert.equal(await peer.ask('init_lv', lv(GHOST)), 0);
    const freed = [...lv(uuid), ['lv_lock_args', `1.0.0:${67 * MIB}`]] as const;
    assert.equal(await peer.ask('free_lv', freed), 0);
    peer.close();
    await damage(rig, 69);
    await damage(rig, 100);

    const dry = await check(a, vg);
    assert.equal(dry.code, 1);
    assert.match(dry.text, /^slot 67 .*LV l67 has lost its lease.*--repair can mend it$/m);
    assert.match(dry.text, new RegExp(`^slot 70 .*the lease of LV ${GHOST}, which`, 'm'));
    assert.match(dry.text, /^slot 69 .*the lease of l69 is damaged/m);
    assert.match(dry.text, /^slot 100 .*the lease of no LV is damaged/m);
    assert.equal((await check(a, vg)).text, dry.text, 'nothing was written');
    assert.notEqual((await a.lvm('lvchange', '-aey', `${vg}/l67`)).code, 0);

    const beside = await check(a, vg, '--repair');
    assert.equal(beside.code, 1);
    assert.match(beside.text, /^slot 67 .*the LV has its lease again$/m);
    assert.match(beside.text, /^slot 70 .*the slot is free now$/m);
    assert.match(beside.text, /^slot 69 .*not mended: ELOCKREPAIR.*other hosts may hold it/m);
    await b.mustLvm('vgchange', '--lockstop', vg);
    // Until its next renewal the first host counts the other one as there.
    let alone = await check(a, vg, '--repair');
    const hasLeft = async () => {
      if (!alone.text.includes('other hosts may hold it')) return true;
      alone = await check(a, vg, '--repair');
      return false;
    };
    await until('host 1 to see that host 2 has left', hasLeft, { withinMs: 60_000, everyMs: 500 });
    assert.match(alone.text, /^slot 69 .*written anew$/m);
    assert.match(alone.text, /^slot 100 .*written anew$/m);
    assert.equal(alone.code, 0, alone.text);
    assert.equal((await check(a, vg)).text, sound.text);
    for (const name of names) await a.mustLvm('lvchange', '-aey', `${vg}/${name}`);
    await a.mustLvm('lvchange', '-an', `${vg}/l68`);

    for (const slot of [65, 66]) await damage(rig, slot);
    const own = await check(a, vg);
    assert.match(own.text, /^lvmlockctl: the lock of VG \S+ cannot be had: ELOCKREPAIR/m);
    assert.match(own.text, /^slot 65 .*the lease of global lock is damaged/m);
    const ownMended = await check(a, vg, '--repair');
    assert.equal(ownMended.code, 0, ownMended.text);
    assert.match(ownMended.text, /^slot 65 .*written anew$/m);
    assert.equal((await check(a, vg)).text, sound.text);

    await damage(rig, 68);
    assert.notEqual((await a.lvm('lvchange', '-aey', `${vg}/l68`)).code, 0);
    const mended = await a.run(join(ROOT, 'bin', 'holdfast'), ['repair', `${vg}/l68`]);
    assert.match(mended.stdout, /leader of the lease is damaged \(-223\)/);
    assert.match(mended.stdout, /the lease was written anew/);
    assert.equal(mended.code, 0, mended.stderr);
    const again = await a.run(join(ROOT, 'bin', 'holdfast'), ['repair', '--json', `${vg}/l68`]);
    assert.deepEqual(JSON.parse(again.stdout), {
      ...{ schema: 'holdfast.repair/1', lease: `${vg}/l68`, isSound: true },
      ...{ leaderDamage: null, blocks: [], code: null },
    });
    await a.mustLvm('lvchange', '-aey', `${vg}/l68`);
  } finally {
    await rig.close();
  }
});
