import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acquaint, ProcedureHarness } from '../sim/procedure-harness.ts';
import { acquire, take } from './testing/users.ts';

// Silence counts from the reply of the first sample to the sending of the last (spec 10 §8.3): what
// a slow disk or a pause of our own hides before, between and after is no proof.

const IO_TIMEOUT_AT = 174;

/** Host 1 owns it; host 2, of io timeout 10, has not yet seen host 1 renew in this membership. */
function scene(ownerIoTimeoutS: number) {
  const harness = new ProcedureHarness(10);
  const [owner, rival] = [harness.join(1), harness.join(2)];
  acquaint([owner]);
  take(owner);
  const renew = (): number => {
    owner.renew();
    new DataView(harness.disks.lockspace.buffer).setUint16(IO_TIMEOUT_AT, ownerIoTimeoutS, true);
    return harness.nowMs;
  };
  renew();
  return { harness, owner, rival, renew, task: rival.task(acquire(rival, { ownerNowait: false })) };
}

test('a first sample that takes its time begins the wait when it is there', () => {
  for (const slowMs of [0, 3000, 9000]) {
    const { harness, renew, task } = scene(10);
    task.step(); // the area is read
    harness.nowMs += slowMs;
    const lastRenewalMs = renew();
    assert.equal(task.run().ok, true);
    assert.ok(harness.nowMs - lastRenewalMs >= 140_000, `slow by ${slowMs} ms`);
  }
});

test('a rival that stood still before its first sample has seen no silence', () => {
  const { harness, renew, task } = scene(1);
  task.step();
  for (let s = 0; s < 70; s += 2) {
    harness.nowMs += 2000;
    renew();
  }
  const lastRenewalMs = renew();
  assert.equal(task.run().ok, true);
  assert.ok(harness.nowMs - lastRenewalMs >= 68_000);
});

test('a sample that was read long before it is used proves silence until then only', () => {
  const { harness, renew, task } = scene(10);
  const startMs = harness.nowMs;
  while (harness.nowMs < startMs + 70_000) task.step();
  while (task.wants?.op !== 'read' || task.wants.disk !== 'lockspace') task.step();
  task.readEarly(() => true);
  for (let s = 0; s < 75; s += 5) {
    harness.nowMs += 5000;
    renew();
  }
  const refused = task.run();
  assert.ok(!refused.ok && refused.error.error.code === 'ACQUIRE_IDLIVE');
});

test('what our own renewals saw of the owner begins the wait earlier, never later', () => {
  const { harness, owner, rival, renew } = scene(10);
  rival.peers.set(1, owner);
  owner.diedMs = renew();
  harness.nowMs += 100_000;
  take(rival, { ownerNowait: false });
  assert.ok(harness.nowMs - owner.diedMs >= 140_000 && harness.nowMs - owner.diedMs < 145_000);
});
