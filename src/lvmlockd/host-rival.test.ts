import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RivalWatch } from './managers/manager.ts';
import { Harness } from './testing/harness.ts';

const RENEWED: RivalWatch = {
  found: 'renewed',
  by: { hostId: 1, generation: 4, timestampS: 70, state: '', name: 'other' },
};
const START_WAIT = 'request="start_wait"';

/** A start of the VG a with a host id that another host had. */
function starting(...rivals: RivalWatch[]): Harness {
  const harness = new Harness();
  harness.fake.rivals = rivals;
  harness.open(1);
  harness.open(2);
  harness.holdBack = true;
  harness.start('a');
  harness.finish(1);
  return harness;
}

test('a host id that another host renews is refused while the join still waits', () => {
  const harness = starting(RENEWED);
  assert.equal(harness.lastReply(), 'none yet', 'lvm waits for what is seen of that host');
  const join = harness.held.shift(); // waits for the end of that host
  harness.finish();
  assert.ok(harness.logged.includes('host.duplicate'));
  assert.ok(harness.fake.did.includes('cancel a'));
  harness.fake.joinResult = -221;
  join?.();
  assert.equal(harness.lastReply(), '-213 none');
  assert.equal(harness.ask(1, START_WAIT), '0 none', 'it has been told already');
  assert.equal(harness.state.lockspaces.length, 0);
  assert.ok(harness.logged.includes('lockspace.notJoined'));
});

test('a client that was answered before is told by start_wait', () => {
  const harness = starting({ found: 'quiet' }, RENEWED);
  const join = harness.held.shift();
  harness.finish();
  assert.equal(harness.ask(1, START_WAIT), 'none yet');
  harness.fake.joinResult = -221;
  join?.();
  assert.equal(harness.lastReply(), '-213 none');
});

test('a host that is gone keeps nobody from starting, and lvm waits no longer than to see it', () => {
  const harness = starting({ found: 'quiet' }, { found: 'over' });
  const join = harness.held.shift();
  assert.equal(harness.lastReply(), 'none yet');
  harness.finish();
  assert.equal(harness.lastReply(), '0 none');
  join?.();
  harness.finish();
  assert.equal(harness.ask(1, START_WAIT), '0 none');
  assert.ok(!harness.logged.includes('host.duplicate'));
});

test('the first of several VGs alone is held up', () => {
  const harness = starting({ found: 'over' });
  harness.fake.rivals = [{ found: 'over' }];
  harness.ask(
    2,
    'request="start_vg" vg_name="b" vg_lock_type="sanlock" vg_lock_args="1.0.0:lvmlock"',
  );
  assert.equal(harness.lastReply(), 'none yet');
  harness.held.splice(0, 2);
  harness.finish(1);
  assert.equal(harness.lastReply(), '0 none');
});

test('a join that is faster than the other host has the host id', () => {
  const harness = starting(RENEWED);
  const join = harness.held.shift();
  harness.finish(1);
  join?.();
  harness.finish();
  assert.equal(harness.lastReply(), '0 none');
  assert.equal(harness.state.lockspaces[0]?.phase.kind, 'running');
});

test('a lost VG whose host id another host has taken is not tried again', () => {
  const harness = new Harness();
  harness.open(1);
  harness.start('a');
  harness.ask(1, 'request="kill_vg" vg_name="a"');
  harness.ask(1, 'request="drop_vg" vg_name="a"');
  assert.equal(harness.state.returning.size, 1);
  harness.fake.joinResult = -213;
  harness.passTo(harness.state.nowMs + 60_000);
  assert.equal(harness.state.returning.size, 0);
  assert.ok(harness.logged.includes('lockspace.notJoined'));
});

test('a command that starts many VGs is held up once', () => {
  const harness = starting(RENEWED);
  const join = harness.held.shift();
  harness.finish();
  harness.fake.joinResult = -221;
  join?.();
  assert.equal(harness.lastReply(), '-213 none');
  harness.finish();
  assert.equal(harness.state.lockspaces.length, 0);
  harness.fake.rivals = [RENEWED];
  assert.equal(harness.start('b'), 'none yet');
  harness.finish(1);
  assert.equal(harness.lastReply(), '0 none', 'the same command is not held up again');
  const second = harness.held.shift();
  harness.finish();
  second?.();
  assert.equal(harness.ask(1, 'request="start_wait"'), '-213 none');
});
