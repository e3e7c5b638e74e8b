import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextTickMs } from './daemon.ts';
import { Harness } from './testing/harness.ts';

const LV = 'vg_name="a" lv_uuid="lv0" lv_lock_args="1.0.0:70254592"';
const LOCK_VG = 'request="lock_vg" mode="ex" vg_name="a"';
const HAND_OVER = 'request="hand_over"';

/** Client 1 gives orders, client 2 is a command that holds an LV lock and the VG lock. */
function working(): Harness {
  const harness = new Harness();
  for (const client of [1, 2, 3]) harness.open(client);
  harness.start('a');
  harness.ask(2, LOCK_VG);
  assert.equal(harness.ask(2, `request="lock_lv" mode="ex" opts="persistent" ${LV}`), '0 none');
  return harness;
}

function lastResult(harness: Harness): string {
  return /\nresult = (-?\d+)/.exec(harness.replies.at(-1) ?? '')?.[1] ?? 'none yet';
}

test('the locks of LVs stay with the lock manager, and the adopt file names them', () => {
  const harness = working();
  harness.ask(2, 'request="lock_vg" mode="un" vg_name="a"');
  harness.ask(1, HAND_OVER);
  assert.equal(lastResult(harness), '0');
  assert.equal(harness.ended, 75);
  assert.ok(!harness.fake.did.includes('unlock lv0'));
  assert.match(harness.adoptFile ?? '', /\nLV: .* lv0 1\.0\.0:70254592 ex 0\n/);
});

test('a command in the middle of its work ends it first; others do not begin meanwhile', () => {
  const harness = working();
  harness.ask(1, HAND_OVER);
  assert.equal(harness.ended, null);
  assert.equal(harness.ask(3, 'request="lock_gl" mode="sh"'), 'none yet');
  assert.equal(harness.ask(2, `request="lock_lv" mode="un" opts="persistent" ${LV}`), '0 none');
  harness.ask(2, 'request="lock_vg" mode="un" vg_name="a"');
  assert.equal(harness.ended, 75);
  assert.equal(lastResult(harness), '0');
  assert.ok(!harness.fake.did.includes('lock GLLK sh'));
});

test('when a command works on for too long the order is refused, and all goes on', () => {
  const harness = working();
  harness.ask(1, HAND_OVER);
  harness.ask(3, 'request="lock_gl" mode="sh"');
  harness.passTo(nextTickMs(harness.state) ?? 0);
  assert.equal(harness.replies.filter((text) => text.includes('\nresult = -16')).length, 1);
  assert.equal(harness.lastReply(), '0 none', 'the lock that waited is granted');
  assert.equal(harness.ended, null);
  assert.equal(nextTickMs(harness.state), null);
});

test('force ends it in the middle of the work of commands', () => {
  const harness = working();
  harness.ask(1, HAND_OVER);
  harness.ask(3, `${HAND_OVER} opts="force"`);
  assert.equal(harness.ended, 75);
});

test('an order whose client is gone is forgotten, with what it held back', () => {
  const harness = working();
  harness.ask(1, HAND_OVER);
  harness.ask(3, 'request="lock_gl" mode="sh"');
  harness.post({ kind: 'clientClosed', clientId: 1 });
  assert.equal(harness.lastReply(), '0 none');
  harness.ask(2, 'request="lock_vg" mode="un" vg_name="a"');
  assert.equal(harness.ended, null);
});
