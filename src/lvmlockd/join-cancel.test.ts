import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextTickMs } from './daemon.ts';
import { Harness } from './testing/harness.ts';

const OF_A = 'vg_name="a" vg_lock_type="sanlock"';
const STOP = `request="stop_vg" ${OF_A}`;
const DROP = 'request="drop_vg" vg_name="a"';
const LV = 'vg_name="a" lv_uuid="u1-11" lv_lock_args="1.0.0:70254592"';

/** Client 1 starts the VG a, and client 2 comes in the middle; `ended`: procedures that have ended. */
function starting(ended: number): Harness {
  const harness = new Harness();
  harness.open(1);
  harness.open(2);
  harness.holdBack = true;
  harness.start('a');
  harness.finish(ended);
  return harness;
}

/** The join is under way. */
function joining(): Harness {
  const harness = starting(1);
  assert.equal(phaseOf(harness), 'joining');
  return harness;
}

function phaseOf(harness: Harness): string {
  return harness.state.lockspaces[0]?.phase.kind ?? 'gone';
}

function passTick(harness: Harness): void {
  const dueMs = nextTickMs(harness.state);
  assert.ok(dueMs !== null);
  harness.passTo(dueMs);
}

for (const order of [STOP, DROP]) {
  test(`an order during the join ends it: ${order}`, () => {
    const harness = joining();
    assert.equal(harness.ask(2, order), 'none yet');
    assert.equal(harness.ask(1, 'request="start_wait"'), 'none yet');
    harness.open(3);
    assert.equal(harness.start('a', 3), '-11 none', 'it is being stopped');
    assert.equal(harness.ask(3, `request="lock_lv" mode="ex" ${LV}`), '-116 none');
    harness.fake.joinResult = -221; // sanlock answers the join when it has given it up
    harness.replies.length = 0;
    harness.answered.length = 0;
    harness.finish();
    assert.ok(harness.fake.did.includes('cancel a'));
    assert.equal(phaseOf(harness), 'gone');
    assert.deepEqual(harness.answered, [2, 1]);
    assert.deepEqual(harness.lastReplies(), ['0 none', '-125 none']);
    harness.holdBack = false;
    harness.fake.joinResult = 0;
    assert.equal(harness.start('a', 3), '0 none');
    assert.equal(harness.ask(3, 'request="start_wait"'), '0 none');
    assert.equal(phaseOf(harness), 'running');
  });
}

test('a start whose checks hang is forgotten at once, and its client is told', () => {
  const harness = starting(0);
  assert.equal(phaseOf(harness), 'preparing');
  harness.ask(2, STOP);
  harness.replies.length = 0;
  harness.answered.length = 0;
  passTick(harness);
  assert.equal(phaseOf(harness), 'gone');
  assert.deepEqual(harness.answered, [1, 2]);
  assert.deepEqual(harness.lastReplies(), ['-125 none', '0 none']);
  harness.finish(); // the checks end at last, and nobody is answered again
  assert.equal(harness.answered.length, 2);
  assert.ok(!harness.logged.includes('lockspace.joinAbandoned'));
});

test('a join that the lock manager does not give up is forgotten after a while', () => {
  const harness = joining();
  const sinceMs = harness.state.nowMs;
  harness.ask(2, DROP);
  passTick(harness);
  assert.ok(harness.state.nowMs - sinceMs < 20_000);
  assert.equal(harness.lastReply(), '0 none');
  assert.equal(phaseOf(harness), 'gone');
  assert.ok(harness.logged.includes('lockspace.joinAbandoned'));
  const logged = harness.logged.length;
  harness.finish(); // joined at last: the procedure of the manager has given it back
  assert.equal(phaseOf(harness), 'gone');
  assert.equal(harness.logged.length, logged);
});

test('a join that was faster is stopped as a VG that runs', () => {
  const harness = joining();
  harness.ask(2, STOP);
  harness.finish();
  assert.equal(phaseOf(harness), 'gone');
  assert.ok(harness.fake.did.includes('leave a held 0'));
  assert.equal(harness.lastReply(), '0 none');
});

test('adopted locks keep a VG from being stopped so, too', () => {
  const harness = joining();
  harness.fake.adopted = [
    { resource: { scope: 'lv', name: 'u1-11', lvLockArgs: '1.0.0:70254592' }, mode: 'ex' },
  ];
  harness.ask(2, STOP);
  harness.finish();
  assert.equal(harness.lastReply(), '-16 none');
  assert.equal(phaseOf(harness), 'running');
});

test('stop_all and the end of the daemon cancel starts, too', () => {
  const all = joining();
  assert.equal(all.ask(2, 'request="stop_all" opts="wait "'), 'none yet');
  all.fake.joinResult = -221;
  all.finish();
  assert.equal(all.lastReply(), '0 none');
  assert.equal(phaseOf(all), 'gone');
  const faster = joining();
  faster.ask(2, 'request="stop_all" opts="force "');
  faster.finish();
  assert.equal(phaseOf(faster), 'gone');
  const ending = joining();
  ending.post({ kind: 'terminate', signal: 'SIGINT' });
  ending.fake.joinResult = -221;
  ending.finish();
  assert.equal(ending.ended, 0);
});

test('start_wait tells of the first VG that failed, and each one is logged', () => {
  const harness = new Harness();
  harness.open(1);
  harness.fake.joinResult = -218;
  harness.start('a');
  harness.fake.joinResult = -213;
  harness.start('b');
  harness.fake.joinResult = 0;
  harness.start('c');
  assert.equal(harness.ask(1, 'request="start_wait"'), '-218 none');
  assert.equal(harness.logged.filter((event) => event === 'lockspace.notJoined').length, 2);
  assert.equal(harness.ask(1, 'request="start_wait"'), '0 none');
});
