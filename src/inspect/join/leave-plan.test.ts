import assert from 'node:assert/strict';
import { test } from 'node:test';
import { restoredConf, whyNotLeave } from './leave-plan.ts';
import { withLvmSetting } from './lvm-conf.ts';

const BEFORE = '# mine\nlocal {\n\t# host_id = 0\n}\n';
const JOINED = withLvmSetting(BEFORE, 'local/host_id', '7');
const NOW = JOINED.ok ? JOINED.value : '';

test('a configuration is put back only if nobody else has changed it since', () => {
  assert.deepEqual(restoredConf('lvmlocal', NOW, BEFORE), { kind: 'restore', text: BEFORE });
  assert.deepEqual(restoredConf('lvmlocal', BEFORE, BEFORE), { kind: 'asBefore' });
  assert.deepEqual(restoredConf('lvmlocal', `${NOW}# more\n`, BEFORE), { kind: 'changedSince' });
  assert.deepEqual(restoredConf('lvmlocal', '# none\n', BEFORE), { kind: 'changedSince' });
});

test('a file that join made is removed; one that was there without it stays', () => {
  const made = withLvmSetting('', 'local/host_id', '7');
  assert.deepEqual(restoredConf('lvmlocal', made.ok ? made.value : '', null), { kind: 'remove' });
  assert.deepEqual(restoredConf('lvmlocal', NOW, null), { kind: 'asBefore' });
  assert.deepEqual(restoredConf('sanlock', 'our_host_name = a.1\n', null), { kind: 'remove' });
  assert.deepEqual(restoredConf('sanlock', 'x = 1\nour_host_name = a\n', null), {
    kind: 'asBefore',
  });
});

test('what is in use is named, with who uses it and what to do', () => {
  const lv = { vg: 'v', name: 'a', lock: 'ex', isActive: true, users: ['qemu (process 7: v-a)'] };
  assert.deepEqual(whyNotLeave([lv, { ...lv, name: 'b', isActive: false, users: [] }]), [
    'LV v/a is active here, used by qemu (process 7: v-a): end these, then lvchange -an v/a',
    'LV v/b is locked (ex) here: lvchange -an v/b',
  ]);
});
