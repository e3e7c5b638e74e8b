import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Harness } from './testing/harness.ts';

const GIVEN = '1.0.0:70254592';

test('a VG becomes shared: each search begins behind the last lease of that command', () => {
  const harness = new Harness();
  harness.open(1);
  harness.open(2);
  const init = (client: number, vg: string, more = '') => {
    const of = `vg_name="${vg}" vg_lock_type="sanlock" vg_lock_args="1.0.0:lvmlock"`;
    assert.equal(harness.ask(client, `request="init_lv" ${of} lv_uuid="lv" ${more}`), '0 none');
    return harness.fake.behind.at(-1);
  };
  assert.equal(init(1, 'a'), '');
  assert.equal(init(1, 'a'), GIVEN);
  assert.equal(init(1, 'b'), '', 'another VG');
  assert.equal(init(2, 'b'), '', 'another command');
  assert.equal(init(2, 'b', 'prev_lv_args="1.0.0:80740352"'), '1.0.0:80740352', 'as lvm says');
  assert.equal(harness.start('b'), '0 none');
  assert.equal(init(2, 'b'), '', 'a VG that is started remembers by itself');
});
