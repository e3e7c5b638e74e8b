import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { plain } from '../../src/base/plain-text.ts';
import { meaningsOf } from '../../src/inspect/explain/explain.ts';
import { originalsInstalled } from '../../src/rig/host.ts';
import { ALL_ORIGINAL, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { until } from '../../src/rig/run.ts';
import { FailingWay, noHungFile } from './hung-file.ts';

/** Whatever the sanlock of this machine logs about faults, holdfast explain knows it. */
const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const obstacle =
  rigObstacle() ?? noHungFile() ?? (originalsInstalled() ? null : 'lvm is not installed');
const LOST_MS = 60_000; // 8 s, on a busy machine

test('every line in the log of an original sanlock with faults is known', {
  skip: obstacle ?? false,
  timeout: 300_000,
}, async () => {
  const way = new FailingWay();
  const rig = await Rig.create({
    hosts: [ALL_ORIGINAL],
    bin: join(ROOT, 'bin'),
    ioTimeoutS: 1,
    ways: [(image) => way.open(image)],
  });
  try {
    const a = rig.host(1);
    const client = (...words: readonly string[]) =>
      a.run(a.program('sanlock'), ['client', ...words], 60_000);
    const log = () => readFileSync(a.path('/var/log/sanlock.log'), 'utf8');
    await a.startSanlock();
    const disk = `/dev/mapper/${rig.vg}-lvmlock`;
    await client('init', '-s', `LS:0:${disk}:0`);
    for (const [name, at] of ['R1:1M', 'R2:2M'].map((lease) => lease.split(':'))) {
      await client('init', '-r', `LS:${name}:${disk}:${at}`);
    }
    await client('add_lockspace', '-s', `LS:1:${disk}:0`, '-o', '1');
    for (const space of [`LS:2:${disk}:0`, `LS2:2:${disk}:0`, 'LS3:1:/dev/none:0', 'LS4:0:/x:0']) {
      await client('add_lockspace', '-s', space);
    }
    const zeros = ['if=/dev/zero', `of=${disk}`, 'bs=512', 'seek=4096', 'count=1', 'conv=notrunc'];
    await a.run('dd', zeros);
    for (const lease of [`LS:R2:${disk}:2M`, `LS:R9:${disk}:1M`, `NO:R:${disk}:1M`]) {
      await client('command', '-r', lease, '-c', '/bin/true');
    }
    a.spawn(a.program('sanlock'), [
      ...['client', 'command', '-r', `LS:R1:${disk}:1M`, '-c', '/bin/sleep', '1000'],
    ]);
    await until('the lease', async () => /^r LS:R1/m.test((await client('status')).stdout), {
      withinMs: LOST_MS,
    });
    way.fail();
    const areEnded = () => log().includes('all pids clear');
    await until('the end of its users', areEnded, { withinMs: LOST_MS });
    const lines = log().trimEnd().split('\n');
    assert.ok(lines.length > 20, `${lines.length} lines`);
    const unknown = lines.filter((line) => meaningsOf(plain(line)).length === 0);
    assert.deepEqual(unknown, []);
  } finally {
    way.recover();
    await rig.close();
    way.close();
  }
});
