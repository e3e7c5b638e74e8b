import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { originalsInstalled } from '../../src/rig/host.ts';
import { ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { FailingWay, noHungFile } from './hung-file.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const HOLDFAST = join(ROOT, 'bin/holdfast');
const obstacle =
  rigObstacle() ??
  noHungFile() ??
  (originalsInstalled() ? null : 'the originals are not installed');
/** lvm has a minute for each report, and some commands ask it several times. */
const ENDS_MS = 300_000;

test('join, leave and preflight end and say why, while the disk of the VG hangs', {
  skip: obstacle ?? false,
  timeout: 600_000,
}, async () => {
  const way = new FailingWay();
  const rig = await Rig.create({
    hosts: [ALL_OURS],
    bin: join(ROOT, 'bin'),
    ioTimeoutS: 10,
    ways: [(image: string) => way.open(image)],
  });
  try {
    const host = rig.host(1);
    await host.startDaemons();
    const device = rig.luns[1]?.device ?? rig.lun.device;
    await host.mustLvm('vgcreate', '--shared', rig.vg, device);
    way.hang();
    const commands = [
      ['join', '--dry-run'],
      ['leave', '--dry-run'],
      ['preflight', rig.vg],
    ];
    const ended = await Promise.all(commands.map((words) => host.run(HOLDFAST, words, ENDS_MS)));
    for (const [index, { code, stdout, stderr }] of ended.entries()) {
      const said = `${commands[index]?.join(' ')}: ${code} ${stdout}${stderr}`;
      assert.ok(code === 1 || code === 2, said);
      assert.match(stderr, /has not ended within|was ended by SIGKILL|did not answer/, said);
    }
  } finally {
    way.recover();
    await rig.close();
    way.close();
  }
});
