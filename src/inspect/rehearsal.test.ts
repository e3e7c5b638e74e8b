import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Moment, rehearseHost, rehearseLun } from './rehearsal.ts';
import type { HeldLease } from './snapshot/snapshot.ts';
import { holder, lockspace, lv, member, snapshot, vg } from './snapshot/testing/clusters.ts';

const NO_USERS = new Map<string, readonly string[]>();
const at = (moments: readonly Moment[] | undefined) =>
  (moments ?? [])
    .map(({ kind, fromS, toS }) => `${kind} ${fromS}${toS ? `-${toS}` : ''}`)
    .join(' ');
const lease = (of: Partial<HeldLease>): HeldLease => ({
  ...{ name: 'uuid-data', path: '/dev/x', offsetBytes: 0, isShared: false, isHeld: true },
  ...{ pid: 7, command: 'lvmlockd' },
  ...of,
});

test('another host dies: what it holds by the disk, when others see it, and may take it', () => {
  const dies = rehearseHost(
    snapshot({
      lockspaces: [lockspace('lvm_vg0')],
      vgs: [vg('vg0', [lv('data', [holder(2, 'beta')]), lv('other', [holder(3, 'gamma')])])],
    }),
    'beta',
    NO_USERS,
  );
  const [space] = dies.spaces;
  assert.equal(dies.spaces.length, 1);
  assert.deepEqual(space?.holds, [{ name: 'vg0/data', mode: 'ex', users: [] }]);
  assert.deepEqual(space?.witnesses, ['alpha', 'gamma']);
  assert.equal(at(space?.moments), 'dies 0 seenSilent 77 takeable 137');
});

test('hosts are found by id, by name, and by the name before its dot', () => {
  const members = [
    member(1, 'alpha.1f'),
    member(12, 'beta.77'),
    member(3, 'gone', { state: 'free' }),
  ];
  const seen = snapshot({ lockspaces: [lockspace('lvm_vg0', { members })] });
  const ids = (wanted: string) =>
    rehearseHost(seen, wanted, NO_USERS).spaces.map((one) => one.hostId);
  assert.deepEqual([ids('12'), ids('beta'), ids('beta.77')], [[12], [12], [12]]);
  assert.deepEqual([ids('bet'), ids('2'), ids('gone')], [[], [], []]);
});

test('a generation that is over holds nothing; one that is dead can be followed at once', () => {
  const members = [member(1, 'alpha'), member(2, 'beta', { generation: 2, state: 'dead' })];
  const seen = snapshot({
    lockspaces: [lockspace('lvm_vg0', { members })],
    vgs: [vg('vg0', [lv('data', [holder(2, 'beta')])])],
  });
  const [space] = rehearseHost(seen, '2', NO_USERS).spaces;
  assert.deepEqual([space?.holds, at(space?.moments)], [[], 'takeable 0']);
});

test('where the last renewal is not known, the earliest moments are told', () => {
  const members = [member(1, 'alpha'), member(2, 'beta', { ageS: null })];
  const seen = snapshot({ lockspaces: [lockspace('lvm_vg0', { members })] });
  const [space] = rehearseHost(seen, '2', NO_USERS).spaces;
  assert.equal(at(space?.moments), 'dies 0 seenSilent 58 takeable 118');
});

test('a disk dies: its users are stopped, killed, and the host is reset before others follow', () => {
  const leases = [lease({}), lease({ name: 'guest', pid: 9, command: 'qemu', isShared: true })];
  const seen = snapshot({
    lockspaces: [lockspace('lvm_vg0', { leases }), lockspace('lvm_other')],
    vgs: [vg('vg0', [lv('data')])],
  });
  const lun = { path: '/dev/sdb', lockspaces: ['lvm_vg0'], lvs: ['vg0/data', 'vg1/far'] };
  const users = new Map([['vg0/data', ['mysqld (12)']]]);
  const lost = rehearseLun(seen, lun, users);
  assert.deepEqual(
    lost.spaces.map(({ hostName, lockspace: name }) => `${name} ${hostName}`),
    ['lvm_vg0 alpha', 'lvm_vg0 beta', 'lvm_vg0 gamma'],
  );
  assert.deepEqual(lost.spaces[0]?.holds, [
    { name: 'vg0/data', mode: 'ex', users: ['mysqld (12)'] },
    { name: 'guest', mode: 'sh', users: ['qemu (9)'] },
  ]);
  assert.equal(
    at(lost.spaces[0]?.moments),
    'ioFails 0 warned 56 expires 76 reset 76-136 killed 116 takeable 136',
  );
  assert.match(lost.notes.join(), /^users of vg1\/far get I\/O errors, and its lease stays/);
});

test('without a watchdog nothing resets this host', () => {
  const watchdog = { state: 'off', why: 'notUsed' } as const;
  const seen = snapshot({ lockspaces: [lockspace('lvm_vg0')], watchdog });
  const lun = { path: '/dev/mapper/vg0-lvmlock', lockspaces: [], lvs: [] };
  const lost = rehearseLun(seen, lun, NO_USERS);
  const [here] = lost.spaces;
  assert.match(lost.notes.join(), /no watchdog is known to reset this host/);
  assert.ok(here?.moments.every(({ kind }) => kind !== 'reset'));
});
