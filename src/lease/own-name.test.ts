import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HARNESS_LOCKSPACE, HarnessHost, ProcedureHarness } from '../sim/procedure-harness.ts';
import { deltaAcquire } from './delta-acquire.ts';

// A record under our own host name is of a former membership of ours, or of a clone that lives.

const T_S = 2;
/** Two reads, a write, a read, and the seconds between. */
const JOIN_EFFECTS = 4 + 6 + 4;
const INTERVAL_MS = 2 * T_S * 1000;

/** Host 1 has joined; another machine with its name, or another one, wants its host id. */
function scene(hostName = 'host-1') {
  const harness = new ProcedureHarness(T_S);
  const living = harness.join(1);
  const clone = new HarnessHost(harness, 1);
  const place = { lockspaceName: HARNESS_LOCKSPACE, offset: 0, hostId: 1, ioTimeoutS: T_S };
  const join = clone.task(
    deltaAcquire({ ...place, hostName, aborted: () => false }, harness.geometry),
  );
  return { harness, living, join };
}

test('a living host of the same name and id keeps its host id, and we say what is wrong', () => {
  // The original renews up to 1.5 s after 2t, and the disk takes its time.
  for (const renewsEachMs of [INTERVAL_MS, INTERVAL_MS + 1900]) {
    for (const firstMs of [1, 1000, renewsEachMs]) {
      const { harness, living, join } = scene();
      let dueMs = harness.nowMs + firstMs;
      while (join.wants !== null) {
        assert.notEqual(join.wants.op, 'write', 'nothing is written');
        join.step();
        for (; dueMs <= harness.nowMs; dueMs += renewsEachMs) living.renew();
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

test('a former membership costs a renewal interval and two seconds more, no full wait', () => {
  const { harness, join } = scene();
  const startMs = harness.nowMs;
  const joined = join.run();
  assert.ok(joined.ok && joined.value.leader.ownerGeneration === 2n);
  assert.equal(harness.nowMs - startMs, 2 * INTERVAL_MS + 2000);
});

test('a host that left in order joins without that', () => {
  const { harness, living, join } = scene();
  living.leave();
  const startMs = harness.nowMs;
  assert.ok(join.run().ok);
  assert.equal(harness.nowMs - startMs, INTERVAL_MS);
});

test('one that leaves while it is watched is waited for no longer than that', () => {
  const { harness, living, join } = scene();
  const startMs = harness.nowMs;
  join.step();
  join.step();
  living.leave();
  assert.ok(join.run().ok);
  assert.equal(harness.nowMs - startMs, 2 * INTERVAL_MS + 2000);
});

test('of two clones that start at once one joins, whatever the order of their steps', () => {
  for (let cut = 1; cut < JOIN_EFFECTS; cut++) {
    const { harness, join } = scene();
    const other = new HarnessHost(harness, 1);
    const place = { lockspaceName: HARNESS_LOCKSPACE, offset: 0, hostId: 1, ioTimeoutS: T_S };
    const second = other.task(
      deltaAcquire({ ...place, hostName: 'host-1', aborted: () => false }, harness.geometry),
    );
    join.advance(cut);
    if (join.wants?.op === 'write') continue; // so late it would not be sent: programs/lease-membership
    second.run();
    join.run();
    const joined = [join, second].filter(({ result }) => result?.ok === true);
    assert.equal(joined.length, 1, `cut ${cut}`);
  }
});

test('a host of another name goes by the full wait as ever', () => {
  const { harness, join } = scene('host-x');
  const startMs = harness.nowMs;
  assert.ok(join.run().ok);
  assert.ok(harness.nowMs - startMs > 76_000);
});

test('a claim is sent and answered within half of what a rival of the same record waits', () => {
  const harness = new ProcedureHarness(T_S);
  const place = { lockspaceName: HARNESS_LOCKSPACE, offset: 0, hostId: 3, hostName: 'slow' };
  const host = new HarnessHost(harness, 3);
  const join = host.task(
    deltaAcquire({ ...place, ioTimeoutS: 10, aborted: () => false }, harness.geometry),
  );
  while (join.wants !== null && join.wants.op !== 'write') join.step();
  assert.ok(join.wants?.op === 'write' && join.wants.timeoutMs === T_S * 1000);
});
