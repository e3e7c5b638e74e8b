import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextTickMs } from './daemon.ts';
import { watchOf } from './managers/manager.ts';
import { Harness } from './testing/harness.ts';

/**
 * lvmlockd leaves a lost VG by itself, to join it again. Commands that come meanwhile are all
 * answered, and the last order of an administrator is what becomes of the VG.
 */

const STOP = 'request="stop_vg" vg_name="a" vg_lock_type="sanlock"';
const DROP = 'request="drop_vg" vg_name="a"';
const STOP_ALL = 'request="stop_all" opts="wait force "';

function phaseOf(harness: Harness): string {
  return harness.state.lockspaces[0]?.phase.kind ?? 'gone';
}

function passTick(harness: Harness): void {
  const dueMs = nextTickMs(harness.state);
  assert.ok(dueMs !== null);
  harness.passTo(dueMs);
}

/** The lockspace of the VG a is gone, and its end is seen; nothing ends by itself from now on. */
function missing(): Harness {
  const harness = new Harness();
  for (const clientId of [1, 2, 3]) harness.open(clientId);
  harness.start('a');
  harness.fake.watched = 'absent';
  const id = harness.state.lockspaces[0]?.id ?? 0;
  harness.post({ kind: 'sessionLost', session: watchOf(id) });
  harness.fake.watched = 'watching';
  assert.equal(phaseOf(harness), 'detached');
  harness.holdBack = true;
  return harness;
}

/** lvmlockd leaves it. */
function leaving(): Harness {
  const harness = missing();
  passTick(harness);
  harness.finish(1); // no LV of it is active
  assert.equal(phaseOf(harness), 'stopping');
  return harness;
}

/** All that is under way ends, and what lvmlockd itself plans for the next minute happens. */
function settle(harness: Harness): void {
  harness.finish();
  harness.holdBack = false;
  const untilMs = harness.state.nowMs + 60_000;
  for (let dueMs = nextTickMs(harness.state); dueMs !== null && dueMs < untilMs; ) {
    harness.passTo(dueMs);
    dueMs = nextTickMs(harness.state);
  }
}

test('a start that looks for active LVs is answered though the lockspace is left meanwhile', () => {
  const harness = missing();
  passTick(harness); // the look before it is left
  assert.equal(harness.start('a', 2), 'none yet');
  const look = harness.held.splice(1, 1)[0];
  harness.finish();
  assert.equal(phaseOf(harness), 'gone');
  look?.();
  harness.finish();
  assert.deepEqual(harness.lastReplies(), ['0 none']);
  assert.equal(phaseOf(harness), 'running');
});

test('starts that come while it is left wait for that, and all are answered', () => {
  const harness = leaving();
  assert.equal(harness.start('a', 1), 'none yet');
  assert.equal(harness.start('a', 2), 'none yet');
  harness.start('a', 3);
  harness.post({ kind: 'clientClosed', clientId: 3 });
  harness.answered.length = 0;
  harness.replies.length = 0;
  harness.finish();
  assert.deepEqual([...harness.answered].sort(), [1, 2]);
  assert.deepEqual([...harness.lastReplies()].sort(), ['-211 none', '0 none']);
  assert.equal(harness.ask(1, 'request="start_wait"'), '0 none');
  assert.equal(harness.ask(2, 'request="start_wait"'), '0 none');
  assert.equal(phaseOf(harness), 'running');
});

test('two starts of a lost VG at once both end well', () => {
  const harness = missing();
  harness.start('a', 1);
  harness.start('a', 2);
  harness.answered.length = 0;
  harness.replies.length = 0;
  harness.finish();
  assert.deepEqual([...harness.answered].sort(), [1, 2]);
  assert.ok(harness.lastReplies().every((reply) => reply !== '-11 none'));
  assert.equal(phaseOf(harness), 'running');
});

for (const order of [STOP, DROP, STOP_ALL]) {
  test(`a lost VG that lvmlockd is leaving does not return after ${order}`, () => {
    const harness = leaving();
    assert.equal(harness.ask(2, order), 'none yet');
    harness.finish();
    assert.equal(harness.lastReply(), '0 none');
    settle(harness);
    assert.equal(phaseOf(harness), 'gone');
    assert.equal(nextTickMs(harness.state), null);
  });
  test(`a start that waits for the leave is cancelled by ${order}`, () => {
    const harness = leaving();
    assert.equal(harness.start('a', 1), 'none yet');
    assert.equal(harness.ask(2, order), 'none yet');
    harness.answered.length = 0;
    harness.finish();
    settle(harness);
    assert.deepEqual([...harness.answered].sort(), [1, 2]);
    assert.deepEqual([...harness.lastReplies()].sort(), ['-125 none', '0 none']);
    assert.equal(phaseOf(harness), 'gone');
  });
}

test('the end of the daemon cancels a start that waits for the leave', () => {
  const harness = leaving();
  assert.equal(harness.start('a', 1), 'none yet');
  harness.post({ kind: 'terminate', signal: 'SIGINT' });
  harness.finish();
  assert.equal(harness.lastReply(), '-125 none');
  assert.equal(harness.ended, 0);
});

test('a start is told when the lockspace cannot be left', () => {
  const harness = missing();
  harness.fake.leaveResult = -16;
  passTick(harness);
  harness.finish(1);
  assert.equal(phaseOf(harness), 'stopping');
  assert.equal(harness.start('a', 1), 'none yet');
  harness.finish();
  assert.equal(harness.lastReply(), '-16 none');
  assert.equal(phaseOf(harness), 'detached');
});
