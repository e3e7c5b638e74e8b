import assert from 'node:assert/strict';
import { test } from 'node:test';
import { member } from './testing/snapshots.ts';
import { leaseHolder, leaseKey, vgsSeen } from './vgs-seen.ts';

const holder = { hostId: 2, generation: 5, mode: 'ex' as const };
const beta = member({ hostId: 2, generation: 5, name: 'beta', isThisHost: false });

test('a holder on the disk is named as what its host is now', () => {
  const state = (members: Parameters<typeof leaseHolder>[1]) => {
    const { hostName, state: is } = leaseHolder(holder, members);
    return `${hostName} ${is}`;
  };
  assert.equal(state([beta]), 'beta live');
  assert.equal(state([{ ...beta, state: 'dead' }]), 'beta dead');
  // It has left, or come back as another member: it holds nothing any more.
  assert.equal(state([{ ...beta, state: 'free' }]), 'beta left');
  assert.equal(state([{ ...beta, generation: 6, name: 'gamma' }]), 'null left');
  // It joined since the members were looked at.
  assert.equal(state([]), 'null unknown');
  assert.equal(state([{ ...beta, generation: 4, name: 'old' }]), 'null live');
});

test('what lvmlockd found is over when the lock is there, or the LV is not active any more', () => {
  const troubleOf = (lock: 'ex' | null, isActive: boolean | null) => {
    const lv = { name: 'lv', uuid: 'L', lockArgs: '1.0.0:70254592', isActive, isHidden: false };
    const [vg] = vgsSeen({
      reported: [{ ...lv, vgName: 'vg', vgUuid: 'V', vgLockType: 'sanlock', vgLockArgs: 'x' }],
      started: [
        {
          ...{ name: 'vg', uuid: 'V', lockType: 'sanlock', lockArgs: 'x', lockspace: 'lvm_vg' },
          ...{ isJoined: true, trouble: null, hasGlobalLock: true },
          lvLocks: new Map(lock === null ? [] : [['L', lock]]),
          lvTroubles: new Map([['L', 'activeUnlocked']]),
        },
      ],
      ...{ lockspaces: [], leases: new Map(), spaceNameOf: (name) => `lvm_${name}` },
    });
    return vg?.lvs.map(({ trouble }) => trouble);
  };
  assert.deepEqual(troubleOf(null, true), ['activeUnlocked']);
  assert.deepEqual(troubleOf(null, null), ['activeUnlocked']);
  assert.deepEqual(troubleOf('ex', true), [null]);
  assert.deepEqual(troubleOf(null, false), [null]);
});

test('VGs of lvm and of lvmlockd are one list; what only lvmlockd knows has no name', () => {
  const lvs = [
    { name: 'data', uuid: 'L1', lockArgs: '1.0.0:70254592', isActive: true, isHidden: false },
    { name: 'pool_tdata', uuid: 'L2', lockArgs: '', isActive: true, isHidden: true },
  ].map((one) => ({
    ...one,
    ...{ vgName: 'vg0', vgUuid: 'V0', vgLockType: 'sanlock', vgLockArgs: '1.0.0:lvmlock' },
  }));
  const started = {
    ...{ name: 'vg1', uuid: 'V1', lockType: 'sanlock', lockArgs: '', lockspace: 'lvm_vg1' },
    ...{ isJoined: true, trouble: null, hasGlobalLock: true },
    lvLocks: new Map([['L9', 'sh' as const]]),
    lvTroubles: new Map(),
  };
  const seen = vgsSeen({
    reported: lvs,
    started: [started],
    lockspaces: [],
    leases: new Map([[leaseKey('vg0', 'L1'), [holder]]]),
    spaceNameOf: (name) => `lvm_${name}`,
  });
  assert.deepEqual(
    seen.map(({ name, isStarted, hasGlobalLock, holders }) => [
      ...[name, isStarted, hasGlobalLock],
      holders,
    ]),
    [
      ['vg0', false, null, null],
      ['vg1', true, true, null],
    ],
  );
  const [data, ...hidden] = seen[0]?.lvs ?? [];
  assert.deepEqual(hidden, [], 'a part of another LV has no line');
  assert.deepEqual([data?.name, data?.holders?.length], ['data', 1]);
  const [unnamed] = seen[1]?.lvs ?? [];
  assert.deepEqual([unnamed?.name, unnamed?.uuid, unnamed?.lockHere], ['', 'L9', 'sh']);
});
