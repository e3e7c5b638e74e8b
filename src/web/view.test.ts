import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  holder,
  lockspace,
  lv,
  member,
  snapshot,
  vg,
} from '../inspect/snapshot/testing/clusters.ts';
import { MAX_MEMBERS, viewOf } from './view.ts';

const HELD = {
  path: '/dev/mapper/vg0-lvmlock',
  offsetBytes: 0,
  isShared: false,
  isHeld: true,
  pid: 703,
  command: 'lvmlockd',
} as const;

test('an LV is one row, with the hosts by the disk and the processes by sanlock', () => {
  const lockspaces = [
    lockspace('lvm_vg0', {
      leases: [
        { ...HELD, name: 'uuid-data' },
        { ...HELD, name: 'VGLK' },
        { ...HELD, name: 'guest', pid: 99, command: 'qemu' },
        { ...HELD, name: 'guest2', pid: null, command: null, isHeld: false },
      ],
    }),
  ];
  const { leases } = viewOf(
    snapshot({ lockspaces, vgs: [vg('vg0', [lv('data', [holder(1, 'alpha')]), lv('free')])] }),
  );
  const rows = leases.map(({ name, kind, holders, users }) => [
    name,
    kind,
    holders?.map(({ hostName, isThisHost }) => [hostName, isThisHost]) ?? null,
    users.map(({ command }) => command),
  ]);
  assert.deepEqual(rows, [
    ['vg0', 'vg', [], ['lvmlockd']],
    ['vg0/data', 'lv', [['alpha', true]], ['lvmlockd']],
    ['vg0/free', 'lv', [], []],
    ['guest', 'lease', [['alpha', true]], ['qemu']],
    ['guest2', 'lease', null, ['orphan']],
  ]);
});

test('an LV without a lock of its own is no lease', () => {
  const pool = { ...lv('pool_tdata'), lockArgs: '' };
  const { leases } = viewOf(snapshot({ vgs: [vg('vg0', [pool])] }));
  assert.deepEqual(
    leases.map(({ name }) => name),
    ['vg0'],
  );
});

test('rows that have alike names have keys of their own', () => {
  const lockspaces = ['a\u0001', 'a\u0002'].map((name) =>
    lockspace(name, { members: [member(1, 'x\u0001'), member(2, 'x\u0002')] }),
  );
  const { members, lockspaces: spaces } = viewOf(snapshot({ lockspaces }));
  assert.equal(new Set(members.map(({ key }) => key)).size, 4);
  assert.equal(new Set(spaces.map(({ key }) => key)).size, 2);
  assert.deepEqual(new Set(members.map(({ name }) => name)), new Set(['x?']));
});

test('more than a page can show is counted', () => {
  const members = Array.from({ length: 2000 }, (_, n) => member(n + 1, `h${n}`));
  const lockspaces = Array.from({ length: 11 }, (_, n) => lockspace(`space${n}`, { members }));
  const view = viewOf(snapshot({ lockspaces }));
  assert.equal(view.members.length, MAX_MEMBERS);
  assert.equal(view.leftOut.members, 2000);
});
