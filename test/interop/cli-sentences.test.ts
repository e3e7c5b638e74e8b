import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { until } from '../../src/rig/run.ts';
import {
  clientCommand,
  hold,
  type Maker,
  makeArea,
  run,
  SANLOCK,
  startDaemon,
  type TestDaemon,
  whyNot,
} from './sanlock-daemons.ts';

/** What our command says on stderr when something fails; stdout and status are compared elsewhere. */

const missing = whyNot('ours');
const where = missing === null ? {} : { skip: missing };

/** One of the two hosts of a test; the daemon may be the original's, the command is ours. */
async function says(daemon: TestDaemon, ...words: readonly string[]) {
  return await run(SANLOCK.ours, words, { env: daemon.env });
}

for (const maker of ['ours', 'c'] as const) {
  const reason = whyNot('ours', maker);
  const skip = reason === null ? {} : { skip: reason };
  test(`two hosts, daemons of ${maker}: the host that holds a lease is named`, skip, async () => {
    await withTwoHosts(maker, async (one, two) => {
      const ls = `${one.directory}/ls`;
      const res = `${one.directory}/res`;
      await says(one, 'client', 'init', '-s', `LS1:0:${ls}:0`, '-o', '1');
      await says(one, 'client', 'init', '-r', `LS1:RA:${res}:0`);
      await says(one, 'client', 'add_lockspace', '-s', `LS1:1:${ls}:0`, '-o', '1');
      await says(two, 'client', 'add_lockspace', '-s', `LS1:2:${ls}:0`, '-o', '1');
      const holder = await hold(one, 'ours', `LS1:RA:${res}:0`);
      const waiter = await hold(two, 'ours', `LS1:RB:${await resourceB(two, res)}`);
      const acquire = ['client', 'acquire', '-r', `LS1:RA:${res}:0`, '-p', `${waiter.pid}`];
      let refused = await says(two, ...acquire);
      // On a loaded machine the second question may have no answer in its time: asked again then.
      for (let again = 0; again < 5 && !refused.stderr.includes('node1'); again++) {
        refused = await says(two, ...acquire);
      }
      assert.match(refused.stdout, /acquire done -243\n$/);
      assert.equal(
        refused.stderr,
        `sanlock client acquire of LS1:RA:${res}:0: host 1, node1, holds it (-243 ACQUIRE_IDLIVE); ` +
          'release it there, or wait until that host is dead\n',
      );
      if (maker === 'ours') {
        const line =
          /lease\.refused lockspace=LS1 resource=RA .*result=-243 .*lver=\d+ .*ownerName=node1 ageS=\d/;
        await until('the refusal in the log', () => line.test(two.log()), { withinMs: 10_000 });
      }
      const here = await says(
        one,
        ...['client', 'acquire', '-r', `LS1:RA:${res}:0`, '-p', `${holder.pid}`],
      );
      assert.match(here.stderr, new RegExp(`: process ${holder.pid}.* of this host holds it`));
      for (const child of [holder, waiter]) child.kill('SIGKILL');
    });
  });
}

test('a host id in use: the host that has it is named, from the disk', where, async () => {
  await withTwoHosts('ours', async (one, two) => {
    const lockspace = `LS1:1:${one.directory}/ls:0`;
    await says(one, 'client', 'init', '-s', `LS1:0:${one.directory}/ls:0`, '-o', '1');
    await says(one, 'client', 'add_lockspace', '-s', lockspace, '-o', '1');
    const words = ['client', 'add_lockspace', '-s', lockspace, '-o', '1'];
    // It takes as long as the other host could take to die: 8 io timeouts and 60 s.
    const taken = await run(SANLOCK.ours, words, { env: two.env, timeoutMs: 180_000 });
    assert.equal(taken.stdout, 'add_lockspace_timeout 1\nadd_lockspace_timeout done -262\n');
    const line = /lockspace\.notJoined lockspace=LS1 .*result=-262 .*hostName=node1/;
    await until('the failed join in the log', () => line.test(two.log()), { withinMs: 10_000 });
    assert.doesNotMatch(two.log(), /lockspace\.left/, 'it was never joined');
    assert.equal(
      taken.stderr,
      `sanlock client add_lockspace of ${lockspace}: the host node1 uses the host id 1 ` +
        '(-262 HOSTID_BUSY); give each host a host id of its own\n',
    );
  });
});

async function resourceB(daemon: TestDaemon, res: string): Promise<string> {
  await says(daemon, 'client', 'init', '-r', `LS1:RB:${res}:1M`);
  return `${res}:1M`;
}

