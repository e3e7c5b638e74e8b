import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Snapshot } from '../../src/inspect/snapshot/snapshot.ts';
import { type Host, originalsInstalled } from '../../src/rig/host.ts';
import { ALL_ORIGINAL, ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { until } from '../../src/rig/run.ts';
import { FailingWay, noHungFile } from './hung-file.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const HOLDFAST = join(ROOT, 'bin/holdfast');
const obstacle =
  rigObstacle() ??
  noHungFile() ??
  (originalsInstalled() ? null : 'the originals are not installed');
const SEEN_MS = 60_000;
/** Its deadlines: each of lvm, the daemons and the disk, one behind the other. */
const ENDS_MS = 60_000;

type Status = Snapshot & { readonly attention: readonly { readonly kind: string }[] };

/** It ends by itself, whatever hangs. */
async function status(host: Host): Promise<Status> {
  const done = await host.run(HOLDFAST, ['status', '--json'], ENDS_MS);
  assert.ok(done.code === 0 || done.code === 1, `status ended with ${done.code}: ${done.stderr}`);
  return JSON.parse(done.stdout) as Status;
}

const kinds = ({ attention }: Status) => attention.map(({ kind }) => kind);

test('status ends and says what is wrong, whatever hangs', {
  skip: obstacle ?? false,
  timeout: 400_000,
}, async () => {
  const ways = [new FailingWay(), new FailingWay()] as const;
  const rig = await Rig.create({
    hosts: [ALL_OURS, ALL_ORIGINAL],
    hostNames: ['alpha', 'beta'],
    bin: join(ROOT, 'bin'),
    ioTimeoutS: 4,
    ways: ways.map((way) => (image: string) => way.open(image)),
  });
  try {
    const [a, b] = [rig.host(1), rig.host(2)];
    for (const host of rig.hosts) await host.startDaemons();
    await a.mustLvm('vgcreate', '--shared', rig.vg, rig.luns[1]?.device ?? rig.lun.device);
    await b.mustLvm('vgchange', '--lockstart', rig.vg);
    await a.mustLvm('lvcreate', '-aey', '-l', '1', '-n', 'lv', rig.vg);

    for (const host of [a, b]) {
      await host.kill('sanlock', 'SIGSTOP');
      const silent = await status(host);
      await host.kill('sanlock', 'SIGCONT');
      assert.ok(kinds(silent).includes('daemonSilent'), `${host.name}: ${kinds(silent)}`);
      assert.equal(silent.daemons.find(({ name }) => name === 'sanlock')?.state, 'silent');
    }
    for (const [host, way] of [
      [a, ways[0]],
      [b, ways[1]],
    ] as const) {
      way.hang();
      let seen = await status(host);
      const isLate = async () => {
        seen = await status(host);
        return kinds(seen).some((kind) => kind === 'lockspaceLate' || kind === 'lockspaceFailing');
      };
      await until(`${host.name} shows the lockspace late`, isLate, { withinMs: SEEN_MS });
      assert.ok(
        seen.unread.some(({ what }) => what === 'lvm'),
        JSON.stringify(seen.unread),
      );
      way.recover();
    }
  } finally {
    for (const way of ways) way.recover();
    await rig.close();
    for (const way of ways) way.close();
  }
});
