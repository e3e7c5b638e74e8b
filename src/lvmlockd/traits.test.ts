import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TRAITS } from './managers/traits.ts';
import { Harness } from './testing/harness.ts';

const LV = 'vg_name="a" lv_uuid="lv" lv_lock_args="1.0.0:70254592"';
const TYPE = 'vg_lock_type="sanlock" vg_lock_args="1.0.0:lvmlock"';
const FOUND = { vgName: 'a', vgUuid: '', vgLockArgs: '1.0.0:lvmlock', hostId: 7 };

function started(traits: Harness['fake']['traits']): Harness {
  const harness = new Harness({ traits });
  harness.open(1);
  assert.equal(harness.start('a'), '0 none');
  harness.fake.did.length = 0;
  return harness;
}

test('without leases of LVs, requests about them succeed and do nothing', () => {
  const harness = started(TRAITS.dlm);
  assert.equal(harness.ask(1, `request="init_lv" ${LV} ${TYPE}`), '0 none');
  assert.equal(harness.ask(1, 'request="find_free_lock" vg_name="a"'), '0 none');
  assert.equal(harness.ask(1, `request="free_lv" ${LV}`), '0 none');
  assert.deepEqual(harness.fake.did, []);
});

test('a global lock that lives in no VG is not moved between VGs', () => {
  for (const traits of [TRAITS.dlm, TRAITS.idm]) {
    const harness = started(traits);
    assert.equal(harness.ask(1, 'request="enable_gl" vg_name="a"'), '-22 none');
    assert.equal(harness.ask(1, 'request="disable_gl" vg_name="a"'), '-22 none');
  }
});

test('a lock type whose VGs cannot be renamed is refused, built in or not', () => {
  const harness = started(TRAITS.sanlock);
  const rename = (type: string) =>
    harness.ask(1, `request="rename_vg_final" vg_name="b" vg_lock_type="${type}"`);
  assert.equal(rename('idm'), '-22 none');
  assert.equal(rename('dlm'), '-93 none');
  assert.equal(rename('sanlock'), '0 none');
  assert.deepEqual(harness.fake.did, ['renameVg b']);
});

test('lockspaces are adopted where locks outlive lvmlockd', () => {
  for (const [traits, adopted] of [
    [TRAITS.dlm, 1],
    [TRAITS.idm, 0],
  ] as const) {
    const harness = new Harness({ traits, found: [FOUND] });
    assert.equal(harness.state.lockspaces.length, adopted);
  }
});

test('a SIGTERM is an order where no lock manager sends one', () => {
  const harness = started(TRAITS.dlm);
  harness.fake.dying = ['lvm_a'];
  harness.post({ kind: 'terminate', signal: 'SIGTERM' });
  assert.equal(harness.ended, 0);
});

test('an LV is refreshed on other hosts by a lock manager that reaches them', () => {
  const ask = 'request="refresh_lv" path="/dev/a/lv"';
  const harness = started(TRAITS.dlm);
  assert.equal(harness.ask(1, ask), '0 none');
  assert.deepEqual(harness.fake.did, ['refresh /dev/a/lv']);
  const other = started(TRAITS.sanlock);
  assert.equal(other.ask(1, ask), '0 none');
  assert.deepEqual(other.fake.did, []);
});