async function withTwoHosts(
  maker: Maker,
  use: (one: TestDaemon, two: TestDaemon) => Promise<void>,
): Promise<void> {
  const one = await startDaemon(maker, { hostName: 'node1' });
  const { directory } = one;
  let two: TestDaemon | null = null;
  try {
    two = await startDaemon(maker, { hostName: 'node2', directory, runName: 'run2' });
    makeArea(`${directory}/ls`, MIB);
    makeArea(`${directory}/res`, 4 * MIB);
    await use(one, two);
  } finally {
    await two?.stop();
    await one.stop();
  }
}

test('one host: each failure is a sentence, and a success none', where, async () => {
  const daemon = await startDaemon('ours', { hostName: 'node1' });
  const ls = makeArea(`${daemon.directory}/ls`, MIB);
  const res = makeArea(`${daemon.directory}/res`, 2 * MIB);
  const stderr = async (...words: readonly string[]) =>
    (await says(daemon, 'client', ...words)).stderr;
  try {
    assert.equal(await stderr('init', '-s', `LS1:0:${ls}:0`, '-o', '3'), '');
    assert.equal(await stderr('init', '-r', `LS1:RA:${res}:0`), '');
    // A busy machine takes longer than a second to start a lease process and open the device.
    const add = (lockspace: string) => stderr('add_lockspace', '-s', lockspace, '-o', '3');
    assert.match(await add('LS1:1:/dev/absent:0'), /the device cannot be opened \(-19 ENODEV\); /);
    assert.match(await add(`LS1:1:${res}:1M`), /no lease at that place \(-223 LEADER_MAGIC\); /);
    assert.match(await add(`XX:1:${ls}:0`), /the lease there is LS1, not XX \(-226 /);
    assert.match(await add(`LS1:2001:${ls}:0`), /host id 2001 is larger than 2000, the .*\(-231 /);
    assert.equal(await add(`LS1:1:${ls}:0`), '');
    assert.match(await add(`LS1:1:${ls}:0`), /the lockspace is joined already \(-17 EEXIST\); /);
    assert.match(
      await stderr('read', '-r', `LS1:RX:${res}:0`),
      /the lease there is LS1:RA, not LS1:RX \(-227 /,
    );
    const direct = async (...words: readonly string[]) =>
      (await says(daemon, 'direct', ...words)).stderr;
    assert.match(
      await direct('read_leader', '-s', `NO:1:${ls}:0`),
      /^sanlock direct read_leader of .*: the lease there is LS1, not NO \(-226 /,
    );
    assert.match(
      await direct('read_leader', '-r', `LS1:RX:${res}:0`),
      /: the lease there is LS1:RA, not LS1:RX \(-227 /,
    );
    assert.match(
      await direct('init', '-s', 'LD:0:/absent:0'),
      /: cannot open \/absent: ENOENT \(-19 ENODEV\); /,
    );
    const isUsed = /shutdown: the lockspaces LS1 are joined \(-16 EBUSY\); remove its lockspaces/;
    const shutdown = await says(daemon, 'client', 'shutdown');
    assert.equal(shutdown.stdout, 'shutdown force 0 wait 0\nshutdown done 0\n');
    assert.deepEqual([shutdown.status, isUsed.test(shutdown.stderr)], [0, true], 'it goes on');
    assert.match(await stderr('shutdown', '-w', '1'), isUsed);
    assert.equal(await stderr('lookup', '-x', `LS1:/nowhere:0`), '', 'not there is an answer');
    assert.equal(await stderr('status'), '');
    assert.match(await stderr('nosuch'), /"nosuch" is none of its actions/);
    assert.match(await stderr('statsu'), /"statsu" is none .*; did you mean status\?/);
  } finally {
    await daemon.stop();
  }
});

test('no daemon, and a user who may not ask it', where, async () => {
  const daemon = await startDaemon('ours', { hostName: 'node1' });
  try {
    chmodSync(daemon.directory, 0o755);
    const as = { env: daemon.env, encoding: 'utf8', uid: 65_534, gid: 65_534 } as const;
    const denied = spawnSync(SANLOCK.ours, ['client', 'status'], as);
    assert.equal(denied.status, 1);
    assert.match(denied.stderr, /only root and the group of the daemon may use its socket/);
  } finally {
    await daemon.stop();
  }
  const directory = mkdtempSync('/tmp/holdfast-none-');
  const env = { ...process.env, SANLOCK_RUN_DIR: directory };
  const none = await clientCommand({ env }, ['status']);
  rmSync(directory, { recursive: true });
  assert.deepEqual([none.status, none.stdout], [1, '']);
  assert.equal(
    none.stderr,
    'sanlock client status: no sanlock daemon runs here (-2 ENOENT); start it: sanlock daemon\n',
  );
});
