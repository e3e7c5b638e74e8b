import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HostFacts, LockspaceFacts, WdmdClient } from './host-facts.ts';
import { usersOf } from './users.ts';

const DAEMON = { pid: 7, identity: 'start 7', isOriginal: false };
const NOTHING: HostFacts = { silent: [], wdmd: null, sanlock: null, lvmlockd: null };

const space = (name: string): LockspaceFacts => {
  return { name, phase: 'joined', ioTimeoutS: 10, generation: '1', ageS: 2 };
};
const client = (of: Partial<WdmdClient>): WdmdClient => ({
  ...{ name: 'sanlock_lvm_vg1:1', pid: 7, isDead: false, hasRefcount: true, isOurs: true },
  expiry: { leftS: 60, wholeS: 80 },
  ...of,
});
const lease = { name: 'a', isHeld: true, holderPid: 3 };

test('idle daemons, and none at all, are unused', () => {
  assert.deepEqual(usersOf(NOTHING), []);
  const idle = client({ hasRefcount: false, expiry: null });
  const sanlock = { daemon: DAEMON, usesWatchdog: true, lockspaces: [], leases: [] };
  const lvmlockd = { daemon: DAEMON, vgs: [], locks: [] };
  const wdmd = { daemon: DAEMON, clients: [idle] };
  assert.deepEqual(usersOf({ silent: [], wdmd, sanlock, lvmlockd }), []);
});

test('a lockspace is named once: not again as its VG, nor as the client of wdmd that it is', () => {
  const leases = [
    { ...lease, lockspace: 'lvm_vg1' },
    { ...lease, lockspace: 'LS', holderPid: null },
  ];
  const lockspaces = [space('lvm_vg1'), space('LS')];
  const facts: HostFacts = {
    silent: [],
    sanlock: { daemon: DAEMON, usesWatchdog: true, lockspaces, leases },
    lvmlockd: { daemon: DAEMON, vgs: ['vg1', 'vg2'], locks: [] },
    wdmd: { daemon: DAEMON, clients: [client({}), client({ name: 'fence_sanlockd', pid: 9 })] },
  };
  assert.deepEqual(usersOf(facts), [
    { kind: 'lockspace', lockspace: 'lvm_vg1', vg: 'vg1', phase: 'joined', leases: 1 },
    { kind: 'lockspace', lockspace: 'LS', vg: null, phase: 'joined', leases: 1 },
    { kind: 'vg', vg: 'vg2' },
    { kind: 'watchdogClient', client: 'fence_sanlockd', pid: 9 },
  ]);
});

test('a daemon that does not answer may hold anything; so may one that left an expiry', () => {
  const silent = [{ name: 'sanlock', pid: 7 }] as const;
  assert.deepEqual(usersOf({ ...NOTHING, silent }), [
    { kind: 'silent', daemon: 'sanlock', pid: 7 },
  ]);
  const left = client({ isDead: true, pid: 12 });
  const wdmd = { daemon: DAEMON, clients: [left] };
  assert.deepEqual(usersOf({ ...NOTHING, wdmd }), [
    { kind: 'watchdogClient', client: 'sanlock_lvm_vg1:1', pid: 12 },
  ]);
});
