import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acquaint, Lab } from '../sim/lab.ts';
import { acquire, take } from './testing/users.ts';

// Silence counts from the reply of the first sample to the sending of the last (spec 10 §8.3): what
// a slow disk or a pause of our own hides before, between and after is no proof.

const IO_TIMEOUT_AT = 174;

/** Host 1 owns it; host 2, of io timeout 10, has not yet seen this stay of host 1 renew. */
function scene(ownerIoTimeoutS: number) {
  const lab = new Lab(10);
  const [owner, rival] = [lab.join(1), lab.join(2)];
  acquaint([owner]);
  take(owner);
  const renew = (): number => {
    owner.renew();
    new DataView(lab.disks.lockspace.buffer).setUint16(IO_TIMEOUT_AT, ownerIoTimeoutS, true);
    return lab.nowMs;
  };
  renew();
  return { lab, owner, rival, renew, task: rival.task(acquire(rival, { ownerNowait: false })) };
}

test('a first sample that takes its time begins the wait when it is there', () => {
  for (const slowMs of [0, 3000, 9000]) {
    const { lab, renew, task } = scene(10);
    task.step(); // the area is read
    lab.nowMs += slowMs;
    const lastRenewalMs = renew();
    assert.equal(task.run().ok, true);
    assert.ok(lab.nowMs - lastRenewalMs >= 140_000, `slow by ${slowMs} ms`);
  }
});

test('a rival that stood still before its first sample has seen no silence', () => {
  const { lab, renew, task } = scene(1);
  task.step();
  for (let s = 0; s < 70; s += 2) {
    lab.nowMs += 2000;
    renew();
  }
  const lastRenewalMs = renew();
  assert.equal(task.run().ok, true);
  assert.ok(lab.nowMs - lastRenewalMs >= 68_000);
});

test('a sample that was read long before it is looked at proves silence until then only', () => {
  const { lab, renew, task } = scene(10);
  const startMs = lab.nowMs;
  while (lab.nowMs < startMs + 70_000) task.step();
  while (task.wants?.op !== 'read' || task.wants.disk !== 'lockspace') task.step();
  task.readEarly(() => true);
  for (let s = 0; s < 75; s += 5) {
    lab.nowMs += 5000;
    renew();
  }
  const refused = task.run();
  assert.ok(!refused.ok && refused.error.error.code === 'ACQUIRE_IDLIVE');
});

test('what our own renewals saw of the owner begins the wait earlier, never later', () => {
  const { lab, owner, rival, renew } = scene(10);
  rival.peers.set(1, owner);
  owner.diedMs = renew();
  lab.nowMs += 100_000;
  take(rival, { ownerNowait: false });
  assert.ok(lab.nowMs - owner.diedMs >= 140_000 && lab.nowMs - owner.diedMs < 145_000);
});
