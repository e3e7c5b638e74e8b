import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encode } from '../codec/struct.ts';
import { FrontHost } from '../sim/cluster/front-host.ts';
import { FIRST_LEASE_PID } from '../sim/cluster/sanlock.ts';
import { MemoryJournal } from '../sim/kernel/journal.ts';
import type { SimPeer } from '../sim/kernel/peer.ts';
import { ACQUIRE_FLAGS, killpathBody, RES_FLAGS, SM_CMD } from '../wire/sanlock/socket.ts';
import {
  acquire,
  Harness,
  holding,
  lockspace,
  message,
  resource,
  T,
} from './testing/front-harness.ts';

const [EAGAIN, EBUSY, EEXIST, ENOSPC] = [-11, -16, -17, -28];
const LEASE_PIDS = [FIRST_LEASE_PID, FIRST_LEASE_PID + 1];

function join(harness: Harness, host: FrontHost): number {
  return harness.result(message(SM_CMD.ADD_LOCKSPACE, lockspace, { data: T }), host.connect(900));
}

function restarted(harness: Harness, journal: MemoryJournal, ended: readonly number[]): FrontHost {
  harness.frontTime.stop();
  harness.leaseTime.stop();
  const { clock, storage } = harness;
  return new FrontHost({ name: 'host1', clock, storage, journal, ended: new Set(ended) });
}

function registered(host: FrontHost, pid: number): SimPeer {
  const peer = host.connect(pid);
  peer.send(message(SM_CMD.REGISTER));
  return peer;
}

function killpath(args: string): Uint8Array {
  return message(SM_CMD.KILLPATH, encode(killpathBody, { path: '/sbin/killer', args }));
}

test('a lockspace that cannot be recorded is not joined; that is logged once, however often it is asked', () => {
  const journal = new MemoryJournal();
  const errors: string[] = [];
  const quiet = () => {};
  const log = {
    error: (event: string) => errors.push(event),
    warn: quiet,
    info: quiet,
    debug: quiet,
  };
  const harness = new Harness({ journal, log });
  journal.full = true;
  for (let n = 0; n < 3; n++) {
    assert.equal(harness.join(), EAGAIN);
    harness.run(1000);
  }
  assert.deepEqual(errors, ['holder.notRecorded']);
  journal.full = false;
  assert.equal(harness.join(), 0);
});

test('a holder that cannot be recorded is granted nothing, and its lease is released', () => {
  const journal = new MemoryJournal();
  const harness = new Harness({ journal });
  assert.equal(harness.join(), 0);
  const [client, other] = [harness.client(101), harness.client(102)];
  journal.full = true;
  assert.equal(harness.result(acquire(1), client), EAGAIN);
  journal.full = false;
  assert.equal(harness.result(acquire(1), other), 0, 'no client holds it');
  const host = restarted(harness, journal, [...LEASE_PIDS, 102]);
  assert.equal(join(harness, host), EEXIST, 'the lockspace goes on');
  harness.run(61_000); // a refused write of the daemon before could still land
  assert.equal(harness.result(acquire(1), registered(host, 103)), 0, 'nor does the next one');
});

test('a second sharer that cannot be recorded changes nothing for the first', () => {
  const journal = new MemoryJournal();
  const harness = new Harness({ journal });
  assert.equal(harness.join(), 0);
  const first = holding(harness, 101, 1, RES_FLAGS.SHARED);
  const second = harness.client(102);
  journal.full = true;
  assert.equal(harness.result(acquire(1, RES_FLAGS.SHARED), second), EAGAIN);
  journal.full = false;
  assert.equal(harness.result(acquire(1, RES_FLAGS.SHARED), second), 0);
  first.close();
});

