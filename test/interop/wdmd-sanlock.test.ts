import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeArea, SANLOCK, whyNot } from './sanlock-daemons.ts';
import { FakeWatchdog, statusOf, WdmdHost, whyNoWdmd } from './wdmd-world.ts';

const missing = whyNoWdmd() ?? whyNot('c');
const where = missing === null ? { timeout: 120_000 } : { skip: missing };
const RUN = { SANLOCK_RUN_DIR: '/run/sanlock', SANLOCK_PRIVILEGED: '0' };
const LOCKSPACE_LINE =
  /^client 2 name sanlock_LW:3 pid \d+ fd \d+ dead 0 ref 1 .* expire [1-9]\d*$/m;

test('the C sanlock with -w 1 lives, and dies, by our wdmd', where, async () => {
  const directory = mkdtempSync('/var/tmp/holdfast-wdmd-');
  const area = makeArea(`${directory}/area`, 1024 * 1024);
  const device = await FakeWatchdog.start();
  const host = await WdmdHost.start();
  try {
    const wdmd = await host.wdmd('ours', device);
    const daemon = ['daemon', '-D', '-w', '1', '-U', 'root', '-G', 'root', '-e', 'C'];
    const sanlock = host.spawn(SANLOCK.c, daemon, RUN);
    await sleep(1000);
    const client = async (...args: string[]) => {
      const ran = await host.run('env', [
        `SANLOCK_RUN_DIR=${RUN.SANLOCK_RUN_DIR}`,
        SANLOCK.c,
        'client',
        ...args,
      ]);
      assert.equal(ran.status, 0, `${args.join(' ')}: ${ran.stdout}${ran.stderr}`);
      return ran.stdout;
    };
    const lockspace = `LW:3:${area}:0`;
    await client('init', '-s', lockspace, '-o', '2');
    await client('add_lockspace', '-s', lockspace, '-o', '2');
    const first = await host.dump();
    assert.match(first, LOCKSPACE_LINE);
    await sleep(5000); // a renewal every 4 s
    const renewal = (dump: string) => Number(/ renewal ([1-9]\d*)/.exec(dump)?.[1]);
    assert.ok(renewal(await host.dump()) > renewal(first));
    wdmd.kill('SIGTERM'); // refused: the lockspace holds a refcount
    await client('rem_lockspace', '-s', lockspace);
    assert.doesNotMatch(await host.dump(), /sanlock_LW/);
    assert.ok(!device.words().slice(1).includes('close'));

    await client('add_lockspace', '-s', lockspace, '-o', '2');
    sanlock.kill('SIGKILL'); // 16 s of expiry are left
    await statusOf(sanlock);
    await sleep(200);
    assert.match(await host.dump(), /sanlock_LW:3 pid \d+ fd -1 dead 1 ref 1/);
    await sleep(17_000);
    assert.equal(device.words().at(-1), 'close');
    wdmd.kill('SIGTERM');
    await sleep(300);
    assert.equal(wdmd.exitCode, null, 'a reset is due: it stays');
  } finally {
    host.close();
    device.close();
    rmSync(directory, { recursive: true, force: true });
  }
});
