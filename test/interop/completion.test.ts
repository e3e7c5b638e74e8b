import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { originalsInstalled } from '../../src/rig/host.ts';
import { ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { until } from '../../src/rig/run.ts';

/** What bash completes from lvm and from sanlock themselves, without a lock. */
const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const obstacle = rigObstacle() ?? (originalsInstalled() ? null : 'lvm is not installed');

test('names of VGs, LVs and lockspaces, also of a VG that is not started here', {
  skip: obstacle ?? false,
  timeout: 300_000,
}, async () => {
  const hosts = [ALL_OURS, { ...ALL_OURS, sanlock: 'original' } as const];
  const rig = await Rig.create({ hosts, bin: `${ROOT}/bin`, ioTimeoutS: 2 });
  try {
    const { vg } = rig;
    const [ours, other] = [rig.host(1), rig.host(2)];
    for (const host of rig.hosts) await host.startDaemons();
    await ours.mustLvm('vgcreate', '--shared', vg, rig.lun.device);
    await ours.mustLvm('lvcreate', '-an', '-l', '1', '-n', 'data', vg);
    const offered = async (host: typeof ours, line: string) => {
      const [program = ''] = line.split(' ');
      const script = `source "$0/$1"; COMP_LINE=$2; COMP_POINT=\${#COMP_LINE}
        "_holdfast_start_$1"; printf '%s\\n' "\${COMPREPLY[@]}"`;
      const folder = resolve(ROOT, 'dist/completion/bash');
      const { stdout, stderr } = await host.run('bash', ['-c', script, folder, program, line]);
      assert.equal(stderr, '');
      return stdout.split('\n').filter(Boolean);
    };
    /** What takes longer than its deadline, on a busy machine, is offered another time. */
    const offers = async (host: typeof ours, line: string, words: readonly string[]) => {
      let seen: readonly string[] = [];
      const isOffered = async () => {
        seen = await offered(host, line);
        return seen.length > 0;
      };
      await until(`an offer behind ${line}`, isOffered, { withinMs: 60_000 });
      assert.deepEqual(seen, words);
    };
    const space = async (host: typeof ours) => {
      const { stdout } = await host.run(host.program('sanlock'), ['client', 'status']);
      const [, name = ''] = /^s (\S+)/m.exec(stdout) ?? [];
      return name;
    };
    await offers(ours, `holdfast repair ${vg.slice(0, 2)}`, [`${vg}/data`]);
    await offers(ours, 'lvmlockctl --check ', [vg]);
    await offers(ours, 'sanlock renewal -s ', [await space(ours)]);
    await offers(other, 'lvmlockctl --check ', [vg]); // not started here
    assert.deepEqual(await offered(other, 'sanlock renewal -s '), []);
    await other.mustLvm('vgchange', '--lockstart', vg);
    await offers(other, 'sanlock renewal -s ', [await space(other)]);
    await offers(other, `holdfast repair ${vg}/`, [`${vg}/data`]);
  } finally {
    await rig.close();
  }
});