test('an orphan whose new holder cannot be recorded stays an orphan', () => {
  const journal = new MemoryJournal();
  const harness = new Harness({ journal });
  assert.equal(harness.join(), 0);
  holding(harness, 101, 1, RES_FLAGS.PERSISTENT).close();
  const adopt = message(SM_CMD.ACQUIRE, acquire(1).subarray(32), {
    data: 1,
    cmdFlags: ACQUIRE_FLAGS.ORPHAN_ONLY,
  });
  const client = harness.client(102);
  journal.full = true;
  assert.equal(harness.result(adopt, client), EAGAIN);
  journal.full = false;
  assert.equal(harness.result(adopt, client), 0);
});

test('a killpath or a restriction that cannot be recorded is refused', () => {
  const journal = new MemoryJournal();
  const harness = new Harness({ journal });
  assert.equal(harness.join(), 0);
  const client = holding(harness, 101);
  assert.equal(harness.result(killpath('first'), client), 0);
  journal.full = true;
  assert.equal(harness.result(killpath('second'), client), EAGAIN);
  const restrict = message(SM_CMD.RESTRICT, new Uint8Array(0), { cmdFlags: 2 });
  assert.equal(harness.result(restrict, client), EAGAIN);
  journal.full = false;
  assert.equal(harness.result(killpath('third'), client), 0);
  assert.match(journal.load().lines.join('\n'), /third/);
  assert.doesNotMatch(journal.load().lines.join('\n'), /second/);
});

test('after a damaged journal no lockspace is joined, nor after the next start', () => {
  const journal = new MemoryJournal();
  const harness = new Harness({ journal });
  assert.equal(harness.join(), 0);
  holding(harness, 101);
  journal.damaged = 1;
  const ended = [...LEASE_PIDS, 101];
  assert.equal(join(harness, restarted(harness, journal, ended)), EBUSY, 'no wait ends it');
  const third = restarted(harness, journal, ended);
  assert.equal(join(harness, third), EBUSY);
  // As the log advises the administrator, once nothing here uses the leases any more.
  const cleared = restarted(harness, new MemoryJournal(), ended);
  assert.equal(join(harness, cleared), 0);
});

test('a line without a meaning counts as damage; the other lines are still read', () => {
  for (const line of ['{"kind":"moved"}', '{"kind":"space","id":1}', '{"kind":"holds"']) {
    const journal = new MemoryJournal();
    const harness = new Harness({ journal });
    assert.equal(harness.join(), 0);
    holding(harness, 101);
    journal.append(line);
    const host = restarted(harness, journal, LEASE_PIDS);
    assert.equal(join(harness, host), EBUSY);
    harness.run(8 * T * 1000 + 60_000);
    assert.deepEqual(host.actions, [], 'the membership is kept for the holder that is known');
    assert.equal(join(harness, host), EBUSY);
    assert.equal(harness.result(acquire(2), registered(host, 102)), ENOSPC);
  }
});

test('a client whose process the kernel does not show is refused, as by the original', () => {
  const logged: string[] = [];
  const quiet = () => {};
  const log = {
    error: quiet,
    warn: (event: string) => logged.push(event),
    info: quiet,
    debug: quiet,
  };
  const harness = new Harness({ log });
  assert.equal(harness.join(), 0);
  const client = harness.client(0);
  assert.deepEqual(logged.slice(-1), ['client.unseen']);
  for (const request of [acquire(1), killpath('x'), message(SM_CMD.INQUIRE)]) {
    assert.equal(harness.result(request, client), -16);
  }
  const restrict = message(SM_CMD.RESTRICT, new Uint8Array(0), { cmdFlags: 2 });
  assert.equal(harness.result(restrict, client), 0);
  client.close();
  holding(harness, 101);
});

test('a resource that was never granted is still there for its next owner', () => {
  const journal = new MemoryJournal();
  const harness = new Harness({ journal });
  assert.equal(harness.join(), 0);
  const client = harness.client(101);
  journal.full = true;
  assert.equal(harness.result(acquire(2), client), EAGAIN);
  harness.run(1000);
  const owners = harness.result(message(SM_CMD.READ_RESOURCE_OWNERS, resource(2)));
  assert.equal(owners, 0, 'no owner on the disk');
});
