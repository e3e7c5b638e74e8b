import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Host, type Maker, originalsInstalled } from '../../src/rig/host.ts';
import { Rig, rigObstacle } from '../../src/rig/rig.ts';
import { numberOf, textOf } from '../../src/wire/lvmlockd/libdaemon.ts';
import { LvmlockdPeer } from './lvmlockd-peer.ts';
import { refused } from './mixture-scenario.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const obstacle = rigObstacle() ?? (originalsInstalled() ? null : 'the originals are not installed');
const SOCKET = '/run/lvm/lvmlockd.socket';

async function lvField(host: Host, field: string, lv: string): Promise<string> {
  return (await host.mustLvm('lvs', '--noheadings', '-o', field, lv)).trim();
}

async function slotName(host: Host, rig: Rig, args: string): Promise<string> {
  const offset = args.split(':')[1] ?? '';
  const at = `lvm_${rig.vg}:x:${rig.lun.lvmlock}:${offset}`;
  const read = await host.run(host.program('sanlock'), ['direct', 'read_leader', '-r', at]);
  return /resource_name +(\S+)/.exec(read.stdout)?.[1] ?? read.stdout;
}

/** A names B's lease in free_lv, frees what B holds, and switches the lock that B has. */
async function writesAtNamedOffsets(rig: Rig): Promise<void> {
  const [a, b] = [rig.host(1), rig.host(2)];
  for (const host of rig.hosts) await host.startDaemons();
  await a.mustLvm('vgcreate', '--shared', rig.vg, rig.lun.device);
  await b.mustLvm('vgchange', '--lockstart', rig.vg);
  for (const name of ['l1', 'l2']) {
    await a.mustLvm('lvcreate', '-an', '-L', '8m', '-n', name, rig.vg);
    await a.mustLvm('lvchange', '-aey', `${rig.vg}/${name}`);
    await a.mustLvm('lvchange', '-an', `${rig.vg}/${name}`);
  }
  const [l1, l2] = [`${rig.vg}/l1`, `${rig.vg}/l2`];
  const uuid = await lvField(a, 'uuid', l1);
  const args = { l1: await lvField(a, 'lock_args', l1), l2: await lvField(a, 'lock_args', l2) };
  const ofVg = [
    ['vg_name', rig.vg],
    ['vg_lock_type', 'sanlock'],
    ['vg_lock_args', '1.0.0:lvmlock'],
  ] as const;
  const free = (lvArgs: string) =>
    [...ofVg, ['lv_name', 'l1'], ['lv_uuid', uuid], ['lv_lock_args', lvArgs]] as const;
  const fromA = await LvmlockdPeer.connect(a.path(SOCKET));
  const fromB = await LvmlockdPeer.connect(b.path(SOCKET));
  try {
    await b.mustLvm('lvchange', '-aey', l2);
    assert.equal(await fromA.ask('free_lv', free(args.l2)), -22);
    await refused(a, '-aey', l2);
    await b.mustLvm('lvchange', '-an', l2);
    await b.mustLvm('lvchange', '-aey', l1);
    assert.equal(await fromA.ask('free_lv', free(args.l1)), -16);
    await refused(a, '-aey', l1);
    await b.mustLvm('lvchange', '-an', l1);

    assert.equal(await fromB.ask('lock_gl', [['mode', 'ex']]), 0);
    assert.equal(await fromA.ask('disable_gl', ofVg), -11);
    assert.equal(await fromB.ask('lock_gl', [['mode', 'un']]), 0);
    assert.equal(await fromA.ask('disable_gl', ofVg), 0);
    assert.equal(await slotName(a, rig, '1.0.0:68157440'), '_GLLK_disabled');
    assert.equal(await fromA.ask('enable_gl', ofVg), 0);
    assert.equal(await slotName(a, rig, '1.0.0:68157440'), 'GLLK');

    await a.mustLvm('lvremove', '-y', l1);
    assert.equal(await slotName(a, rig, args.l1), '#unused');
    await b.mustLvm('lvcreate', '-an', '-L', '8m', '-n', 'l3', rig.vg);
    const third = await lvField(b, 'lock_args', `${rig.vg}/l3`);
    assert.equal(await slotName(a, rig, third), await lvField(b, 'uuid', `${rig.vg}/l3`));
    await a.mustLvm('lvchange', '-aey', `${rig.vg}/l3`);
    await refused(b, '-aey', `${rig.vg}/l3`);
  } finally {
    fromA.close();
    fromB.close();
  }
}

/** Both hosts make LVs at the same time, without the VG lock: each gets a slot of its own. */
async function slotsWithoutVgLock(rig: Rig): Promise<void> {
  const taken = await Promise.all(
    rig.hosts.map(async (host) => {
      const peer = await LvmlockdPeer.connect(host.path(SOCKET));
      const places: string[] = [];
      for (let n = 0; n < 6; n++) {
        peer.send('init_lv', [
          ['vg_name', rig.vg],
          ['vg_lock_type', 'sanlock'],
          ['vg_lock_args', '1.0.0:lvmlock'],
          ['lv_name', 'x'],
          ['lv_uuid', `of-${host.name}-${n}`],
        ]);
        const answer = await peer.fields();
        assert.equal(numberOf(answer, 'op_result', 9999), 0);
        places.push(textOf(answer, 'lv_lock_args', 'none'));
      }
      peer.close();
      return places;
    }),
  );
  const places = taken.flat();
  assert.equal(new Set(places).size, places.length, places.join(' '));
}

for (const sanlock of ['ours', 'original'] as const satisfies readonly Maker[]) {
  const options = { skip: obstacle ?? false, timeout: 300_000 };
  test(`no client writes over a lease in use, with sanlock: ${sanlock}`, options, async () => {
    const makers = { sanlock, lvmlockd: 'ours', lvmlockctl: 'ours' } as const;
    const rig = await Rig.create({ hosts: [makers, makers], bin: join(ROOT, 'bin') });
    try {
      await writesAtNamedOffsets(rig);
      // The original's late leader write (spec 10 §17.1, 4) may put a slot's old name back.
      if (sanlock === 'ours') await slotsWithoutVgLock(rig);
    } finally {
      await rig.close();
    }
  });
}
