import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../../base/units.ts';
import {
  type HostReadiness,
  lockLvExtents,
  preflight,
  type TargetType,
  type VgFacts,
} from './preflight.ts';

const LV = { name: 'lv', type: 'linear', roles: ['public'], extents: 2 };
const vg = (of: Partial<VgFacts> = {}): VgFacts => ({
  ...{ name: 'v', kind: 'local', lockType: '', extentBytes: 4 * MIB, freeExtents: 100 },
  isLockspaceFreed: false,
  ...{ isExported: false, systemId: '', missingPvs: 0, lvs: [LV], inUse: [] },
  pvs: [{ name: '/dev/sda', sectorBytes: 512 }],
  ...of,
});
const host = (of: Partial<HostReadiness> = {}): HostReadiness => ({
  ...{ lvmVersion: [2, 3, 16], hostId: 1, usesLvmlockd: true, isSanlockRunning: true },
  ...{ isLvmlockdRunning: true, usesWatchdog: true, isStarted: false, hasGlobalLock: null },
  ...{ otherVgs: [{ name: 'w', isStarted: true }], otherHosts: [] },
  ...of,
});
const kinds = (of: VgFacts, on: HostReadiness, to: TargetType = 'sanlock') =>
  preflight(of, on, to)
    .map(({ kind, weight }) => (weight === 'note' ? kind : `${kind}!`))
    .join(' ');

test('a local VG on a host that is ready: only what cannot be seen from here is noted', () => {
  assert.equal(kinds(vg(), host()), 'otherHosts');
  assert.equal(kinds(vg(), host({ otherVgs: [] })), 'otherHosts firstVg');
});

test('what keeps a VG from becoming a shared one', () => {
  const use = {
    vg: 'v',
    name: 'lv',
    lock: null,
    isActive: true,
    users: ['qemu (process 7: v-lv)'],
  };
  const cases: readonly (readonly [Partial<VgFacts>, Partial<HostReadiness>, string])[] = [
    [{ inUse: [use] }, {}, 'lvActive!'],
    [{ missingPvs: 1 }, {}, 'pvMissing!'],
    [{ isExported: true }, {}, 'vgExported!'],
    [{ freeExtents: 63 }, {}, 'noRoom!'],
    [{ lvs: [{ ...LV, roles: ['public', 'origin', 'extthinorigin'] }] }, {}, 'externalOrigin!'],
    [{ lvs: [{ ...LV, type: 'raid1' }] }, {}, 'exclusiveOnly'],
    [{ kind: 'shared', lockType: 'dlm' }, {}, 'otherLockType!'],
    [{ kind: 'shared', lockType: 'sanlock', inUse: [use] }, {}, 'isShared'],
    [{ kind: 'clustered', freeExtents: 0 }, {}, 'clustered'],
    [{}, { hostId: null }, 'hostNotReady!'],
    [{}, { isLvmlockdRunning: false }, 'hostNotReady!'],
    [{}, { lvmVersion: [2, 2, 180] }, 'lvmOld!'],
    [{}, { usesWatchdog: false }, 'noWatchdog!'],
    [{}, { otherVgs: [{ name: 'w', isStarted: false }] }, 'globalLock!'],
  ];
  for (const [ofVg, ofHost, wanted] of cases) {
    assert.ok(kinds(vg(ofVg), host(ofHost)).split(' ').includes(wanted), wanted);
  }
});

test('the LV of the leases has room for each LV, by the largest sectors', () => {
  assert.equal(lockLvExtents(vg()), 64, 'as lvm, which rounds down');
  const large = [...vg().pvs, { name: '/dev/sdb', sectorBytes: 4096 }];
  assert.equal(lockLvExtents(vg({ pvs: large })), 258);
  assert.match(kinds(vg({ pvs: large, freeExtents: 999 }), host()), /mixedSectors!/);
});

test('what an interrupted conversion left is told from an LV of that name', () => {
  const lvmlock = { ...LV, name: 'lvmlock', extents: 64 };
  const left = vg({ lvs: [LV, lvmlock], freeExtents: 0 });
  assert.equal(kinds(left, host()), 'otherHosts leftover');
  const own = vg({ lvs: [LV, { ...lvmlock, extents: 3 }] });
  assert.equal(kinds(own, host()), 'lockLvName! otherHosts'.split(' ').reverse().join(' '));
  const byForce = { ...lvmlock, roles: ['private', 'lockd', 'sanlock'], extents: 70 };
  assert.equal(kinds(vg({ lvs: [LV, byForce] }), host(), 'none'), 'isLocal leftover');
  const freed = vg({ kind: 'shared', lockType: 'sanlock', isLockspaceFreed: true });
  assert.equal(kinds(freed, host()), 'lockspaceFreed');
  assert.equal(kinds(freed, host(), 'none'), 'lockspaceFreed');
  const active = { vg: 'v', name: 'lvmlock', lock: null, isActive: true, users: [] };
  assert.equal(kinds({ ...left, inUse: [active] }, host()), 'otherHosts leftover');
});

test('a shared VG becomes local when no other host has it, unless that one is dead', () => {
  const shared = vg({ kind: 'shared', lockType: 'sanlock' });
  const other = { hostId: 2, hostName: 'beta' };
  const withOther = (state: 'live' | 'fail' | 'dead' | 'unknown') =>
    kinds(shared, host({ otherVgs: [], otherHosts: [{ ...other, state }] }), 'none');
  assert.equal(withOther('live'), 'otherHost! becomesLocal');
  assert.equal(withOther('fail'), 'otherHost! becomesLocal');
  assert.equal(withOther('unknown'), 'otherHost! becomesLocal');
  assert.equal(withOther('dead'), 'becomesLocal');
  assert.equal(kinds(vg(), host(), 'none'), 'isLocal');
  assert.match(kinds({ ...shared, lockType: 'dlm' }, host(), 'none'), /^otherLockType!$/);
  assert.equal(kinds(shared, host(), 'none'), 'globalLockMoves becomesLocal');
});
