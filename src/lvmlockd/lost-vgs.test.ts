import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextTickMs } from './daemon.ts';
import { dumpState } from './dump.ts';
import { Harness } from './testing/harness.ts';

const LV = 'vg_name="a" lv_uuid="u1-11" lv_lock_args="1.0.0:70254592"';
const LOCK_LV = `request="lock_lv" mode="ex" opts="persistent" ${LV}`;
const UNLOCK_LV = `request="lock_lv" mode="un" opts="persistent" ${LV}`;
const KILL = 'request="kill_vg" vg_name="a"';
const DROP = 'request="drop_vg" vg_name="a"';
const HOUR_MS = 3_600_000;

/** A VG with one LV locked, whose storage is gone. */
function killed(active: readonly string[] | null = null): Harness {
  const harness = new Harness();
  harness.fake.activeLvs = active;
  harness.open(1);
  harness.start('a');
  assert.equal(harness.ask(1, LOCK_LV), '0 none');
  assert.equal(harness.ask(1, KILL), '0 none');
  harness.fake.did.length = 0;
  return harness;
}

function pass(harness: Harness): void {
  const dueMs = nextTickMs(harness.state);
  assert.ok(dueMs !== null);
  harness.passTo(dueMs);
}

function phaseOf(harness: Harness): string {
  return harness.state.lockspaces[0]?.phase.kind ?? 'gone';
}

test('a start of a killed VG is refused while an LV of it is locked, and says so', () => {
  const harness = killed();
  assert.equal(harness.start('a'), '-217 none');
  assert.ok(harness.logged.includes('lockspace.stillUsed'));
  assert.equal(phaseOf(harness), 'killed');
});

test('a start of a killed VG that nothing uses leaves it and joins anew', () => {
  const harness = killed();
  harness.ask(1, UNLOCK_LV);
  assert.equal(harness.start('a'), '0 none');
  assert.equal(phaseOf(harness), 'running');
  assert.ok(harness.fake.did.includes('leave a held 0'));
  assert.equal(harness.ask(1, LOCK_LV), '0 none');
});

test('device-mapper decides what is in use, where it knows', () => {
  const inactive = killed([]);
  inactive.open(2);
  const start = () => inactive.start('a', 2);
  assert.equal(start(), '-217 none', 'the command that has locked it may be activating it');
  assert.ok(inactive.logged.includes('lockspace.stillUsed'));
  inactive.post({ kind: 'clientClosed', clientId: 1 });
  assert.equal(start(), '0 none', 'its devices were removed behind the back of lvm');
  const active = killed(['u111']);
  active.ask(1, UNLOCK_LV);
  assert.equal(active.start('a'), '-217 none');
  pass(active);
  assert.equal(phaseOf(active), 'killed', 'it is not left by itself either');
});

test('a lockspace that cannot be left is not started anew, and lvm is told', () => {
  const harness = killed();
  harness.ask(1, UNLOCK_LV);
  harness.fake.leaveResult = -16;
  assert.equal(harness.start('a'), '-16 none');
  assert.equal(phaseOf(harness), 'killed');
});

test('a lost VG is left when nothing uses it any more, and started again by itself', () => {
  const harness = killed();
  pass(harness);
  assert.equal(phaseOf(harness), 'killed');
  harness.ask(1, UNLOCK_LV);
  pass(harness);
  assert.equal(phaseOf(harness), 'gone');
  pass(harness);
  assert.equal(phaseOf(harness), 'running');
  assert.ok(harness.logged.includes('lockspace.returned'));
  assert.equal(harness.state.returning.size, 0);
});

test('so is one that lvmlockctl dropped when its kill command had deactivated the LVs', () => {
  const harness = killed();
  harness.ask(1, DROP);
  assert.equal(phaseOf(harness), 'gone');
  pass(harness);
  assert.equal(phaseOf(harness), 'running');
});

test('an order to drop a VG that was dropped when it was lost is served, once', () => {
  const harness = killed();
  harness.ask(1, DROP);
  assert.equal(phaseOf(harness), 'gone');
  assert.equal(harness.ask(1, DROP), '0 none', 'a script that drops it is told that it is dropped');
  assert.equal(harness.state.returning.size, 0, 'and it does not return');
  assert.match(harness.ask(1, DROP), /^-210 /);
});

test('a VG that was lost with its sanlock returns as well', () => {
  const harness = killed();
  harness.ask(1, DROP);
  pass(harness);
  harness.post({ kind: 'sessionLost', session: harness.state.lockspaces[0]?.id ?? 0 });
  assert.equal(phaseOf(harness), 'detached', 'the next sanlock does not know it');
  pass(harness);
  assert.equal(phaseOf(harness), 'gone');
  pass(harness);
  assert.equal(phaseOf(harness), 'running');
});

