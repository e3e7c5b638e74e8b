import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareLeases, type LvOfMetadata, type SlotOnDevice } from './vg-leases.ts';

const MIB = 1024 * 1024;
const lease = (name: string, lockspace = 'lvm_vg') => ({ kind: 'lease', lockspace, name }) as const;
const FREE = { kind: 'free' } as const;

/** Slots 65 and 66 are sound, and then come those of the LVs. */
function found(
  lvs: readonly LvOfMetadata[],
  ofLvs: readonly SlotOnDevice['holds'][],
  own: readonly SlotOnDevice['holds'][] = [lease('_GLLK_disabled'), lease('VGLK')],
): readonly string[] {
  const slots = [...own, ...ofLvs].map((holds, n) => ({ offset: (65 + n) * MIB, holds }));
  const vg = { lockspace: 'lvm_vg', areaBytes: MIB, lvs, slots };
  return compareLeases(vg).map(({ kind, offset, of, found: what, mending }) => {
    const slot = offset === null ? 'no slot' : offset / MIB;
    const how = mending === null ? 'not mended' : `${mending.kind} ${mending.lvUuid}`.trim();
    return `${kind} ${slot} ${of.join(',')}: ${what}; ${how}`;
  });
}

const lv = (name: string, slot: number) => {
  return { name, uuid: `uuid-${name}`, lockArgs: `1.0.0:${slot * MIB}` };
};
const A = lv('a', 67);
const B = lv('b', 68);

test('metadata and leases that agree, with LVs that have no lock of their own', () => {
  const thin = { name: 'thin', uuid: 'uuid-thin', lockArgs: '' };
  assert.deepEqual(found([A, B, thin], [lease('uuid-a'), lease('uuid-b'), FREE]), []);
  assert.deepEqual(found([], [FREE, { kind: 'unwritten' }]), []);
});

test('a slot without its LV is freed, an LV without its slot takes it', () => {
  assert.deepEqual(found([B], [lease('uuid-a'), FREE]), [
    'slotWithoutLv 67 uuid-a: uuid-a; free uuid-a',
    'lvWithoutSlot 68 b: free; take uuid-b',
  ]);
  assert.deepEqual(found([A], [{ kind: 'unwritten' }]), [
    'lvWithoutSlot 67 a: unwritten; take uuid-a',
  ]);
});

test('what two LVs use is left to an administrator', () => {
  const both = [A, { ...B, lockArgs: A.lockArgs }];
  assert.deepEqual(found(both, [lease('uuid-a')]), ['sharedSlot 67 a,b: uuid-a; not mended']);
  assert.deepEqual(found([A], [lease('uuid-x')]), ['otherName 67 a: uuid-x; not mended']);
});

test('a second slot of an LV is freed only where its own is sound', () => {
  assert.deepEqual(found([A], [lease('uuid-a'), lease('uuid-a')]), [
    'secondSlot 68 a: uuid-a; free uuid-a',
  ]);
  assert.deepEqual(found([A], [FREE, lease('uuid-a')]), [
    'lvWithoutSlot 67 a: free; not mended',
    'secondSlot 68 a: uuid-a; not mended',
  ]);
});

test('damage of any slot, and leases that name another VG', () => {
  const damaged = { kind: 'damaged', code: -229 } as const;
  assert.deepEqual(found([A], [damaged, damaged], [damaged, lease('VGLK', 'lvm_old')]), [
    'damaged 65 global lock: -229; rewrite',
    'otherLockspace 66 VG lock: lvm_old; rewrite',
    'damaged 67 a: -229; rewrite uuid-a',
    `damaged 68 : -229; rewrite unused-${68 * MIB}`,
  ]);
});

test('the slots of GL and VG have their own names', () => {
  assert.deepEqual(found([], [], [lease('VGLK'), FREE]), [
    'otherName 65 global lock: VGLK; not mended',
    'otherName 66 VG lock: free; not mended',
  ]);
});

test('lock args that name no slot on the device', () => {
  const lvs = [lv('past', 90), lv('low', 66), { ...A, lockArgs: '1.0.0:70254593' }];
  const odd = { ...B, lockArgs: 'nonsense' };
  assert.deepEqual(
    found([...lvs, odd], [FREE]).map((one) => one.split(':')[0]),
    [
      'lvOutside 90 past',
      'lvOutside 66 low',
      `lvOutside ${70254593 / MIB} a`,
      'lvOutside no slot b',
    ],
  );
});
