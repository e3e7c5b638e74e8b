import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ERRNO } from '../../src/base/errno.ts';
import { MIB } from '../../src/base/units.ts';
import { originalsInstalled } from '../../src/rig/host.ts';
import { ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { until } from '../../src/rig/run.ts';
import {
  clientCommand,
  type Maker,
  makeArea,
  removeRunFolder,
  run,
  SANLOCK,
  whyNot,
} from './sanlock-daemons.ts';

/** Registers, and asks for a lease: the daemon cannot see whose process this is. */
const CLIENT = `
import sanlock, sys
fd = sanlock.register()
try:
    sanlock.acquire(b"LS", b"R", [(sys.argv[1], 1048576)], slkfd=fd)
    print("granted")
except sanlock.SanlockException as e:
    print("refused", e.errno)
`;

for (const maker of ['c', 'ours'] satisfies Maker[]) {
  const missing = whyNot(maker);
  const where = missing === null ? { timeout: 120_000 } : { skip: missing };
  test(`a client of another pid namespace is refused (${maker})`, where, async () => {
    const directory = mkdtempSync('/var/tmp/holdfast-pidns-');
    const area = makeArea(join(directory, 'area'), 2 * MIB);
    const env = {
      ...process.env,
      SANLOCK_RUN_DIR: join(directory, 'run'),
      SANLOCK_PRIVILEGED: '0',
    };
    const apart = ['-pf', '--mount-proc', '--kill-child', SANLOCK[maker]];
    const options = ['daemon', '-D', '-w', '0', '-h', '0', '-l', '0', '-U', 'root', '-G', 'root'];
    const daemon = spawn('unshare', [...apart, ...options, '-e', 'one'], { env, stdio: 'ignore' });
    try {
      const client = async (...words: string[]) => (await clientCommand({ env }, words)).stdout;
      const serves = async () => (await client('status')).startsWith('daemon');
      await until('the daemon serves', serves, { withinMs: 20_000 });
      await client('init', '-s', `LS:0:${area}:0`, '-o', '1');
      await client('init', '-r', `LS:R:${area}:1M`);
      assert.match(await client('add_lockspace', '-s', `LS:1:${area}:0`, '-o', '1'), /done 0/);
      const { stdout } = await run('/usr/bin/python3', ['-c', CLIENT, area], { env });
      assert.equal(stdout, `refused ${ERRNO.EBUSY}\n`);
      assert.doesNotMatch(await client('status'), /^r /m);
    } finally {
      daemon.kill('SIGKILL');
      await removeRunFolder(directory);
    }
  });
}

const obstacle = rigObstacle() ?? (originalsInstalled() ? null : 'lvm is not installed');

test('lvm of another pid namespace, as in a pod, locks by the daemons of the host', {
  skip: obstacle ?? false,
  timeout: 300_000,
}, async () => {
  const bin = join(process.env['HOLDFAST_ROOT'] ?? '.', 'bin');
  const rig = await Rig.create({ hosts: [ALL_OURS, ALL_OURS], bin });
  try {
    const [a, b] = [rig.host(1), rig.host(2)];
    for (const host of rig.hosts) await host.startDaemons();
    await a.mustLvm('vgcreate', '--shared', rig.vg, rig.lun.device);
    await a.mustLvm('lvcreate', '-aey', '-l', '1', '-n', 'lv1', rig.vg);
    await b.mustLvm('vgchange', '--lockstart', rig.vg);
    const name = `${rig.vg}/lv1`;
    const inPod = (...words: readonly string[]) =>
      b.run('unshare', ['-p', '-f', '--mount-proc', '/usr/sbin/lvm', ...words]);
    const taken = await inPod('lvchange', '-aey', name);
    assert.match(`${taken.stdout}${taken.stderr}`, /locked by other host/);
    await a.mustLvm('lvchange', '-an', name);
    for (const mode of ['-aey', '-an', '-asy']) {
      const done = await inPod('lvchange', mode, name);
      assert.equal(done.code, 0, `${mode}: ${done.stderr}`);
    }
    await a.mustLvm('lvchange', '-asy', name);
  } finally {
    await rig.close();
  }
});
