import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERRNO } from '../base/errno.ts';
import { encode } from '../codec/struct.ts';
import { FrontHost } from '../sim/cluster/front-host.ts';
import { FIRST_LEASE_PID } from '../sim/cluster/sanlock.ts';
import { type FatePlan, PROMPT } from '../sim/kernel/disk.ts';
import { MemoryJournal } from '../sim/kernel/journal.ts';
import type { SimPeer } from '../sim/kernel/peer.ts';
import { release } from '../wire/sanlock/lease-calls.ts';
import { killpathBody, SM_CMD } from '../wire/sanlock/socket.ts';
import { acquire, Harness, holding, lockspace, message, T } from './testing/front-harness.ts';

const HOLDER = 101;
/** Of the first daemon: one without a lockspace, for formatting, and that of the lockspace. */
const LEASE_PIDS = [FIRST_LEASE_PID, FIRST_LEASE_PID + 1];

const HANGING: FatePlan = () => ({
  landsInMs: 1e9,
  answersInMs: Number.POSITIVE_INFINITY,
  errno: null,
});

/** The daemon is killed; another one starts with its survivors. */
function restarted(
  harness: Harness,
  journal: MemoryJournal,
  ended: readonly number[],
  plan: FatePlan = PROMPT,
): FrontHost {
  harness.frontTime.stop();
  harness.leaseTime.stop();
  const { clock, storage } = harness;
  const settings = { killGraceS: 5 };
  const common = { name: 'host1', clock, storage, settings, journal, plan };
  return new FrontHost({ ...common, ended: new Set(ended) });
}

function join(harness: Harness, host: FrontHost): number {
  return harness.result(message(SM_CMD.ADD_LOCKSPACE, lockspace, { data: T }), host.connect(900));
}

function joined(): { harness: Harness; journal: MemoryJournal; client: SimPeer } {
  const journal = new MemoryJournal();
  const harness = new Harness({ journal, killGraceS: 5 });
  assert.equal(harness.join(), 0);
  return { harness, journal, client: holding(harness, HOLDER) };
}

/** Named without its disks. */
function releaseOf(n: number): Uint8Array {
  return release([{ lockspaceName: 'LS', name: `R${n}`, lver: 0n, flags: 0, disks: [] }]).request;
}

test('nothing is resumed before the last lease process has ended, which is killed when it is late', () => {
  const { harness, journal, client } = joined();
  client.close();
  harness.run(1000);
  const host = restarted(harness, journal, [HOLDER, FIRST_LEASE_PID]);
  harness.run(4 * T * 1000);
  assert.equal(host.actions.length, 0, 'it may still say which writes were refused');
  harness.run(16 * T * 1000);
  assert.equal(join(harness, host), -ERRNO.EAGAIN, 'and its time is over');
  const killed = host.actions.map(({ kind, pid }) => [kind, pid]);
  assert.deepEqual(killed, [['SIGKILL', FIRST_LEASE_PID + 1]]);
  host.processEnds(FIRST_LEASE_PID + 1);
  assert.equal(join(harness, host), 0);
});

test('a process that had released its leases is no holder any more', () => {
  const { harness, journal, client } = joined();
  assert.equal(harness.result(releaseOf(1), client), 0);
  const host = restarted(harness, journal, LEASE_PIDS);
  assert.equal(join(harness, host), -ERRNO.EEXIST);
  harness.run(61_000);
  const other = host.connect(102);
  other.send(message(SM_CMD.REGISTER));
  assert.equal(harness.result(acquire(1), other), 0);
});

test('holders whose lease has expired get the kill sequence, with the killpath they had set', () => {
  const { harness, journal, client } = joined();
  const second = holding(harness, 102, 2);
  const body = { path: '/sbin/killer', args: 'now' };
  const killpath = message(SM_CMD.KILLPATH, encode(killpathBody, body), { cmdFlags: 1 });
  assert.equal(harness.result(killpath, client), 0);
  const killedMs = harness.clock.nowMs();
  const host = restarted(harness, journal, LEASE_PIDS, HANGING); // nothing can be resumed
  harness.run(8 * T * 1000 + 20_000);
  const { actions } = host;
  assert.deepEqual(
    actions.filter(({ kind }) => kind === 'killpath').map(({ text }) => text),
    [`/sbin/killer now ${HOLDER}`],
  );
  const first = actions.find(({ kind, pid }) => kind === 'SIGTERM' && pid === 102);
  assert.ok(first !== undefined);
  assert.ok(first.atMs <= killedMs + 8 * T * 1000 + 1200, `after ${first.atMs - killedMs} ms`);
  assert.ok(first.atMs >= killedMs + 6 * T * 1000 - 2000, `after ${first.atMs - killedMs} ms`);
  for (const pid of [HOLDER, 102]) {
    const end = actions.find((action) => action.kind === 'SIGKILL' && action.pid === pid);
    assert.ok(end !== undefined && end.atMs >= first.atMs + 4000);
  }
  second.close();
});

test('the journal stays short however often leases come and go', () => {
  const { harness, journal, client } = joined();
  const give = releaseOf(2);
  const other = harness.client(103);
  for (let i = 0; i < 3000; i++) {
    assert.equal(harness.result(acquire(2), other), 0);
    assert.equal(harness.result(give, other), 0);
  }
  const { length } = journal.load().lines.join('\n');
  assert.ok(length <= 600_000, `${length} bytes`); // all of them would be more than 1,000,000
  assert.equal(join(harness, restarted(harness, journal, LEASE_PIDS)), -ERRNO.EEXIST);
  client.close();
});
