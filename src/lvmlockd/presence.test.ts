import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextTickMs } from './daemon.ts';
import { watchOf } from './managers/manager.ts';
import { Harness } from './testing/harness.ts';

const LV = 'vg_name="a" lv_uuid="u1-11" lv_lock_args="1.0.0:70254592"';
const LOCK_LV = `request="lock_lv" mode="ex" opts="persistent" ${LV}`;
const UNLOCK_LV = `request="lock_lv" mode="un" opts="persistent" ${LV}`;

function running(active: readonly string[] | null = null): Harness {
  const harness = new Harness();
  harness.fake.activeLvs = active;
  harness.open(1);
  harness.start('a');
  return harness;
}

function phaseOf(harness: Harness): string {
  return harness.state.lockspaces[0]?.phase.kind ?? 'gone';
}

/** The lock manager closes the channel that watches the lockspace. */
function endWatch(harness: Harness): void {
  const id = harness.state.lockspaces[0]?.id ?? 0;
  harness.post({ kind: 'sessionLost', session: watchOf(id) });
}

function pass(harness: Harness): void {
  const dueMs = nextTickMs(harness.state);
  assert.ok(dueMs !== null);
  harness.passTo(dueMs);
}

test('a lockspace that is gone is noticed at once, left, and joined again within seconds', () => {
  const harness = running();
  const sinceMs = harness.state.nowMs;
  harness.fake.watched = 'absent';
  endWatch(harness);
  assert.ok(harness.logged.includes('lockspace.missing'));
  assert.ok(!harness.logged.includes('lock.unprotected'));
  harness.fake.watched = 'watching';
  pass(harness);
  assert.equal(phaseOf(harness), 'gone');
  pass(harness);
  assert.equal(phaseOf(harness), 'running');
  assert.ok(harness.logged.includes('lockspace.returned'));
  assert.ok(harness.state.nowMs - sinceMs < 2000);
  assert.equal(harness.ask(1, LOCK_LV), '0 none');
});

test('with locks held it is told what is without protection, and left when nothing is used', () => {
  const harness = running();
  harness.ask(1, LOCK_LV);
  harness.fake.watched = 'absent';
  endWatch(harness);
  assert.ok(harness.logged.includes('lockspace.missing'));
  assert.ok(harness.logged.includes('lock.unprotected'));
  pass(harness);
  assert.equal(phaseOf(harness), 'detached');
  assert.equal(harness.ask(1, LOCK_LV), '-221 none');
  harness.fake.watched = 'watching';
  harness.ask(1, UNLOCK_LV);
  pass(harness);
  pass(harness);
  assert.equal(phaseOf(harness), 'running');
});

test('an LV that is active keeps it from being joined again', () => {
  const harness = running(['u111']);
  harness.fake.watched = 'absent';
  endWatch(harness);
  pass(harness);
  assert.equal(phaseOf(harness), 'detached');
});

test('a channel that ended for another reason is opened again', () => {
  const harness = running();
  endWatch(harness);
  assert.equal(phaseOf(harness), 'running');
  assert.ok(!harness.logged.includes('lockspace.missing'));
  assert.equal(nextTickMs(harness.state), null);
});

test('without a channel it is looked for again every ten seconds', () => {
  const harness = running();
  harness.fake.watched = 'unwatched';
  endWatch(harness);
  const sinceMs = harness.state.nowMs;
  pass(harness);
  pass(harness);
  assert.equal(phaseOf(harness), 'running');
  harness.fake.watched = 'absent';
  pass(harness);
  assert.ok(harness.state.nowMs - sinceMs <= 30_010);
  assert.equal(phaseOf(harness), 'detached');
});

test('an answer about the lockspace that comes after the end of sanlock counts no more', () => {
  const harness = running();
  harness.holdBack = true;
  harness.fake.watched = 'absent';
  endWatch(harness);
  harness.fake.watched = 'watching';
  harness.fake.reattached = [{ found: 'attached', lost: [] }];
  harness.post({ kind: 'sessionLost', session: harness.state.lockspaces[0]?.id ?? 0 });
  harness.finish();
  assert.equal(phaseOf(harness), 'running');
  assert.ok(!harness.logged.includes('lockspace.missing'));
});

test('a start of a VG that sanlock does not have joins it, and is no hollow success', () => {
  const harness = running();
  assert.equal(harness.start('a'), '-17 none');
  harness.fake.presence = 'unknown';
  assert.equal(harness.start('a'), '-17 none', 'sanlock does not answer');
  harness.fake.presence = 'absent';
  assert.equal(harness.start('a'), '0 none');
  assert.equal(harness.ask(1, 'request="start_wait"'), '0 none');
  assert.ok(harness.fake.did.includes('leave a held 0'));
  assert.equal(phaseOf(harness), 'running');
});

test('with locks held such a start is refused, and says why', () => {
  const harness = running();
  harness.ask(1, LOCK_LV);
  harness.fake.presence = 'absent';
  assert.equal(harness.start('a'), '-221 none');
  assert.ok(harness.logged.includes('lock.unprotected'));
  assert.ok(harness.logged.includes('lockspace.stillUsed'));
});
