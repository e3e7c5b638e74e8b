import assert from 'node:assert/strict';
import { test } from 'node:test';
import { STATE_TYPES } from '../../wire/sanlock/socket.ts';
import type { StateRecord } from '../../wire/sanlock/types.ts';
import { lvmlockdFacts, sanlockFacts, wdmdFacts } from './host-facts.ts';

const daemon = { pid: 7, identity: 'start 7', isOriginal: false };

function record(of: Partial<StateRecord> & Pick<StateRecord, 'type' | 'text'>): StateRecord {
  const none = { flags: 0, data32: 0, data64: 0n, name: '', lockspace: null, resource: null };
  return { ...none, ...of };
}

test('wdmd: its clients, without its own two places; a name may have blanks', () => {
  const dump = [
    'wdmd 5 socket_gid 0 high_priority 1 now 500 last_keepalive 499',
    'client 0 name signal pid 0 fd 3 dead 0 ref 0 now 500 renewal 0 expire 0',
    'client 1 name listen pid 0 fd 4 dead 0 ref 0 now 500 renewal 0 expire 0',
    'client 2 name sanlock_a b:1 pid 7 fd 9 dead 0 ref 1 now 500 renewal 490 expire 570',
    'client 3 name old pid 6 fd -1 dead 1 ref 0 now 500 renewal 400 expire 480',
    'client 4 name sanlk-resetd pid 8 fd 10 dead 0 ref 1 now 500 renewal 0 expire 0',
    '',
  ].join('\n');
  const programOf = (pid: number) => (pid === 8 ? 'sanlk-resetd' : 'node');
  assert.deepEqual(wdmdFacts(daemon, dump, programOf).clients, [
    {
      name: 'sanlock_a b:1',
      pid: 7,
      isDead: false,
      hasRefcount: true,
      isOurs: true,
      expiry: { leftS: 70, wholeS: 80 },
    },
    {
      name: 'old',
      pid: 6,
      isDead: true,
      hasRefcount: false,
      isOurs: true,
      expiry: { leftS: -20, wholeS: 80 },
    },
    { name: 'sanlk-resetd', pid: 8, isDead: false, hasRefcount: true, isOurs: false, expiry: null },
  ]);
});

test('sanlock: lockspaces with the age of their last renewal, and leases with their holders', () => {
  const space = (name: string, text: string) =>
    record({ type: STATE_TYPES.LOCKSPACE, name, text: `${text} io_timeout=10 host_generation=4` });
  const lease = (list: string, data32: number) =>
    record({
      type: STATE_TYPES.RESOURCE,
      name: `R${data32}`,
      data32,
      text: `list=${list}`,
      resource: { lockspaceName: 'A', name: `R${data32}` } as StateRecord['resource'],
    });
  const records = [
    record({ type: STATE_TYPES.DAEMON, text: 'use_watchdog=1 monotime=1000' }),
    space('A', 'list=spaces renewal_last_success=995'),
    space('B', 'list=spaces renewal_last_success=990 renew_fail=1'),
    space('C', 'list=add renewal_last_success=980'),
    space('D', 'list=rem renewal_last_success=970'),
    lease('held', 42),
    lease('orphan', -1),
    lease('add', 43),
  ];
  const facts = sanlockFacts(daemon, records, new Map([['A', 991]]));
  assert.equal(facts.usesWatchdog, true);
  assert.deepEqual(
    facts.lockspaces.map(({ name, phase, ageS }) => [name, phase, ageS]),
    [
      ['A', 'joined', 9],
      ['B', 'failing', 10],
      ['C', 'joining', 20],
      ['D', 'leaving', 30],
    ],
  );
  assert.deepEqual(facts.lockspaces[0]?.generation, '4');
  assert.deepEqual(facts.leases, [
    { lockspace: 'A', name: 'R42', isHeld: true, holderPid: 42 },
    { lockspace: 'A', name: 'R-1', isHeld: true, holderPid: null },
    { lockspace: 'A', name: 'R43', isHeld: false, holderPid: 43 },
  ]);
});

test('lvmlockd: the VGs and the locks of LVs that it has', () => {
  const info = [
    'VG vg lock_type=sanlock dE7oML',
    'LS sanlock lvm_vg',
    'LK VG un ver 4',
    'LK LV ex qWbLes',
    'LK LV un xyz',
    'LK GL un ver 0',
    '',
  ].join('\n');
  const { vgs, locks } = lvmlockdFacts(daemon, info);
  assert.deepEqual(vgs, ['vg']);
  assert.deepEqual(locks, ['LV ex qWbLes']);
});
