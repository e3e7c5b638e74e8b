import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Host, originalsInstalled } from '../../src/rig/host.ts';
import { ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const obstacle = rigObstacle() ?? (originalsInstalled() ? null : 'lvm is not installed');

/** Lock args by LV name. */
async function lockArgs(host: Host, vg: string): Promise<ReadonlyMap<string, string>> {
  const columns = ['-o', 'lv_name,lv_lock_args', '--separator', ' ', '--noheadings'];
  const text = await host.mustLvm('lvs', ...columns, vg);
  const rows = text.split('\n').flatMap((line) => {
    const [name, args] = line.trim().split(' ');
    return name === undefined || args === undefined ? [] : [[name, args] as const];
  });
  return new Map(rows);
}

function assertDistinct(args: ReadonlyMap<string, string>): void {
  assert.equal(new Set(args.values()).size, args.size, `each LV its own lease: ${[...args]}`);
}

test('a command that lvm refuses in the middle costs no LV its lease', {
  skip: obstacle ?? false,
  timeout: 300_000,
}, async () => {
  const hosts = [ALL_OURS, ALL_OURS];
  // sanlock looks at other hosts every 10 s: lvm has given up by then (4 s).
  const rig = await Rig.create({ hosts, bin: join(ROOT, 'bin'), ioTimeoutS: 5 });
  try {
    const [a, b] = [rig.host(1), rig.host(2)];
    const { vg } = rig;
    for (const host of rig.hosts) await host.startDaemons();
    await a.mustLvm('vgcreate', '--shared', vg, rig.lun.device);
    await b.mustLvm('vgchange', '--lockstart', vg);
    for (const name of ['a', 'b']) await a.mustLvm('lvcreate', '-an', '-l', '1', '-n', name, vg);
    await b.mustLvm('lvchange', '-aey', `${vg}/b`);

    const refused = await a.lvm('lvremove', '-y', `${vg}/a`, `${vg}/b`);
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /LV locked by other host/);
    for (const name of ['c', 'd']) await b.mustLvm('lvcreate', '-an', '-l', '1', '-n', name, vg);
    const left = await lockArgs(a, vg);
    assert.deepEqual([...left.keys()].sort(), ['a', 'b', 'c', 'd']);
    assertDistinct(left);
    await a.mustLvm('lvchange', '-aey', `${vg}/a`);
    await a.mustLvm('lvchange', '-an', `${vg}/a`);

    // What is really removed gives its lease back, to the next LV that finds no other.
    await a.mustLvm('lvremove', '-y', `${vg}/a`, `${vg}/c`);

    const kept = await a.lvm('vgremove', '-y', vg);
    assert.notEqual(kept.code, 0);
    assert.match(kept.stderr, /VG \S+ lock failed: held by other host/);
    assert.deepEqual([...(await lockArgs(a, vg)).keys()].sort(), ['b', 'd']);
    await b.mustLvm('lvchange', '-an', `${vg}/b`);
    await b.mustLvm('vgchange', '--lockstop', vg);
    await a.mustLvm('vgremove', '-y', vg);
  } finally {
    await rig.close();
  }
});
