import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MIB } from '../../src/base/units.ts';
import { lastRenewalS, makeArea, removeRunFolder, SANLOCK, whyNot } from './sanlock-daemons.ts';
import { FakeWatchdog, nowS, statusOf, WdmdHost, waitFor, whyNoWdmd } from './wdmd-host.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? process.cwd();
const AGENT = `${ROOT}/bin/fence_sanlock`;
const DAEMON = `${ROOT}/bin/fence_sanlockd`;
const missing = whyNoWdmd() ?? whyNot('ours');
process.setMaxListeners(30); // each process of the scenario is ended at our exit
const where = missing === null ? { timeout: 400_000 } : { skip: missing };

const T = 2;
/** Others take a lease so long after its owner's last renewal. */
const DEAD_S = 8 * T + 60;
const RUN = { SANLOCK_RUN_DIR: '/run/sanlock', SANLOCK_PRIVILEGED: '0' };
const SOCKET = `SANLOCK_RUN_DIR=${RUN.SANLOCK_RUN_DIR}`;

/** A host that can be fenced: wdmd, sanlock and a fence_sanlockd that waits. */
interface Member {
  readonly hostId: string;
  readonly device: FakeWatchdog;
  readonly host: WdmdHost;
  readonly daemon: ChildProcess;
}

async function startMember(hostId: string): Promise<Member> {
  const device = await FakeWatchdog.start();
  const host = await WdmdHost.start();
  await host.wdmd('ours', device);
  const options = ['-w', '1', '-o', String(T), '-U', 'root', '-G', 'root', '-e', `host${hostId}`];
  host.spawn(SANLOCK.ours, ['daemon', '-D', ...options], RUN);
  await host.sanlockServes();
  const daemon = host.spawn(DAEMON, ['-D', '-w']);
  const fifo = host.path('/run/fence_sanlockd/fence_sanlockd.fifo');
  await waitFor('a fence_sanlockd that waits', () => existsSync(fifo), 10_000);
  return { hostId, device, host, daemon };
}

/** All its processes stop at once, and the kernel closes all that they had open. */
async function reset({ host, device, daemon }: Member): Promise<void> {
  host.close();
  await statusOf(daemon);
  device.close();
}

function agent(
  on: Member,
  action: string,
  of: { readonly path: string; readonly hostId?: string },
): Promise<{ readonly status: number; readonly stdout: string; readonly stderr: string }> {
  const words = of.hostId === undefined ? [] : ['-i', of.hostId];
  return on.host.run(AGENT, ['-o', action, '-p', of.path, ...words]);
}

test('a host is fenced: notified, its watchdog unfed, dead, its lease taken', where, async () => {
  const directory = mkdtempSync('/var/tmp/holdfast-fence-');
  const path = makeArea(`${directory}/leases`, 130 * MIB);
  const members: Member[] = [];
  try {
    for (const hostId of ['1', '2']) members.push(await startMember(hostId));
    const [one, two] = members;
    assert.ok(one !== undefined && two !== undefined);
    const made = await agent(one, 'sanlock_init', { path });
    assert.equal(made.status, 0, made.stderr);
    // Made for an io timeout of 10 s, a lockspace takes 20 s to join.
    const shorter = ['client', 'init', '-s', `fence:0:${path}:0`, '-o', String(T)];
    const remade = await one.host.run('env', [SOCKET, SANLOCK.ours, ...shorter]);
    assert.equal(remade.status, 0, remade.stdout);
    const status = (hostId: string) => agent(one, 'status', { path, hostId });
    assert.equal((await status('2')).status, 2);
    const both = members.map((member) => agent(member, 'on', { path, hostId: member.hostId }));
    for (const ran of await Promise.all(both)) assert.equal(ran.status, 0, ran.stderr);
    for (const { hostId } of members) {
      const { stdout, status: code } = await status(hostId);
      assert.deepEqual([stdout, code], ['Status: ON\n', 0]);
    }
    assert.match(await two.host.dump(), /name fence_sanlockd pid \d+ .* ref 1 .* expire [1-9]/);

    await fence(one, two, path);
    assert.deepEqual((await status('2')).stdout, 'Status: OFF\n');
    assert.equal((await status('1')).status, 0);
    assert.ok(!one.device.words().includes('close'), 'host 1 was fed all the time');

    one.daemon.kill('SIGHUP');
    assert.equal(await statusOf(one.daemon, 10_000), 0);
    assert.equal((await status('1')).status, 2);
    assert.doesNotMatch(await one.host.dump(), /fence_sanlockd/);
  } finally {
    for (const member of members) await reset(member);
    await removeRunFolder(directory);
  }
});

async function fence(one: Member, two: Member, path: string): Promise<void> {
  const off = one.host.spawn(AGENT, ['-o', 'off', '-p', path, '-i', '2']);
  const isUnfed = () => two.device.words().at(-1) === 'close';
  await waitFor('the watchdog of host 2 to be left alone', isUnfed, 60_000);
  two.daemon.kill('SIGHUP'); // refused: host 1 waits for its reset
  await sleep(500);
  assert.equal(two.daemon.exitCode, null);
  assert.equal(off.exitCode, null, 'while it runs, it is not fenced');
  await reset(two);
  const renewedS = lastRenewalS(path, Number(two.hostId));
  assert.equal(await statusOf(off, (DEAD_S + 60) * 1000), 0);
  const tookS = nowS() - renewedS;
  assert.ok(tookS >= DEAD_S, `its lease was taken ${tookS} s after its last renewal`);
  const notes = one.host.path('/run/fence_sanlock/fence_sanlock.pid');
  assert.ok(!existsSync(`${notes}.${off.pid}`), 'the agent left nothing behind');
}
