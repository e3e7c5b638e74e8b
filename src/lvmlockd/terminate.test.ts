import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bench } from './testing/daemon-bench.ts';

const LV = 'vg_name="a" lv_uuid="lv0" lv_lock_args="1.0.0:70254592"';

function holding(): Bench {
  const bench = new Bench();
  bench.open(1);
  bench.start('a');
  assert.equal(bench.ask(1, `request="lock_lv" mode="ex" opts="persistent" ${LV}`), '0 none');
  return bench;
}

function loseSanlock(bench: Bench): void {
  bench.post({ kind: 'sessionLost', session: bench.state.lockspaces[0]?.id ?? 0 });
}

function unlock(bench: Bench): void {
  assert.equal(bench.ask(1, `request="lock_lv" mode="un" opts="persistent" ${LV}`), '0 none');
}

test('SIGTERMs of sanlock about a lockspace being lost do not end the daemon', () => {
  const bench = new Bench();
  bench.open(1);
  bench.start('a');
  bench.fake.dying = ['lvm_a'];
  bench.post({ kind: 'terminate', signal: 'SIGTERM' });
  assert.equal(bench.state.quitting, false);
  bench.fake.dying = ['lvm_other'];
  bench.post({ kind: 'terminate', signal: 'SIGTERM' });
  assert.equal(bench.ended, 0);
});

test('a sanlock started anew shows nothing, and its SIGTERMs still are no orders', () => {
  const bench = holding();
  loseSanlock(bench);
  bench.post({ kind: 'terminate', signal: 'SIGTERM' });
  assert.equal(bench.state.quitting, false);
  unlock(bench);
  bench.post({ kind: 'terminate', signal: 'SIGTERM' });
  assert.equal(bench.state.quitting, false);
  assert.equal(bench.ask(1, 'request="drop_vg" vg_name="a"'), '0 none');
  assert.equal(bench.start('a'), '0 none');
  assert.equal(bench.ask(1, `request="lock_lv" mode="sh" ${LV}`), '0 none');
  assert.equal(bench.ended, null);
});

test('while it joins again, a SIGTERM of a sanlock that nobody has asked yet is no order', () => {
  const bench = holding();
  loseSanlock(bench);
  unlock(bench);
  bench.fake.confirmsLeave = false; // no sanlock runs when the VG is dropped
  assert.equal(bench.ask(1, 'request="drop_vg" vg_name="a"'), '0 none');
  bench.holdBack = true;
  bench.start('a');
  bench.post({ kind: 'terminate', signal: 'SIGTERM' });
  assert.equal(bench.state.quitting, false);
  bench.holdBack = false;
  bench.finish();
  assert.equal(bench.ended, null);
  bench.post({ kind: 'terminate', signal: 'SIGTERM' });
  assert.equal(bench.ended, 0, 'joined again, it is an order');
});

test('a sanlock that is gone with nothing held cannot have sent it: the machine shuts down', () => {
  const bench = new Bench();
  bench.open(1);
  bench.start('a');
  loseSanlock(bench);
  bench.fake.answers = false;
  bench.fake.confirmsLeave = false;
  bench.post({ kind: 'terminate', signal: 'SIGTERM' });
  assert.equal(bench.ended, 0);
});

test('with nothing joined it ends, and says that it did not end in order', () => {
  const bench = holding();
  loseSanlock(bench);
  unlock(bench);
  bench.fake.confirmsLeave = false;
  assert.equal(bench.ask(1, 'request="drop_vg" vg_name="a"'), '0 none');
  bench.post({ kind: 'terminate', signal: 'SIGTERM' });
  assert.equal(bench.ended, 1);
});

for (const isKept of [true, false]) {
  const what = isKept ? 'gives back what it kept' : 'keeps nothing';
  test(`once sanlock ${what} of a lost VG, a SIGTERM is an order again`, () => {
    const bench = holding();
    loseSanlock(bench);
    unlock(bench);
    bench.fake.confirmsLeave = false;
    bench.ask(1, 'request="drop_vg" vg_name="a"');
    bench.start('b');
    bench.post({ kind: 'terminate', signal: 'SIGTERM' });
    assert.equal(bench.state.quitting, false, 'a sanlock may still count on us');
    bench.fake.kept.clear();
    if (isKept) bench.fake.kept.add('a');
    bench.fake.confirmsLeave = true;
    bench.ask(1, 'request="drop_vg" vg_name="a"');
    bench.post({ kind: 'terminate', signal: 'SIGTERM' });
    assert.equal(bench.ended, 0);
  });
}

test('no answer to a give-back changes nothing: sanlock may still count on us', () => {
  const bench = holding();
  loseSanlock(bench);
  unlock(bench);
  bench.fake.confirmsLeave = false;
  bench.ask(1, 'request="drop_vg" vg_name="a"');
  bench.fake.answers = false;
  bench.ask(1, 'request="drop_vg" vg_name="a"');
  bench.post({ kind: 'terminate', signal: 'SIGTERM' });
  assert.equal(bench.ended, 1);
});

test('while leases are dropped, or sanlock does not answer, a SIGTERM is no order', () => {
  const bench = holding();
  bench.fake.answers = false;
  bench.post({ kind: 'terminate', signal: 'SIGTERM' });
  assert.equal(bench.state.quitting, false);
  bench.fake.answers = true;
  bench.holdBack = true;
  bench.ask(1, 'request="drop_vg" vg_name="a"');
  bench.post({ kind: 'terminate', signal: 'SIGTERM' });
  assert.equal(bench.state.quitting, false);
});

test('SIGINT is an order, which waits for the locks', () => {
  const bench = holding();
  loseSanlock(bench);
  bench.post({ kind: 'terminate', signal: 'SIGINT' });
  assert.equal(bench.ended, null);
  unlock(bench);
  assert.equal(bench.ended, 0);
});
