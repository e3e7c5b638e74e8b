import assert from 'node:assert/strict';
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Host, originalsInstalled } from '../../src/rig/host.ts';
import { ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { must } from '../../src/rig/run.ts';
import { textOf } from '../../src/wire/lvmlockd/libdaemon.ts';
import { LvmlockdPeer } from './lvmlockd-peer.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const obstacle = rigObstacle() ?? (originalsInstalled() ? null : 'the originals are not installed');
const SOCKET = '/run/lvm/lvmlockd.socket';
const MIB = 1024 * 1024;
const LV = 'aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa';

/** Areas of that size on sectors of 4096 bytes: our sanlock writes them, the original reads them. */
async function shares(rig: Rig, alignMb: number): Promise<void> {
  const [a, b] = [rig.host(1), rig.host(2)];
  const vgName = `${rig.vg}a${alignMb}`;
  const image = join(rig.dir, `${vgName}.img`);
  await writeFile(image, '');
  await truncate(image, 70 * alignMb * MIB);
  const device = await must('losetup', ['-f', '--show', '-b', '4096', image]);
  try {
    for (const host of rig.hosts) {
      await host.run('ln', ['-sf', device, `/dev/mapper/${vgName}-lvmlock`]);
    }
    const [fromA, fromB] = [await peer(a), await peer(b)];
    const of = [
      ['vg_name', vgName],
      ['vg_lock_type', 'sanlock'],
    ] as const;
    const vg = [...of, ['vg_lock_args', '1.0.0:lvmlock']] as const;
    const make = [...of, ['vg_lock_args', 'lvmlock'], ['align_mb', alignMb]] as const;
    assert.equal(await fromA.ask('init_vg', make), 0);
    const start = (from: LvmlockdPeer, hostId: number) =>
      from.ask('start_vg', [...vg, ['host_id', hostId]]);
    const limit = 250 * alignMb;
    assert.equal(await start(fromA, limit + 1), -213);
    assert.equal(await start(fromA, limit), 0);
    assert.equal(await start(fromB, 1), 0);
    assert.deepEqual(await Promise.all([started(fromA, vg), started(fromB, vg)]), [0, 0]);

    const lv = [...vg, ['lv_name', 'lv'], ['lv_uuid', LV]] as const;
    fromA.send('init_lv', lv);
    const args = textOf(await fromA.fields(), 'lv_lock_args');
    assert.equal(args, `1.0.0:${67 * alignMb * MIB}`);
    const lock = (from: LvmlockdPeer, mode: string) =>
      from.ask('lock_lv', [...lv, ['lv_lock_args', args], ['mode', mode], ['opts', 'persistent']]);
    assert.equal(await lock(fromA, 'ex'), 0);
    assert.equal(await lock(fromB, 'ex'), -11);
    assert.equal(await lock(fromA, 'un'), 0);
    assert.equal(await lock(fromB, 'ex'), 0);
    assert.equal(await lock(fromA, 'sh'), -11);
    assert.equal(await lock(fromB, 'un'), 0);
    for (const from of [fromA, fromB]) assert.equal(await from.ask('stop_vg', vg), 0);
    for (const from of [fromA, fromB]) from.close();
  } finally {
    await must('losetup', ['-d', device]);
  }
}

async function peer(host: Host): Promise<LvmlockdPeer> {
  return await LvmlockdPeer.connect(host.path(SOCKET));
}

async function started(from: LvmlockdPeer, vg: Parameters<LvmlockdPeer['ask']>[1]) {
  return await from.ask('start_wait', vg);
}

test('areas of 1, 2 and 4 MiB on sectors of 4096 bytes, with sanlock ours and original', {
  skip: obstacle ?? false,
  timeout: 300_000,
}, async () => {
  const hosts = [ALL_OURS, { ...ALL_OURS, sanlock: 'original' } as const];
  const rig = await Rig.create({ hosts, bin: join(ROOT, 'bin'), ioTimeoutS: 2 });
  try {
    for (const host of rig.hosts) await host.startDaemons();
    await Promise.all([1, 2, 4].map((alignMb) => shares(rig, alignMb)));
  } finally {
    await rig.close();
  }
});
