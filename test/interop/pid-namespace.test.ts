import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ERRNO } from '../../src/base/errno.ts';
import { MIB } from '../../src/base/units.ts';
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
