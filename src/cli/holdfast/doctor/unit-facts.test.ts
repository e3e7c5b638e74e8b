import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unitsIn } from './unit-facts.ts';

test('units as systemctl shows them', () => {
  const text = [
    'Result=success\nId=wdmd.service\nLoadState=loaded\nActiveState=active\nUnitFileState=enabled\n',
    'Result=exit-code\nId=lvmlocks.service\nLoadState=loaded\nActiveState=failed\nUnitFileState=disabled\n',
    'Result=success\nId=sanlock.service\nLoadState=masked\nActiveState=inactive\nUnitFileState=masked\n',
    'Result=success\nId=lvmlockd.service\nLoadState=not-found\nActiveState=activating\nUnitFileState=\n',
  ].join('\n');
  assert.deepEqual(unitsIn(text), [
    { name: 'wdmd.service', load: 'loaded', isEnabled: true, active: 'active', result: 'success' },
    {
      ...{ name: 'lvmlocks.service', load: 'loaded', isEnabled: false },
      ...{ active: 'failed', result: 'exit-code' },
    },
    {
      ...{ name: 'sanlock.service', load: 'masked', isEnabled: false },
      ...{ active: 'inactive', result: 'success' },
    },
    {
      ...{ name: 'lvmlockd.service', load: 'absent', isEnabled: false },
      ...{ active: 'changing', result: 'success' },
    },
  ]);
});
