import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Harness } from './testing/harness.ts';

function started(): Harness {
  const harness = new Harness();
  harness.open(1);
  harness.start('a');
  return harness;
}

function lockLv(harness: Harness, n: number): void {
  const lv = `vg_name="a" lv_uuid="lv${n}" lv_lock_args="1.0.0:${(67 + n) * 1048576}"`;
  const answer = harness.ask(1, `request="lock_lv" mode="ex" opts="persistent" ${lv}`);
  assert.equal(answer, '0 none');
}

/** The LVs that the adopt file names. */
function written(harness: Harness): number {
  return harness.adoptFile?.match(/^LV:/gm)?.length ?? 0;
}

test('each of a few LVs is written down at once', () => {
  const harness = started();
  for (let n = 1; n <= 10; n++) {
    lockLv(harness, n);
    assert.equal(written(harness), n);
  }
});

test('of many LVs that are locked in a row those of one moment are written together', () => {
  const harness = started();
  let writes = 0;
  let before = written(harness);
  for (let n = 1; n <= 300; n++) {
    lockLv(harness, n);
    if (written(harness) !== before) writes += 1;
    before = written(harness);
  }
  assert.ok(writes < 40, `${writes} times`);
  assert.ok(written(harness) < 300);
  harness.pass(100);
  assert.equal(written(harness), 300, 'the last ones after a moment');
});

test('a VG that is stopped takes the locks that waited with it', () => {
  const harness = started();
  harness.start('b');
  for (let n = 1; n <= 30; n++) lockLv(harness, n);
  assert.ok(written(harness) < 30);
  harness.ask(1, 'request="stop_vg" vg_name="b"');
  assert.equal(written(harness), 30);
});
