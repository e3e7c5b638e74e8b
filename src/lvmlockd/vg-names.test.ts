import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bench } from './testing/daemon-bench.ts';

const SANLOCK = 'vg_lock_type="sanlock"';

function init(bench: Bench, vgName: string): string {
  const args = `${SANLOCK} vg_lock_args="lvmlock"`;
  return bench.ask(1, `request="init_vg" vg_name="${vgName}" ${args}`);
}

test('a name that no lockspace can have is refused before anything is written', () => {
  const bench = new Bench();
  bench.open(1);
  assert.equal(init(bench, 'w'.repeat(60)), '0 none');
  assert.deepEqual(bench.fake.did, [`initVg ${'w'.repeat(60)}`]);
  for (const bytes of [61, 64, 100, 127]) {
    bench.logged.length = 0;
    const vgName = 'w'.repeat(bytes);
    assert.equal(init(bench, vgName), '-212 none');
    assert.deepEqual(bench.logged, ['vg.nameTooLong']);
    const rename = `request="rename_vg_final" vg_name="${vgName}" ${SANLOCK}`;
    assert.equal(bench.ask(1, `${rename} vg_lock_args="1.0.0:lvmlock"`), '-212 none');
    assert.equal(bench.start(vgName), '-22 none');
  }
  assert.equal(bench.fake.did.length, 1);
});

test('a VG that sanlock cannot tell from a running one is refused, and the log says why', () => {
  const [first, second] = [`${'v'.repeat(44)}A`, `${'v'.repeat(44)}B`];
  const bench = new Bench();
  bench.open(1);
  assert.equal(bench.start(first), '0 none');
  assert.equal(init(bench, second), '-17 none');
  assert.ok(bench.logged.includes('vg.nameClash'));
  bench.logged.length = 0;
  assert.equal(bench.start(second), '-212 none', '-17 would mean that it runs');
  assert.deepEqual(bench.logged, ['vg.nameClash']);
  bench.logged.length = 0;
  assert.equal(init(bench, first), '-17 none');
  assert.deepEqual(bench.logged, [], 'lvm says it all: a lockspace with the same name exists');
  assert.equal(bench.state.lockspaces.length, 1);
});