test('while its storage is gone, or an LV is active, it is tried again, more and more rarely', () => {
  const harness = killed();
  harness.fake.joinResult = -218;
  harness.ask(1, DROP);
  const sinceMs = harness.state.nowMs;
  for (let n = 0; n < 30; n++) pass(harness);
  const waitedMs = harness.state.nowMs - sinceMs;
  assert.ok(waitedMs > 25 * 60_000 && waitedMs < HOUR_MS, `waited ${waitedMs} ms`);
  assert.ok(!harness.logged.includes('lockspace.notJoined'), 'nobody asked for it');
  harness.fake.joinResult = 0;
  harness.fake.activeLvs = ['u111'];
  pass(harness);
  assert.equal(phaseOf(harness), 'gone');
  harness.fake.activeLvs = [];
  pass(harness);
  assert.equal(phaseOf(harness), 'running');
});

test('a VG that does not come back for a day is given up', () => {
  const harness = killed();
  harness.fake.joinResult = -218;
  harness.ask(1, DROP);
  while (nextTickMs(harness.state) !== null) pass(harness);
  assert.ok(harness.state.nowMs > 24 * HOUR_MS);
  assert.deepEqual(
    harness.logged.filter((event) => event.startsWith('lockspace.not')),
    ['lockspace.notReturned'],
  );
});

test('an administrator who starts it meanwhile is told why that fails', () => {
  const harness = killed();
  harness.fake.joinResult = -218;
  harness.ask(1, DROP);
  assert.equal(harness.start('a'), '0 none');
  assert.equal(harness.ask(1, 'request="start_wait"'), '-218 none');
  assert.ok(harness.logged.includes('lockspace.notJoined'));
  assert.equal(harness.state.returning.size, 1, 'it is still tried');
});

test('an administrator who starts it during such an attempt is told how that ends', () => {
  for (const failed of ['prepareResult', 'joinResult'] as const) {
    const harness = killed();
    harness.ask(1, DROP);
    harness.fake[failed] = -218;
    harness.holdBack = true;
    pass(harness);
    harness.finish(1); // which LVs are active
    assert.equal(harness.start('a'), '-211 none', 'it is being started');
    assert.equal(harness.ask(1, 'request="start_wait"'), 'none yet');
    harness.finish();
    assert.equal(harness.lastReply(), '-218 none');
    assert.ok(harness.logged.some((event) => event.startsWith('lockspace.not')));
  }
});

test('the state that lvmlockctl shows says what has become of the VG', () => {
  const harness = killed();
  const shown = () => {
    const dump = dumpState(harness.state, 'old').split('\n');
    return dump.filter((line) => line.startsWith('info=state'));
  };
  assert.deepEqual(shown(), ['info=state vg_name=a state=killed']);
  harness.fake.joinResult = -218;
  harness.ask(1, DROP);
  assert.deepEqual(shown(), ['info=state vg_name=a state=returning wait_s=10 result=0']);
  pass(harness);
  assert.deepEqual(shown(), ['info=state vg_name=a state=returning wait_s=20 result=-218']);
  harness.fake.activeLvs = ['u111'];
  pass(harness);
  pass(harness);
  assert.deepEqual(shown(), ['info=state vg_name=a state=returning wait_s=60 result=-16']);
  const told = harness.logged.filter((event) => event === 'lockspace.stillUsed');
  assert.equal(told.length, 1, 'not at each attempt');
  harness.fake.activeLvs = [];
  harness.fake.joinResult = 0;
  pass(harness);
  assert.deepEqual(shown(), []);
});

test('leases that only an administrator can release end the return', () => {
  const harness = killed();
  harness.fake.joinResult = -16;
  harness.ask(1, DROP);
  pass(harness);
  assert.ok(harness.logged.includes('lockspace.notJoined'));
  assert.equal(harness.state.returning.size, 0);
});

const ENDS = [
  DROP,
  'request="stop_vg" vg_name="a" vg_lock_type="sanlock"',
  'request="stop_all" vg_lock_type="sanlock"',
];

for (const request of ENDS) {
  test(`an order ends the return: ${request}`, () => {
    const harness = killed();
    harness.ask(1, DROP);
    assert.equal(harness.state.returning.size, 1);
    harness.ask(1, request);
    assert.equal(harness.state.returning.size, 0);
  });
}

test('a VG that was stopped, or dropped without being lost, does not return', () => {
  const stopped = killed();
  stopped.ask(1, UNLOCK_LV);
  stopped.ask(1, 'request="stop_vg" vg_name="a"');
  assert.equal(stopped.state.returning.size, 0);
  const dropped = new Harness();
  dropped.open(1);
  dropped.start('a');
  dropped.ask(1, DROP);
  assert.equal(dropped.state.returning.size, 0);
});

test('a daemon that is to end starts nothing by itself', () => {
  const harness = killed();
  harness.ask(1, UNLOCK_LV);
  harness.post({ kind: 'terminate', signal: 'SIGINT' });
  assert.equal(harness.ended, 0);
  assert.equal(harness.state.returning.size, 0);
});
