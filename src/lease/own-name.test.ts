import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LAB_LOCKSPACE, Lab, LabHost } from '../sim/lab.ts';
import { deltaAcquire } from './delta-acquire.ts';

// A record under our own host name is that of our former life, or of a clone that lives.

const T_S = 2;
/** Two reads, a write, a read, and the seconds between. */
const JOIN_EFFECTS = 4 + 6 + 4;
const INTERVAL_MS = 2 * T_S * 1000;

/** Host 1 has joined; another machine with its name, or another one, wants its host id. */
function scene(hostName = 'host-1') {
  const lab = new Lab(T_S);
  const living = lab.join(1);
  const clone = new LabHost(lab, 1);
  const place = { lockspaceName: LAB_LOCKSPACE, offset: 0, hostId: 1, ioTimeoutS: T_S };
  const join = clone.task(deltaAcquire({ ...place, hostName, aborted: () => false }, lab.geometry));
  return { lab, living, join };
}

test('a living host of the same name and id keeps its host id, and we say what is wrong', () => {
  // The original renews up to 1.5 s after 2t, and the disk takes its time.
  for (const renewsEachMs of [INTERVAL_MS, INTERVAL_MS + 1900]) {
    for (const firstMs of [1, 1000, renewsEachMs]) {
      const { lab, living, join } = scene();
      let dueMs = lab.nowMs + firstMs;
      while (join.wants !== null) {
        assert.notEqual(join.wants.op, 'write', 'nothing is written');
        join.step();
        for (; dueMs <= lab.nowMs; dueMs += renewsEachMs) living.renew();
      }
      const { result } = join;
      assert.ok(result !== null && !result.ok);
      const { code, facts } = result.error;
      assert.equal(code, 'HOSTID_BUSY');
      assert.equal(facts['hostName'], 'host-1');
      assert.match(String(facts['reason']), /another living host has our host name/);
    }
  }
});

test('a former life costs a renewal interval and two seconds more, no full wait', () => {
  const { lab, join } = scene();
  const startMs = lab.nowMs;
  const joined = join.run();
  assert.ok(joined.ok && joined.value.leader.ownerGeneration === 2n);
  assert.equal(lab.nowMs - startMs, 2 * INTERVAL_MS + 2000);
});

test('a host that left in order joins without that', () => {
  const { lab, living, join } = scene();
  living.leave();
  const startMs = lab.nowMs;
  assert.ok(join.run().ok);
  assert.equal(lab.nowMs - startMs, INTERVAL_MS);
});

test('one that leaves while it is watched is waited for no longer than that', () => {
  const { lab, living, join } = scene();
  const startMs = lab.nowMs;
  join.step();
  join.step();
  living.leave();
  assert.ok(join.run().ok);
  assert.equal(lab.nowMs - startMs, 2 * INTERVAL_MS + 2000);
});

test('of two clones that start at once one joins, whatever the order of their steps', () => {
  for (let cut = 1; cut < JOIN_EFFECTS; cut++) {
    const { lab, join } = scene();
    const other = new LabHost(lab, 1);
    const place = { lockspaceName: LAB_LOCKSPACE, offset: 0, hostId: 1, ioTimeoutS: T_S };
    const second = other.task(
      deltaAcquire({ ...place, hostName: 'host-1', aborted: () => false }, lab.geometry),
    );
    join.advance(cut);
    if (join.wants?.op === 'write') continue; // so late it would not be sent: drive/lease-membership
    second.run();
    join.run();
    const joined = [join, second].filter(({ result }) => result?.ok === true);
    assert.equal(joined.length, 1, `cut ${cut}`);
  }
});

test('a host of another name goes by the full wait as ever', () => {
  const { lab, join } = scene('host-x');
  const startMs = lab.nowMs;
  assert.ok(join.run().ok);
  assert.ok(lab.nowMs - startMs > 76_000);
});

test('a claim is sent and answered within half of what a rival of the same record waits', () => {
  const lab = new Lab(T_S);
  const place = { lockspaceName: LAB_LOCKSPACE, offset: 0, hostId: 3, hostName: 'slow' };
  const host = new LabHost(lab, 3);
  const join = host.task(
    deltaAcquire({ ...place, ioTimeoutS: 10, aborted: () => false }, lab.geometry),
  );
  while (join.wants !== null && join.wants.op !== 'write') join.step();
  assert.ok(join.wants?.op === 'write' && join.wants.timeoutMs === T_S * 1000);
});
