import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MIB } from '../../src/base/units.ts';
import { type Maker, makeArea, removeRunFolder, SANLOCK, whyNot } from './sanlock-daemons.ts';
import {
  FakeWatchdog,
  opensOnDemand,
  statusOf,
  WdmdHost,
  waitFor,
  whyNoWdmd,
} from './wdmd-host.ts';

const missing = whyNoWdmd() ?? whyNot('c');
const where = missing === null ? { timeout: 240_000 } : { skip: missing };
const RUN = { SANLOCK_RUN_DIR: '/run/sanlock', SANLOCK_PRIVILEGED: '0' };
/** Of an io timeout of 2 s, and a client that does not renew. */
const EXPIRY_S = 16;
const LOCKSPACE_LINE =
  /^client 2 name sanlock_LW:3 pid \d+ fd \d+ dead 0 ref 1 .* expire [1-9]\d*$/m;

/** Whose sanlock on whose wdmd; the original on the original is not tested. */
const PAIRS = [
  ['c', 'ours'],
  ['ours', 'ours'],
  ['ours', 'c'],
] as const;

test('sanlock with -w 1 renews its expiry at wdmd, and the host is reset without it', {
  ...where,
  concurrency: 3,
}, async (t) => {
  await Promise.all(
    PAIRS.map(([sanlock, wdmd]) =>
      t.test(`sanlock: ${sanlock}, wdmd: ${wdmd}`, () => renewalAndReset(sanlock, wdmd)),
    ),
  );
});

async function renewalAndReset(sanlockOf: Maker, wdmdOf: Maker): Promise<void> {
  const directory = mkdtempSync('/var/tmp/holdfast-wdmd-');
  const area = makeArea(`${directory}/area`, MIB);
  const device = await FakeWatchdog.start();
  const host = await WdmdHost.start();
  try {
    const wdmd = await host.wdmd(wdmdOf, device);
    const daemon = ['daemon', '-D', '-w', '1', '-U', 'root', '-G', 'root', '-e', 'one'];
    const sanlock = host.spawn(SANLOCK[sanlockOf], daemon, RUN);
    await host.sanlockServes();
    const client = async (...args: string[]) => {
      const environment = `SANLOCK_RUN_DIR=${RUN.SANLOCK_RUN_DIR}`;
      const ran = await host.run('env', [environment, SANLOCK.c, 'client', ...args]);
      assert.equal(ran.status, 0, `${args.join(' ')}: ${ran.stdout}${ran.stderr}`);
      return ran.stdout;
    };
    const lockspace = `LW:3:${area}:0`;
    await client('init', '-s', lockspace, '-o', '2');
    await client('add_lockspace', '-s', lockspace, '-o', '2');
    const first = await host.dump();
    assert.match(first, LOCKSPACE_LINE);
    const renewal = (dump: string) => Number(/ renewal ([1-9]\d*)/.exec(dump)?.[1]);
    let tries = 0;
    while (!(renewal(await host.dump()) > renewal(first))) {
      assert.ok(tries++ < EXPIRY_S, 'a renewal every 4 s');
      await sleep(1000);
    }
    wdmd.kill('SIGTERM'); // refused: the lockspace holds a refcount
    await client('rem_lockspace', '-s', lockspace);
    assert.doesNotMatch(await host.dump(), /sanlock_LW/);
    const closings = device.words().slice(1);
    assert.equal(closings.includes('close'), opensOnDemand(wdmdOf), closings.join());

    await client('add_lockspace', '-s', lockspace, '-o', '2');
    sanlock.kill('SIGKILL');
    await statusOf(sanlock);
    await sleep(200);
    assert.match(await host.dump(), /sanlock_LW:3 pid \d+ fd -1 dead 1 ref 1/);
    const isUnfed = () => device.words().at(-1) === 'close';
    await waitFor('the end of feeding', isUnfed, (EXPIRY_S + 10) * 1000);
    wdmd.kill('SIGTERM');
    await sleep(300);
    assert.equal(wdmd.exitCode, null, 'a reset is due: it does not end');
  } finally {
    host.close();
    device.close();
    await removeRunFolder(directory);
  }
}

test(
  'while sanlock is stopped its host is due for a reset, until sanlock goes on',
  where,
  async () => {
    const directory = mkdtempSync('/var/tmp/holdfast-wdmd-');
    const area = makeArea(`${directory}/area`, MIB);
    const device = await FakeWatchdog.start();
    const host = await WdmdHost.start();
    try {
      await host.wdmd('ours', device);
      const daemon = ['daemon', '-D', '-w', '1', '-U', 'root', '-G', 'root', '-e', 'one'];
      const sanlock = host.spawn(SANLOCK.ours, daemon, RUN);
      await host.sanlockServes();
      const environment = `SANLOCK_RUN_DIR=${RUN.SANLOCK_RUN_DIR}`;
      const lockspace = `LW:3:${area}:0`;
      for (const action of ['init', 'add_lockspace']) {
        const words = [environment, SANLOCK.ours, 'client', action, '-s', lockspace, '-o', '2'];
        const ran = await host.run('env', words);
        assert.equal(ran.status, 0, ran.stdout);
      }
      sanlock.kill('SIGSTOP'); // the front; its lease process renews on
      await sleep((EXPIRY_S + 2) * 1000);
      const isLast = (word: string) => () => device.words().at(-1) === word;
      await waitFor('the end of feeding: no daemon can stop its users', isLast('close'));
      sanlock.kill('SIGCONT'); // the lease on the disk is good: it has been renewed all the time
      await waitFor('that it is fed again, in time', isLast('keepalive'));
    } finally {
      host.close();
      device.close();
      await removeRunFolder(directory);
    }
  },
);
