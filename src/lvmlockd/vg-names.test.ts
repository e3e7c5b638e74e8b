import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Harness } from './testing/harness.ts';

const SANLOCK = 'vg_lock_type="sanlock"';

function init(harness: Harness, vgName: string): string {
  const args = `${SANLOCK} vg_lock_args="lvmlock"`;
  return harness.ask(1, `request="init_vg" vg_name="${vgName}" ${args}`);
}

test('a name that no lockspace can have is refused before anything is written', () => {
  const harness = new Harness();
  harness.open(1);
  assert.equal(init(harness, 'w'.repeat(60)), '0 none');
  assert.deepEqual(harness.fake.did, [`initVg ${'w'.repeat(60)}`]);
  for (const bytes of [61, 64, 100, 127]) {
    harness.logged.length = 0;
    const vgName = 'w'.repeat(bytes);
    assert.equal(init(harness, vgName), '-212 none');
    assert.deepEqual(harness.logged, ['vg.nameTooLong']);
    const rename = `request="rename_vg_final" vg_name="${vgName}" ${SANLOCK}`;
    assert.equal(harness.ask(1, `${rename} vg_lock_args="1.0.0:lvmlock"`), '-212 none');
    assert.equal(harness.start(vgName), '-22 none');
  }
  assert.equal(harness.fake.did.length, 1);
});

test('a VG that sanlock cannot distinguish from a running one is refused, and the log says why', () => {
  const [first, second] = [`${'v'.repeat(44)}A`, `${'v'.repeat(44)}B`];
  const harness = new Harness();
  harness.open(1);
  assert.equal(harness.start(first), '0 none');
  assert.equal(init(harness, second), '-17 none');
  assert.ok(harness.logged.includes('vg.nameClash'));
  harness.logged.length = 0;
  assert.equal(harness.start(second), '-212 none', '-17 would mean that it runs');
  assert.deepEqual(harness.logged, ['vg.nameClash']);
  harness.logged.length = 0;
  assert.equal(init(harness, first), '-17 none');
  assert.deepEqual(harness.logged, [], 'lvm says it all: a lockspace with the same name exists');
  assert.equal(harness.state.lockspaces.length, 1);
});
