import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Result } from '../base/result.ts';
import { decode } from '../codec/struct.ts';
import { deltaLeaseOffset, GEOMETRY_512_1M } from '../format/geometry.ts';
import { type DeltaLeader, deltaLeader } from '../format/leader.ts';
import { acquaint, LAB_HOSTS, LAB_LOCKSPACE, LAB_PLACE, Lab, LabHost } from '../sim/lab.ts';
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
  lockspaceName: LAB_LOCKSPACE,
  resourceName: LAB_PLACE.resourceName,
  timeoutMs: 10_000,
};

function scene() {
  const lab = new Lab();
  const [one, three] = [lab.join(1), lab.join(DAMAGED)];
  acquaint([one, three]);
  lab.disks.resource.fill(0xa5, BLOCK_AT, BLOCK_AT + 512);
  return { lab, one, three, mender: new LabHost(lab, DAMAGED) };
}

function mend(lab: Lab, hostId = DAMAGED): Steps<Result<Repaired, LeaseError>> {
  const host = {
    lockspaceName: LAB_LOCKSPACE,
    offset: 0,
    hostId,
    hostName: 'mender',
    ioTimeoutS: lab.ioTimeoutS,
    aborted: () => false,
  };
  return repairBlock({ host, lockspaceGeometry: GEOMETRY_512_1M, resource: RESOURCE });
}

function recordOf(lab: Lab): DeltaLeader {
  return decode(deltaLeader, lab.disks.lockspace, deltaLeaseOffset(GEOMETRY_512_1M, DAMAGED));
}

function acquire(host: LabHost): boolean {
  const guess = { geometry: GEOMETRY_512_1M, numHosts: LAB_HOSTS };
  const wish = { shared: false, ownerNowait: true, wantedLver: null, newNumHosts: null, guess };
  return host.run(paxosAcquire(host.member(), LAB_PLACE, wish)).ok;
}

function block(lab: Lab): Uint8Array {
  return lab.disks.resource.slice(BLOCK_AT, BLOCK_AT + 512);
}

test('the block of a host that stands still for 8·t + 60 s is emptied, and leases go on', () => {
  const { lab, one, mender } = scene();
  assert.equal(acquire(one), false);
  assert.deepEqual(one.run(findDamagedBlocks(RESOURCE)), { ok: true, value: { hosts: [DAMAGED] } });
  const task = mender.task(mend(lab));
  const startedMs = lab.nowMs;
  while (task.wants !== null && block(lab)[0] !== 0) task.step();
  assert.ok(lab.nowMs - startedMs >= DEAD_S * 1000);
  assert.deepEqual(task.run(), { ok: true, value: 'cleared' });
  assert.deepEqual(block(lab), new Uint8Array(512));
  assert.equal(recordOf(lab).timestampS, 0n, 'the host id is free again');
  assert.equal(acquire(one), true);
});

test('a host that renews is not touched', () => {
  const { lab, mender } = scene();
  const task = mender.task(mend(lab));
  for (let effects = 0; task.wants !== null; effects++) {
    task.step();
    // Under its own name it has its record anew at once, which is as good as a renewal.
    if (effects === 20) lab.join(DAMAGED);
  }
  const answer = task.result;
  assert.ok(answer !== null && !answer.ok);
  assert.equal(answer.error.code, 'HOSTID_BUSY');
  assert.equal(block(lab)[0], 0xa5);
  assert.notEqual(recordOf(lab).hostName, 'mender');
});

test('a sound block, and one of a host that takes no part, are left alone without joining', () => {
  const { lab, mender } = scene();
  const before = lab.disks.lockspace.slice();
  assert.deepEqual(mender.run(mend(lab, 2)), { ok: true, value: 'sound' });
  assert.deepEqual(mender.run(mend(lab, LAB_HOSTS + 1)), { ok: true, value: 'sound' });
  const none = mender.run(mend(lab, GEOMETRY_512_1M.maxHosts + 1));
  assert.ok(!none.ok && none.error.code === 'LEADER_NUMHOSTS');
  assert.deepEqual(lab.disks.lockspace, before);
});

test('while the block is mended, its host cannot come back', () => {
  const { lab, three, mender } = scene();
  const task = mender.task(mend(lab));
  while (task.wants?.op !== 'write' || task.wants.disk !== 'resource') task.step();
  const host = { lockspaceName: LAB_LOCKSPACE, offset: 0, hostId: DAMAGED, ioTimeoutS: 10 };
  const back = three.task(
    deltaAcquire({ ...host, hostName: 'host-3', aborted: () => false }, GEOMETRY_512_1M),
  );
  back.advance(40); // seconds of its wait
  assert.equal(back.result, null);
  assert.deepEqual(task.run(), { ok: true, value: 'cleared' });
  assert.ok(back.run().ok);
});

test('too late to be sure of the host id: nothing is written any more', () => {
  const { lab, mender } = scene();
  const task = mender.task(mend(lab));
  while (recordOf(lab).hostName !== 'mender') task.step();
  lab.nowMs += 60_000;
  const answer = task.run();
  assert.ok(!answer.ok && answer.error.code === 'ERROR');
  assert.equal(block(lab)[0], 0xa5);
  assert.notEqual(recordOf(lab).timestampS, 0n);
});

test('a write that may still land keeps the host id', () => {
  for (const fate of ['late', 'failed', 'refused'] as const) {
    const { lab, mender } = scene();
    mender.fate = ({ disk }) => (disk === 'resource' ? fate : 'done');
    assert.equal(mender.run(mend(lab)).ok, false);
    assert.notEqual(recordOf(lab).timestampS, 0n);
  }
});

test("a host id that may be another's by now is not given back over it", () => {
  for (const slow of ['write', 'failing read'] as const) {
    const { lab, mender } = scene();
    const task = mender.task(mend(lab));
    while (recordOf(lab).hostName !== 'mender') task.step();
    if (slow === 'write') {
      while (task.wants?.op !== 'write' || task.wants.disk !== 'resource') task.step();
      mender.fate = () => {
        mender.fate = () => 'done';
        lab.nowMs += 200_000;
        return 'done';
      };
    } else {
      while (task.wants?.op !== 'read' || task.wants.disk !== 'resource') task.step();
      lab.disks.resource[0] = 0; // no lease there any more
      lab.nowMs += 200_000;
    }
    assert.equal(task.run().ok, false);
    assert.notEqual(recordOf(lab).timestampS, 0n, `a slow ${slow}`);
  }
});
