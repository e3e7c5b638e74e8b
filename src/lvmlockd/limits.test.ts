import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Harness } from './testing/harness.ts';

const LIMITS = { tasks: 20, resources: 50, lockspaces: 7 };

function lockLv(
  harness: Harness,
  clientId: number,
  lv: string,
  mode = 'ex',
  opts = 'none',
): string {
  const of = `vg_name="a" lv_uuid="${lv}" lv_lock_args="1.0.0:70254592"`;
  return harness.ask(clientId, `request="lock_lv" mode="${mode}" opts="${opts}" ${of}`);
}

test('requests beyond the limit of procedures are refused, those that release are served', () => {
  const harness = new Harness({ limits: LIMITS });
  harness.open(1);
  harness.start('a');
  assert.equal(lockLv(harness, 1, 'held'), '0 none');
  harness.holdBack = true;
  for (let n = 0; n < LIMITS.tasks; n++) {
    harness.open(n + 2);
    assert.equal(lockLv(harness, n + 2, `lv${n}`), 'none yet');
  }
  const late = LIMITS.tasks + 2;
  harness.open(late);
  assert.equal(lockLv(harness, late, 'late'), '-12 none');
  assert.equal(harness.ask(late, 'request="hello"').startsWith('-12'), false);
  const of = 'vg_name="b" vg_lock_type="sanlock" vg_lock_args="lvmlock"';
  assert.equal(harness.ask(late, `request="init_vg" ${of}`), '-12 none');
  assert.equal(lockLv(harness, 1, 'held', 'un'), 'none yet');
  harness.holdBack = false;
  harness.finish();
  assert.ok(!harness.fake.holding.has('a/held'));
  assert.equal(lockLv(harness, late, 'late'), '0 none');
});

test('unused LVs are forgotten; when all are in use, a request is refused', () => {
  const harness = new Harness({ limits: LIMITS });
  harness.open(1);
  harness.start('a');
  const resources = () => harness.state.lockspaces[0]?.resources ?? [];
  const usedBefore = resources().length;
  for (let n = 0; n < LIMITS.resources + 5; n++) {
    assert.match(lockLv(harness, 1, `lv${n}`, 'un', 'persistent'), /^-2 /);
  }
  assert.deepEqual(
    resources().map(({ ref }) => ref.name),
    ['VGLK'],
  );
  for (let n = 0; n < LIMITS.resources - usedBefore; n++) {
    assert.equal(lockLv(harness, 1, `lv${n}`, 'ex', 'persistent'), '0 none');
  }
  assert.equal(lockLv(harness, 1, 'one more', 'ex', 'persistent'), '-12 none');
  assert.equal(harness.ask(1, 'request="lock_gl" mode="sh"'), '0 none');
  for (const name of ['lv7', 'lv8']) {
    assert.equal(lockLv(harness, 1, name, 'un', 'persistent'), '0 none');
  }
  assert.equal(lockLv(harness, 1, 'one more', 'ex', 'persistent'), '0 none');
});

test('no more lockspaces are started than sanlock can list', () => {
  const harness = new Harness({ limits: LIMITS });
  harness.open(1);
  for (let n = 0; n < LIMITS.lockspaces; n++) assert.equal(harness.start(`vg${n}`), '0 none');
  assert.equal(harness.start('more'), '-12 none');
});
