import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextTickMs } from './daemon.ts';
import type { HeldMode } from './managers/manager.ts';
import { both } from './managers/manager.ts';
import { Harness } from './testing/harness.ts';

const LV = 'vg_name="a" lv_uuid="lv0" lv_lock_args="1.0.0:70254592"';
const LOCK_LV = `request="lock_lv" mode="ex" opts="persistent" ${LV}`;
const UNLOCK_LV = `request="lock_lv" mode="un" opts="persistent" ${LV}`;
const LOCK_VG = 'request="lock_vg" mode="ex" vg_name="a"';
const UNLOCK_VG = 'request="lock_vg" mode="un" vg_name="a"';
const CUT = { ...both(-221), interrupted: true } as const;
const ATTACHED = { found: 'attached', lost: [] } as const;
const UNREACHABLE = { found: 'unreachable', lost: [] } as const;

/** Client 1 holds lv0, client 2 is a command that holds the VG lock. */
function holding(): Harness {
  const harness = new Harness();
  for (const client of [1, 2, 3]) harness.open(client);
  harness.start('a');
  assert.equal(harness.ask(1, LOCK_LV), '0 none');
  assert.equal(harness.ask(2, LOCK_VG), '0 none');
  harness.fake.did.length = 0;
  return harness;
}

function loseSanlock(harness: Harness): void {
  harness.post({ kind: 'sessionLost', session: harness.state.lockspaces[0]?.id ?? 0 });
}

function tick(harness: Harness): void {
  const dueMs = nextTickMs(harness.state);
  assert.ok(dueMs !== null);
  harness.passTo(dueMs);
}

/** An LV without a lock is not kept. */
function modeOf(harness: Harness, name: string): string {
  const resources = harness.state.lockspaces[0]?.resources ?? [];
  return resources.find(({ ref }) => ref.name === name)?.mode ?? 'un';
}

test('the locks held are attached to the next sanlock, and commands go on', () => {
  const harness = holding();
  harness.fake.reattached = [ATTACHED];
  loseSanlock(harness);
  assert.deepEqual(harness.fake.did, ['reattach a: VGLK ex, lv0 ex']);
  assert.equal(harness.ask(2, UNLOCK_VG), '0 none');
  assert.equal(harness.ask(1, UNLOCK_LV), '0 none');
  assert.ok(!harness.logged.includes('manager.lost'));
  assert.equal(harness.state.lostSpaces.size, 0);
});

test('requests wait until the next sanlock is there, and are served in their order', () => {
  const harness = holding();
  harness.fake.reattached = [UNREACHABLE, UNREACHABLE, ATTACHED];
  loseSanlock(harness);
  assert.equal(harness.ask(3, LOCK_VG), 'none yet');
  assert.equal(harness.ask(1, 'request="find_free_lock" vg_name="a"'), 'none yet');
  assert.equal(harness.ask(2, UNLOCK_VG), 'none yet');
  tick(harness);
  assert.equal(harness.lastReply(), 'none yet');
  tick(harness);
  assert.deepEqual(harness.answered.slice(-3), [1, 2, 3], 'client 3 has the lock of client 2');
  assert.ok(harness.replies.every((text) => text.includes('op_result = 0')));
});

test('a sanlock that does not come back is waited for no longer than patience lasts', () => {
  const harness = holding();
  harness.fake.reattached = Array.from({ length: 100 }, () => UNREACHABLE);
  const sinceMs = harness.state.nowMs;
  loseSanlock(harness);
  assert.equal(harness.ask(3, LOCK_VG), 'none yet');
  while (harness.lastReply() === 'none yet') tick(harness);
  assert.equal(harness.lastReply(), '-221 none');
  const waitedMs = harness.state.nowMs - sinceMs;
  assert.ok(waitedMs >= 80_000 && waitedMs < 81_000, `waited ${waitedMs} ms`);
  assert.ok(harness.fake.did.length < 50, 'the attempts become rarer');
  assert.ok(harness.logged.includes('manager.lost'));
  assert.equal(harness.ask(1, UNLOCK_LV), '0 none');
});

test('a sanlock that does not know the lockspace has nothing to attach to', () => {
  const harness = holding();
  loseSanlock(harness);
  assert.ok(harness.logged.includes('lockspace.missing'));
  assert.ok(harness.logged.includes('lock.unprotected'));
  assert.equal(harness.ask(3, LOCK_VG), '-221 none');
  assert.equal(harness.ask(1, 'request="drop_vg" vg_name="a"'), '0 none');
});

test('a lock that sanlock died over is asked for again', () => {
  const harness = holding();
  harness.fake.locks = [{ ...CUT, retry: false, version: 0, glEnabled: null }];
  harness.fake.reattached = [ATTACHED];
  harness.holdBack = true;
  harness.ask(3, `request="lock_lv" mode="sh" opts="persistent" ${LV.replace('lv0', 'lv1')}`);
  harness.finish(1);
  assert.equal(harness.lastReply(), 'none yet');
  harness.finish();
  assert.equal(harness.lastReply(), '0 none');
  assert.deepEqual(harness.fake.did, ['lock lv1 sh', 'reattach a: VGLK ex, lv0 ex', 'lock lv1 sh']);
});

