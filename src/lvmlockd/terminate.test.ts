import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Harness } from './testing/harness.ts';

const LV = 'vg_name="a" lv_uuid="lv0" lv_lock_args="1.0.0:70254592"';

function holding(): Harness {
  const harness = new Harness();
  harness.open(1);
  harness.start('a');
  assert.equal(harness.ask(1, `request="lock_lv" mode="ex" opts="persistent" ${LV}`), '0 none');
  return harness;
}

function loseSanlock(harness: Harness): void {
  harness.post({ kind: 'sessionLost', session: harness.state.lockspaces[0]?.id ?? 0 });
}

function unlock(harness: Harness): void {
  assert.equal(harness.ask(1, `request="lock_lv" mode="un" opts="persistent" ${LV}`), '0 none');
}

test('SIGTERMs of sanlock about a lockspace being lost do not end the daemon', () => {
  const harness = new Harness();
  harness.open(1);
  harness.start('a');
  harness.fake.dying = ['lvm_a'];
  harness.post({ kind: 'terminate', signal: 'SIGTERM' });
  assert.equal(harness.state.quitting, false);
  harness.fake.dying = ['lvm_other'];
  harness.post({ kind: 'terminate', signal: 'SIGTERM' });
  assert.equal(harness.ended, 0);
});

test('a sanlock started anew shows nothing, and its SIGTERMs still are no orders', () => {
  const harness = holding();
  loseSanlock(harness);
  harness.post({ kind: 'terminate', signal: 'SIGTERM' });
  assert.equal(harness.state.quitting, false);
  unlock(harness);
  harness.post({ kind: 'terminate', signal: 'SIGTERM' });
  assert.equal(harness.state.quitting, false);
  assert.equal(harness.ask(1, 'request="drop_vg" vg_name="a"'), '0 none');
  assert.equal(harness.start('a'), '0 none');
  assert.equal(harness.ask(1, `request="lock_lv" mode="sh" ${LV}`), '0 none');
  assert.equal(harness.ended, null);
});

test('while it joins again, a SIGTERM of a sanlock that was not asked yet is no order', () => {
  const harness = holding();
  loseSanlock(harness);
  unlock(harness);
  harness.fake.confirmsLeave = false; // no sanlock runs when the VG is dropped
  assert.equal(harness.ask(1, 'request="drop_vg" vg_name="a"'), '0 none');
  harness.holdBack = true;
  harness.start('a');
  harness.post({ kind: 'terminate', signal: 'SIGTERM' });
  assert.equal(harness.state.quitting, false);
  harness.holdBack = false;
  harness.finish();
  assert.equal(harness.ended, null);
  harness.post({ kind: 'terminate', signal: 'SIGTERM' });
  assert.equal(harness.ended, 0, 'joined again, it is an order');
});

test('a sanlock that is gone with nothing held cannot have sent it: the machine shuts down', () => {
  const harness = new Harness();
  harness.open(1);
  harness.start('a');
  loseSanlock(harness);
  harness.fake.answers = false;
  harness.fake.confirmsLeave = false;
  harness.post({ kind: 'terminate', signal: 'SIGTERM' });
  assert.equal(harness.ended, 0);
});

test('with nothing joined it ends, and says that it did not end in order', () => {
  const harness = holding();
  loseSanlock(harness);
  unlock(harness);
  harness.fake.confirmsLeave = false;
  assert.equal(harness.ask(1, 'request="drop_vg" vg_name="a"'), '0 none');
  harness.post({ kind: 'terminate', signal: 'SIGTERM' });
  assert.equal(harness.ended, 1);
});

for (const isKept of [true, false]) {
  const what = isKept ? 'releases what it kept' : 'keeps nothing';
  test(`once sanlock ${what} of a lost VG, a SIGTERM is an order again`, () => {
    const harness = holding();
    loseSanlock(harness);
    unlock(harness);
    harness.fake.confirmsLeave = false;
    harness.ask(1, 'request="drop_vg" vg_name="a"');
    harness.start('b');
    harness.post({ kind: 'terminate', signal: 'SIGTERM' });
    assert.equal(harness.state.quitting, false, 'a sanlock may still count on us');
    harness.fake.kept.clear();
    if (isKept) harness.fake.kept.add('a');
    harness.fake.confirmsLeave = true;
    harness.ask(1, 'request="drop_vg" vg_name="a"');
    harness.post({ kind: 'terminate', signal: 'SIGTERM' });
    assert.equal(harness.ended, 0);
  });
}

test('no answer to a release of kept leases changes nothing: sanlock may still count on us', () => {
  const harness = holding();
  loseSanlock(harness);
  unlock(harness);
  harness.fake.confirmsLeave = false;
  harness.ask(1, 'request="drop_vg" vg_name="a"');
  harness.fake.answers = false;
  harness.ask(1, 'request="drop_vg" vg_name="a"');
  harness.post({ kind: 'terminate', signal: 'SIGTERM' });
  assert.equal(harness.ended, 1);
});

test('while leases are dropped, or sanlock does not answer, a SIGTERM is no order', () => {
  const harness = holding();
  harness.fake.answers = false;
  harness.post({ kind: 'terminate', signal: 'SIGTERM' });
  assert.equal(harness.state.quitting, false);
  harness.fake.answers = true;
  harness.holdBack = true;
  harness.ask(1, 'request="drop_vg" vg_name="a"');
  harness.post({ kind: 'terminate', signal: 'SIGTERM' });
  assert.equal(harness.state.quitting, false);
});

test('SIGINT is an order, which waits for the locks', () => {
  const harness = holding();
  loseSanlock(harness);
  harness.post({ kind: 'terminate', signal: 'SIGINT' });
  assert.equal(harness.ended, null);
  unlock(harness);
  assert.equal(harness.ended, 0);
});
