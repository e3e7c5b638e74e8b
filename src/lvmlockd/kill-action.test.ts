import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KillAction } from './state.ts';
import { Harness } from './testing/harness.ts';

const VG = 'v'.repeat(32);
const LV = 'a'.repeat(32);
const CUT_OFF = 'request="kill_vg" opts="cut_off" vg_name="a"';
const LOCK = `request="lock_lv" mode="ex" opts="persistent" vg_name="a" lv_uuid="${LV}" lv_lock_args="1.0.0:70254592"`;

/** A VG with one LV, locked and active. The command that did so has ended. */
function started(killAction: KillAction = 'error'): Harness {
  const harness = new Harness({ killAction });
  harness.open(1);
  harness.start('a');
  harness.open(2);
  harness.ask(2, LOCK);
  harness.post({ kind: 'clientClosed', clientId: 2 });
  harness.mapper.add({ name: 'a-lvmlock', uuid: `LVM-${VG}${'k'.repeat(32)}` });
  harness.mapper.add({ name: 'a-lv', uuid: `LVM-${VG}${LV}` });
  harness.fake.activeLvs = [LV];
  harness.logged.length = 0;
  return harness;
}

test('LVs are cut off, then the locks are dropped, and the VG returns by itself', () => {
  const harness = started();
  assert.equal(harness.ask(1, CUT_OFF), '0 LOCKS_DROPPED,');
  assert.deepEqual(harness.mapper.did, ['error a-lv']);
  assert.equal(harness.fake.did.at(-1), 'leave a held 0');
  assert.deepEqual(harness.logged, [
    'lockspace.killed',
    'lvs.cutOff',
    'killAction.done',
    'lockspace.stopping',
    'lockspace.gone',
    'lockspace.returns',
  ]);
  harness.passTo(60_000);
  assert.deepEqual(harness.logged.slice(6), [
    'lvs.stillCutOff',
    'lockspace.returned',
    'global.holderFound',
    'lock.retaken',
    'lockspace.joined',
  ]);
  assert.ok(harness.fake.holding.has(`a/${LV}`), 'so that lvm may load its table again');
});

test('an LV that another host has by then is reported, and stays without a lock', () => {
  const harness = started();
  harness.ask(1, CUT_OFF);
  harness.fake.locks = [{ result: -11, lmResult: -243, retry: false, version: 0, glEnabled: null }];
  harness.passTo(60_000);
  assert.ok(harness.logged.includes('lv.activeUnlocked'));
  assert.equal(harness.fake.holding.size, 0);
});

test('an LV that is still in touch with its disk keeps its lock; the order is refused after 30 s', () => {
  const harness = started();
  const [, lv] = harness.mapper.devices ?? [];
  assert.ok(lv);
  lv.swap = null;
  assert.equal(harness.ask(1, CUT_OFF), 'none yet');
  assert.ok(harness.logged.includes('killAction.failed'));
  assert.equal(harness.fake.did.includes('leave a held 0'), false);
  harness.passTo(20_000);
  assert.equal(harness.replies.length, 0);
  harness.passTo(40_000);
  assert.equal(harness.lastReply(), '-16 none');
  assert.equal(harness.logged.filter((event) => event === 'killAction.failed').length, 1);
  lv.swap = 0; //  its I/O has ended at last
  harness.passTo(50_000);
  assert.ok(harness.logged.includes('killAction.done'), 'it was tried again');
  assert.ok(harness.fake.did.includes('leave a held 0'));
});

test('a command that may activate an LV, or change the VG, is waited for', () => {
  for (const request of [
    LOCK.replace(LV, 'b'.repeat(32)),
    'request="lock_vg" mode="ex" vg_name="a"',
  ]) {
    const harness = started();
    harness.open(3);
    harness.ask(3, request);
    assert.equal(harness.ask(1, CUT_OFF), 'none yet');
    assert.ok(harness.logged.includes('killAction.waits'));
    harness.mapper.add({ name: 'a-late', uuid: `LVM-${VG}${'b'.repeat(32)}` });
    harness.post({ kind: 'clientClosed', clientId: 3 });
    harness.passTo(5000);
    assert.equal(harness.lastReply(), '0 LOCKS_DROPPED,');
    assert.deepEqual(harness.mapper.did, ['error a-lv', 'error a-late']);
  }
});

