import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Unread } from '../snapshot/snapshot.ts';
import { afterSteps } from './after-steps.ts';
import { HEALTHY } from './testing/healthy-facts.ts';

const seeing = (...unread: readonly Unread[]) => ({
  ...HEALTHY,
  snapshot: { ...HEALTHY.snapshot, unread },
});

test('what the look before the steps did not see is told after them, once', () => {
  const lvm = { what: 'lvm', of: '', why: 'vgs did not end within 10 s' } as const;
  const lease = { what: 'lease', of: 'vg1', why: 'its slots were not read in time' } as const;
  const told = (before: readonly Unread[], after: readonly Unread[]) =>
    afterSteps(seeing(...before), seeing(...after)).snapshot.unread;
  assert.deepEqual(told([], []), []);
  assert.deepEqual(told([], [lvm]), [lvm]);
  assert.deepEqual(told([lvm], [lvm]), [lvm]);
  const why = 'before the steps, vgs did not end within 10 s: ask again';
  assert.deepEqual(told([lvm], [lease]), [lease, { ...lvm, why }]);
});
