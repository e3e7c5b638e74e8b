import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Result } from '../base/result.ts';
import { decode } from '../codec/struct.ts';
import { deltaLeaseOffset, GEOMETRY_512_1M } from '../format/geometry.ts';
import { type DeltaLeader, deltaLeader } from '../format/leader.ts';
import {
  acquaint,
  HARNESS_HOSTS,
  HARNESS_LOCKSPACE,
  HARNESS_PLACE,
  HarnessHost,
  ProcedureHarness,
} from '../sim/procedure-harness.ts';
import { deltaAcquire } from './delta-acquire.ts';
import type { LeaseError } from './lease-error.ts';
import { paxosAcquire } from './paxos-acquire.ts';
import { findDamagedBlocks, type Repaired, repairBlock } from './repair.ts';
import type { Steps } from './steps.ts';

const DEAD_S = 140;
const DAMAGED = 3;
const BLOCK_AT = (1 + DAMAGED) * 512;
const RESOURCE = {
  offset: 0,
  lockspaceName: HARNESS_LOCKSPACE,
  resourceName: HARNESS_PLACE.resourceName,
  timeoutMs: 10_000,
};

function scene() {
  const harness = new ProcedureHarness();
  const [one, three] = [harness.join(1), harness.join(DAMAGED)];
  acquaint([one, three]);
  harness.disks.resource.fill(0xa5, BLOCK_AT, BLOCK_AT + 512);
  return { harness, one, three, mender: new HarnessHost(harness, DAMAGED) };
}

function mend(harness: ProcedureHarness, hostId = DAMAGED): Steps<Result<Repaired, LeaseError>> {
  const host = {
    lockspaceName: HARNESS_LOCKSPACE,
    offset: 0,
    hostId,
    hostName: 'mender',
    ioTimeoutS: harness.ioTimeoutS,
    aborted: () => false,
  };
  return repairBlock({ host, lockspaceGeometry: GEOMETRY_512_1M, resource: RESOURCE });
}

function recordOf(harness: ProcedureHarness): DeltaLeader {
  return decode(deltaLeader, harness.disks.lockspace, deltaLeaseOffset(GEOMETRY_512_1M, DAMAGED));
}

function acquire(host: HarnessHost): boolean {
  const guess = { geometry: GEOMETRY_512_1M, numHosts: HARNESS_HOSTS };
  const wish = { shared: false, ownerNowait: true, wantedLver: null, newNumHosts: null, guess };
  return host.run(paxosAcquire(host.member(), HARNESS_PLACE, wish)).ok;
}

function block(harness: ProcedureHarness): Uint8Array {
  return harness.disks.resource.slice(BLOCK_AT, BLOCK_AT + 512);
}

test('the block of a host that stands still for 8·t + 60 s is emptied, and leases go on', () => {
  const { harness, one, mender } = scene();
  assert.equal(acquire(one), false);
  assert.deepEqual(one.run(findDamagedBlocks(RESOURCE)), { ok: true, value: { hosts: [DAMAGED] } });
  const task = mender.task(mend(harness));
  const startedMs = harness.nowMs;
  while (task.wants !== null && block(harness)[0] !== 0) task.step();
  assert.ok(harness.nowMs - startedMs >= DEAD_S * 1000);
  assert.deepEqual(task.run(), { ok: true, value: 'cleared' });
  assert.deepEqual(block(harness), new Uint8Array(512));
  assert.equal(recordOf(harness).timestampS, 0n, 'the host id is free again');
  assert.equal(acquire(one), true);
});

test('a host that renews is not touched', () => {
  const { harness, mender } = scene();
  const task = mender.task(mend(harness));
  for (let effects = 0; task.wants !== null; effects++) {
    task.step();
    // Under its own name it has its record anew at once, which is as good as a renewal.
    if (effects === 20) harness.join(DAMAGED);
  }
  const answer = task.result;
  assert.ok(answer !== null && !answer.ok);
  assert.equal(answer.error.code, 'HOSTID_BUSY');
  assert.equal(block(harness)[0], 0xa5);
  assert.notEqual(recordOf(harness).hostName, 'mender');
});

test('a sound block, and one of a host that takes no part, are left alone without joining', () => {
  const { harness, mender } = scene();
  const before = harness.disks.lockspace.slice();
  assert.deepEqual(mender.run(mend(harness, 2)), { ok: true, value: 'sound' });
  assert.deepEqual(mender.run(mend(harness, HARNESS_HOSTS + 1)), { ok: true, value: 'sound' });
  const none = mender.run(mend(harness, GEOMETRY_512_1M.maxHosts + 1));
  assert.ok(!none.ok && none.error.code === 'LEADER_NUMHOSTS');
  assert.deepEqual(harness.disks.lockspace, before);
});

test('while the block is mended, its host cannot come back', () => {
  const { harness, three, mender } = scene();
  const task = mender.task(mend(harness));
  while (task.wants?.op !== 'write' || task.wants.disk !== 'resource') task.step();
  const host = { lockspaceName: HARNESS_LOCKSPACE, offset: 0, hostId: DAMAGED, ioTimeoutS: 10 };
  const back = three.task(
    deltaAcquire({ ...host, hostName: 'host-3', aborted: () => false }, GEOMETRY_512_1M),
  );
  back.advance(40); // seconds of its wait
  assert.equal(back.result, null);
  assert.deepEqual(task.run(), { ok: true, value: 'cleared' });
  assert.ok(back.run().ok);
});

test('too late to be sure of the host id: nothing is written any more', () => {
  const { harness, mender } = scene();
  const task = mender.task(mend(harness));
  while (recordOf(harness).hostName !== 'mender') task.step();
  harness.nowMs += 60_000;
  const answer = task.run();
  assert.ok(!answer.ok && answer.error.code === 'ERROR');
  assert.equal(block(harness)[0], 0xa5);
  assert.notEqual(recordOf(harness).timestampS, 0n);
});

test('a write that may still land keeps the host id', () => {
  for (const fate of ['late', 'failed', 'refused'] as const) {
    const { harness, mender } = scene();
    mender.fate = ({ disk }) => (disk === 'resource' ? fate : 'done');
    assert.equal(mender.run(mend(harness)).ok, false);
    assert.notEqual(recordOf(harness).timestampS, 0n);
  }
});

test("a host id that may be another's by now is not released over it", () => {
  for (const slow of ['write', 'failing read'] as const) {
    const { harness, mender } = scene();
    const task = mender.task(mend(harness));
    while (recordOf(harness).hostName !== 'mender') task.step();
    if (slow === 'write') {
      while (task.wants?.op !== 'write' || task.wants.disk !== 'resource') task.step();
      mender.fate = () => {
        mender.fate = () => 'done';
        harness.nowMs += 200_000;
        return 'done';
      };
    } else {
      while (task.wants?.op !== 'read' || task.wants.disk !== 'resource') task.step();
      harness.disks.resource[0] = 0; // no lease there any more
      harness.nowMs += 200_000;
    }
    assert.equal(task.run().ok, false);
    assert.notEqual(recordOf(harness).timestampS, 0n, `a slow ${slow}`);
  }
});
