import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../../base/units.ts';
import { convertPlan } from './convert-plan.ts';
import type { HostReadiness, TargetType, VgFacts } from './preflight.ts';

const LOCAL: VgFacts = {
  ...{ name: 'v', kind: 'local', lockType: '', extentBytes: 4 * MIB, freeExtents: 100 },
  isLockspaceFreed: false,
  ...{ isExported: false, systemId: '', missingPvs: 0, lvs: [], inUse: [], pvs: [] },
};
const SHARED: VgFacts = { ...LOCAL, kind: 'shared', lockType: 'sanlock' };
const HOST: HostReadiness = {
  ...{ lvmVersion: [2, 3, 16], hostId: 1, usesLvmlockd: true, isSanlockRunning: true },
  ...{ isLvmlockdRunning: true, usesWatchdog: true, isStarted: false, hasGlobalLock: null },
  ...{ otherVgs: [], otherHosts: [] },
};
const IN_USE = [{ vg: 'v', name: 'lv', lock: 'ex', isActive: true, users: [] }];

function said(
  vg: VgFacts,
  host: HostReadiness,
  to: TargetType = 'sanlock',
  isInactiveElsewhere = true,
): string {
  const plan = convertPlan(vg, host, { to, isInactiveElsewhere });
  if (!plan.ok) return plan.error.join('; ');
  return plan.value.steps.map(({ kind }) => kind).join(' ');
}

test('from each state that an interruption may leave, the rest of the way', () => {
  const clustered: VgFacts = { ...LOCAL, kind: 'clustered' };
  assert.equal(said(clustered, HOST), 'clearClustered checkAgain makeShared start haveGlobalLock');
  assert.equal(said(LOCAL, HOST), 'makeShared start haveGlobalLock');
  const lvmlock = { name: 'lvmlock', type: 'linear', roles: ['public'], extents: 64 };
  const left = { ...LOCAL, lvs: [lvmlock] };
  assert.equal(said(left, HOST), 'removeLeftover makeShared start haveGlobalLock');
  assert.equal(said(left, HOST, 'none'), 'removeLeftover');
  const freed = { ...SHARED, isLockspaceFreed: true };
  assert.equal(said(freed, HOST), 'forceLocal removeLeftover makeShared start haveGlobalLock');
  assert.equal(said(freed, HOST, 'none'), 'forceLocal removeLeftover');
  assert.equal(said(SHARED, HOST), 'start');
  assert.equal(said(SHARED, { ...HOST, isStarted: true }), '');
  assert.equal(said(SHARED, HOST, 'none'), 'start makeLocal');
  assert.equal(said(SHARED, { ...HOST, isStarted: true }, 'none'), 'makeLocal');
  assert.equal(said(LOCAL, HOST, 'none'), '');
  assert.equal(said(clustered, HOST, 'none'), 'clearClustered');
});

test('the only shared VG has the global lock in the end, also where lvm disabled it', () => {
  const started = { ...HOST, isStarted: true, hasGlobalLock: false };
  assert.equal(said(SHARED, started), 'haveGlobalLock');
  assert.equal(said(SHARED, started, 'none'), 'haveGlobalLock makeLocal');
  const other = [{ name: 'w', isStarted: true }];
  assert.equal(said(SHARED, { ...started, otherVgs: other }), '');
  assert.equal(said(LOCAL, { ...HOST, otherVgs: other }), 'makeShared start');
});

test('the global lock is skipped only where no other VG could carry it', () => {
  for (const [otherVgs, skipsGlobalLock] of [
    [[], true],
    [[{ name: 'w', isStarted: true }], false],
  ] as const) {
    const plan = convertPlan(
      LOCAL,
      { ...HOST, otherVgs },
      { to: 'sanlock', isInactiveElsewhere: true },
    );
    assert.deepEqual(plan.ok && plan.value.steps[0], { kind: 'makeShared', skipsGlobalLock });
  }
});

test('nothing is converted that is active here, or may be elsewhere', () => {
  assert.match(said({ ...LOCAL, inUse: IN_USE }, HOST), /LV v\/lv is active here: end its users/);
  assert.match(said({ ...SHARED, inUse: IN_USE }, { ...HOST, isStarted: true }, 'none'), /active/);
  assert.match(said(LOCAL, HOST, 'sanlock', false), /then say --inactive-elsewhere$/);
  assert.equal(said(SHARED, HOST, 'sanlock', false), 'start', 'its LVs are locked');
  assert.match(said({ ...SHARED, inUse: IN_USE }, HOST), /LV v\/lv is active here: end its users/);
  assert.equal(said({ ...SHARED, inUse: IN_USE }, { ...HOST, isStarted: true }), '');
  const clustered = { ...LOCAL, kind: 'clustered' } as const;
  assert.match(said(clustered, HOST, 'none', false), /then say --inactive-elsewhere$/);
  const other = { hostId: 2, hostName: 'beta', state: 'live' } as const;
  const withOther = { ...HOST, isStarted: true, otherHosts: [other] };
  assert.match(said(SHARED, withOther, 'none'), /host beta \(host id 2\) has VG v started/);
  assert.match(said(LOCAL, { ...HOST, hostId: null }), /this host is not ready: .*: holdfast join/);
});
