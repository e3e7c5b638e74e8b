import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readLvsReport } from './lvm-report.ts';

const row = (of: Record<string, string>) => ({
  ...{ vg_name: 'vg', vg_uuid: 'V', vg_lock_type: 'sanlock', vg_lock_args: '1.0.0:lvmlock' },
  ...{ lv_name: 'lv', lv_uuid: 'L', lv_lockargs: '1.0.0:70254592', lv_active: '', ...of },
});
const report = (...rows: unknown[]) => JSON.stringify({ report: [{ lv: rows }] });

test('LVs of VGs with a lock type', () => {
  const found = readLvsReport(
    report(
      row({ lv_active: 'active' }),
      row({ lv_name: '[lvmlock]', lv_lockargs: '', lv_active: 'unknown' }),
      row({ vg_name: 'local', vg_lock_type: '' }),
    ),
  );
  assert.ok(found.ok);
  assert.deepEqual(
    found.value.map(({ name, isActive, isHidden }) => [name, isActive, isHidden]),
    [
      ['lv', true, false],
      ['lvmlock', null, true],
    ],
  );
});

test('what lvs never prints is a sentence, or left out', () => {
  for (const text of ['', '{', '[]', '{"report":1}', 'null']) {
    assert.ok(!readLvsReport(text).ok, text);
  }
  const odd = readLvsReport(report(null, 7, { vg_lock_type: 3 }, row({ lv_name: '' })));
  assert.ok(odd.ok && odd.value.length === 1);
});