test('a release that sanlock died over is done again, and its lock is not attached before', () => {
  const harness = holding();
  harness.fake.unlocks = [{ result: 0, lmResult: -221, interrupted: true }];
  harness.fake.reattached = [ATTACHED];
  assert.equal(harness.ask(1, UNLOCK_LV), '0 none');
  assert.deepEqual(harness.fake.did, ['unlock lv0', 'reattach a: VGLK ex', 'unlock lv0']);
  assert.equal(modeOf(harness, 'lv0'), 'un');
});

test('what ends while sanlock is away is released once it is back', () => {
  const harness = holding();
  harness.fake.reattached = [UNREACHABLE, ATTACHED];
  loseSanlock(harness);
  harness.ask(3, LOCK_VG);
  harness.post({ kind: 'clientClosed', clientId: 3 });
  harness.post({ kind: 'clientClosed', clientId: 2 });
  assert.equal(modeOf(harness, 'VGLK'), 'ex');
  tick(harness);
  assert.deepEqual(harness.fake.did.slice(-2), ['reattach a: lv0 ex', 'unlock VGLK']);
  assert.equal(modeOf(harness, 'VGLK'), 'un');
  assert.equal(harness.state.lockspaces[0]?.onHold.length, 0);
});

test('a lock that another host owns now is reported, and counts as held no longer', () => {
  const harness = holding();
  const resource = { scope: 'lv', name: 'lv0', lvLockArgs: '1.0.0:70254592' } as const;
  const mode: HeldMode = 'ex';
  const lost = [{ lock: { resource, mode, newVersion: 0 }, owner: 2 }];
  harness.fake.reattached = [{ found: 'attached', lost }];
  loseSanlock(harness);
  assert.ok(harness.logged.includes('lock.lost'));
  assert.equal(modeOf(harness, 'lv0'), 'un');
  assert.equal(modeOf(harness, 'VGLK'), 'ex');
  assert.equal(harness.ask(1, UNLOCK_LV), '-2 none');
});

test('a conversion that sanlock died over is done again, unless its lock was lost', () => {
  const convertLv = LOCK_LV.replace('"ex"', '"sh"');
  const resource = { scope: 'lv', name: 'lv0', lvLockArgs: '1.0.0:70254592' } as const;
  const lock = { resource, mode: 'ex', newVersion: 0 } as const;
  const kept = holding();
  kept.fake.converts = [CUT];
  kept.fake.reattached = [ATTACHED];
  assert.equal(kept.ask(1, convertLv), '0 none');
  const [first, , again] = kept.fake.did;
  assert.deepEqual([first, again], ['convert lv0 sh', 'convert lv0 sh']);
  assert.equal(modeOf(kept, 'lv0'), 'sh');
  const lost = holding();
  lost.fake.converts = [CUT];
  lost.fake.reattached = [{ found: 'attached', lost: [{ lock, owner: 2 }] }];
  assert.equal(lost.ask(1, convertLv), '-221 none');
  assert.equal(lost.fake.did.filter((call) => call.startsWith('convert')).length, 1);
  assert.equal(modeOf(lost, 'lv0'), 'un');
});

test('storage that fails while sanlock is away ends the waiting', () => {
  const harness = holding();
  harness.fake.reattached = [UNREACHABLE];
  loseSanlock(harness);
  assert.equal(harness.ask(3, LOCK_VG), 'none yet');
  assert.equal(harness.ask(1, 'request="kill_vg" vg_name="a"'), '0 none');
  assert.equal(harness.replies.length, 2);
  assert.match(harness.replies[0] ?? '', /op_result = -217/);
  assert.equal(harness.ask(1, UNLOCK_LV), '0 none');
});

test('a VG that is dropped is left when the attempt under way has ended', () => {
  const harness = holding();
  harness.holdBack = true;
  harness.fake.reattached = [ATTACHED];
  loseSanlock(harness);
  assert.equal(harness.ask(1, 'request="drop_vg" vg_name="a"'), 'none yet');
  assert.equal(harness.held.length, 1);
  harness.finish();
  assert.equal(harness.lastReply(), '0 none');
  assert.deepEqual(harness.fake.did, ['reattach a: VGLK ex, lv0 ex', 'leave a held 0']);
});

test('a session that breaks again before the attempt has ended is opened once more', () => {
  const harness = holding();
  harness.holdBack = true;
  harness.fake.reattached = [ATTACHED, ATTACHED];
  loseSanlock(harness);
  loseSanlock(harness);
  harness.finish();
  assert.equal(harness.state.lockspaces[0]?.phase.kind, 'reattaching');
  tick(harness);
  harness.finish();
  assert.equal(harness.state.lockspaces[0]?.phase.kind, 'running');
});
