import assert from 'node:assert/strict';
import test from 'node:test';
import { Harness } from './testing/harness.ts';

const LV = 'vg_name="a" lv_uuid="lv" lv_lock_args="1.0.0:70254592" opts="persistent"';

test('start_wait answers a failed join once, to the command that started the VG', () => {
  const harness = new Harness();
  harness.open(1);
  harness.open(2);
  harness.fake.joinResult = -221;
  assert.equal(harness.start('a'), '0 none');
  assert.equal(harness.ask(2, 'request="start_wait"'), '0 none');
  assert.equal(harness.ask(1, 'request="start_wait"'), '-221 none');
  assert.equal(harness.ask(1, 'request="start_wait"'), '0 none');
  assert.equal(harness.state.lockspaces.length, 0);
  assert.equal(harness.state.gl.told, '', 'the global lock is remembered only after a join');
});

test('start_wait waits for the join; a lock request meanwhile is answered ESTARTING', () => {
  const harness = new Harness();
  harness.open(1);
  harness.start('a');
  const late = new Harness();
  late.open(1);
  late.holdBack = true;
  late.start('a');
  late.held.shift()?.(); // prepared, joining
  assert.equal(late.ask(1, 'request="start_wait"'), 'none yet');
  assert.equal(late.ask(1, 'request="lock_vg" mode="sh" vg_name="a"'), '-211 none');
  assert.equal(late.ask(1, 'request="lock_gl" mode="sh"'), '-211 none');
  late.replies.length = 0;
  late.held.shift()?.();
  assert.equal(late.lastReply(), '0 none');
});

test('a client that ends while its LV lock is acquired leaves no lock behind', () => {
  const harness = new Harness();
  harness.open(1);
  harness.open(2);
  harness.start('a');
  harness.holdBack = true;
  harness.ask(2, `request="lock_lv" mode="ex" ${LV}`);
  harness.post({ kind: 'clientClosed', clientId: 2 });
  while (harness.held.length > 0) harness.held.shift()?.();
  assert.deepEqual(harness.fake.did, ['lock lv ex', 'unlock lv']);
});

test('an LV lock whose reply was lost is undone, one that was read is not', () => {
  const harness = new Harness();
  harness.open(1);
  harness.start('a');
  for (const isLost of [true, false]) {
    harness.fake.did.length = 0;
    harness.open(2);
    assert.equal(harness.ask(2, `request="lock_lv" mode="ex" ${LV}`), '0 none');
    if (isLost) harness.post({ kind: 'replyLost', clientId: 2 });
    harness.post({ kind: 'clientClosed', clientId: 2 });
    assert.equal(harness.fake.did.includes('unlock lv'), isLost);
  }
});

test('after a crash every joined lockspace is adopted, with the facts of the adopt file', () => {
  const vg = { vgName: 'a', vgLockArgs: '1.0.0:lvmlock' };
  const adoptFile = `lvmlockd adopt_version 1.0 pid 5\nVG: uuid-of-a a sanlock 1.0.0:lvmlock\n`;
  const harness = new Harness({ adoptFile, found: [{ ...vg, vgUuid: '', hostId: 7 }] });
  const [adopted] = harness.state.lockspaces;
  assert.equal(adopted?.phase.kind, 'running');
  assert.equal(adopted?.vg.vgUuid, 'uuid-of-a');
  assert.equal(adopted?.hostId, 7);
  harness.open(1);
  assert.equal(harness.start('a'), '-17 none');
});

test('a lockspace that the lock manager would not leave stays, and can be stopped again', () => {
  const harness = new Harness();
  harness.open(1);
  harness.start('a');
  harness.fake.leaveResult = -16;
  assert.equal(harness.ask(1, 'request="stop_vg" vg_name="a"'), '-16 none');
  harness.fake.leaveResult = 0;
  assert.equal(harness.ask(1, 'request="stop_vg" vg_name="a"'), '0 none');
  assert.equal(harness.state.lockspaces.length, 0);
});

test('without sanlock no lock is granted, and held locks can be released', () => {
  const harness = new Harness();
  harness.open(1);
  harness.start('a');
  assert.equal(harness.ask(1, `request="lock_lv" mode="sh" ${LV}`), '0 none');
  harness.post({ kind: 'sessionLost', session: harness.state.lockspaces[0]?.id ?? 0 });
  assert.equal(harness.ask(1, 'request="lock_vg" mode="sh" vg_name="a"'), '-221 none');
  assert.equal(harness.ask(1, `request="lock_lv" mode="un" ${LV}`), '0 none');
  assert.equal(harness.ask(1, 'request="stop_vg" vg_name="a"'), '0 none');
});

test('lock managers that are not built in are refused by name', () => {
  const harness = new Harness();
  harness.open(1);
  const request = 'request="start_vg" vg_name="d" vg_lock_type="dlm" vg_lock_args="1.0.0:c"';
  assert.equal(harness.ask(1, request), '-93 none');
  assert.equal(harness.ask(1, 'request="init_vg" vg_name="d" vg_lock_type="idm"'), '-93 none');
});

test('drop_vg of an unknown VG releases the leases that sanlock keeps of it', () => {
  const harness = new Harness();
  harness.open(1);
  assert.equal(harness.ask(1, 'request="drop_vg" vg_name="a"'), '-210 NO_LOCKSPACES,NO_GL_LS,');
  harness.fake.kept.add('a');
  assert.equal(harness.ask(1, 'request="drop_vg" vg_name="a"'), '0 none');
  assert.deepEqual(harness.fake.did, ['release kept a', 'release kept a']);
});
