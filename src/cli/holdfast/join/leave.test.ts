import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startedVgs } from './leave.ts';

test('what a client of sanlock calls its lockspace is no option of lvm', () => {
  const names = ['lvm_vg1', 'lvm_--config', 'lvm_-y', 'lvm_', 'LS1', 'lvm_a b', 'lvm_my-vg'];
  const lockspaces = names.map((name) => ({ name, hostId: 1, path: '/dev/x', isJoined: true }));
  const sanlock = { hostName: 'a', usesWatchdog: true, isHolding: false, lockspaces };
  assert.deepEqual(startedVgs({ sanlock }), ['vg1', 'my-vg']);
});