test('a command that only reads the VG is not waited for', () => {
  const harness = started();
  harness.open(3);
  harness.ask(3, 'request="lock_vg" mode="sh" vg_name="a"');
  assert.equal(harness.ask(1, CUT_OFF), '0 LOCKS_DROPPED,');
});

test('without device-mapper, or when so ordered, only the VG is marked', () => {
  const blind = started();
  blind.mapper.devices = null;
  assert.equal(blind.ask(1, CUT_OFF), '0 none');
  assert.deepEqual(blind.logged, ['lockspace.killed', 'killAction.notPossible']);
  const idle = started('none');
  assert.equal(idle.ask(1, CUT_OFF), '0 none');
  assert.deepEqual(idle.mapper.did, []);
  const original = started();
  assert.equal(original.ask(1, 'request="kill_vg" vg_name="a"'), '0 none');
  assert.deepEqual(original.mapper.did, [], 'lvmlockctl of lvm2 runs its own command');
  for (const harness of [blind, idle, original]) {
    assert.equal(harness.fake.did.includes('leave a held 0'), false);
  }
});

test('who drops the VG meanwhile is obeyed, and the order is answered', () => {
  const harness = started();
  const [, lv] = harness.mapper.devices ?? [];
  assert.ok(lv);
  lv.swap = null;
  harness.ask(1, CUT_OFF);
  harness.open(3);
  assert.equal(harness.ask(3, 'request="drop_vg" vg_name="a"'), '0 none');
  harness.passTo(20_000);
  assert.equal(harness.answered.at(-1), 1);
  assert.equal(harness.lastReply(), '0 none');
});

test('a second order waits for the first one', () => {
  const harness = started();
  const [, lv] = harness.mapper.devices ?? [];
  assert.ok(lv);
  lv.swap = null;
  harness.ask(1, CUT_OFF);
  harness.open(3);
  harness.ask(3, CUT_OFF);
  lv.swap = 0;
  harness.replies.length = 0;
  harness.passTo(20_000);
  assert.deepEqual(harness.answered.slice(-2), [1, 3]);
});

test('the plan is told before, and of a VG that has not returned yet; nothing is done', () => {
  const harness = started();
  harness.ask(1, 'request="kill_plan" vg_name="a"');
  assert.match(harness.replies.at(-1) ?? '', /line0 = "a-lv: linear, open 1: error table/);
  assert.deepEqual(harness.mapper.did, []);
  harness.ask(1, CUT_OFF);
  harness.ask(1, 'request="kill_plan" vg_name="a"');
  assert.match(harness.replies.at(-1) ?? '', /line0 = "a-lv: has an error table already"/);
  harness.ask(1, 'request="kill_plan" vg_name="b"');
  assert.match(harness.replies.at(-1) ?? '', /op_result = -210/);
  const idle = started('none');
  idle.ask(1, 'request="kill_plan" vg_name="a"');
  assert.match(idle.replies.at(-1) ?? '', /line0 = "nothing: /);
});

test('a start that fails removes a device of leases whose disk is gone', () => {
  const harness = new Harness();
  harness.open(1);
  const lease = harness.mapper.add({ name: 'a-lvmlock', uuid: `LVM-${VG}${'k'.repeat(32)}` });
  Object.assign(lease, { gone: ['8:16'], openCount: 0 });
  harness.fake.prepareResult = -212;
  assert.equal(harness.start('a'), '-212 none');
  assert.deepEqual(harness.mapper.did, [`remove LVM-${VG}${'k'.repeat(32)}`]);
  assert.ok(harness.logged.includes('leaseDevice.removed'));
});
