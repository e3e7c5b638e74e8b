import assert from 'node:assert/strict';
import { test } from 'node:test';
import { carriedByLvmlockd, carriedBySanlock, carriedByWdmd } from './carried-over.ts';
import type { LeaseFacts, SanlockFacts, WdmdClient } from './host-facts.ts';

const daemon = { pid: 7, identity: 'start 7', isOriginal: false };
const lease = (name: string, holderPid: number | null, isHeld = true): LeaseFacts => ({
  lockspace: 'LS',
  name,
  isHeld,
  holderPid,
});

function sanlock(generation: string, leases: readonly LeaseFacts[]): SanlockFacts {
  const space = { name: 'LS', phase: 'joined' as const, ioTimeoutS: 10, generation, ageS: 1 };
  return { daemon, usesWatchdog: true, lockspaces: [space], leases };
}

test('a shared lease counts once, its holders each', () => {
  const leases = [lease('a', 42), lease('b', 42), lease('s', 42), lease('s', 43), lease('o', null)];
  const { kept, missing } = carriedBySanlock(sanlock('3', leases), sanlock('3', leases));
  assert.deepEqual(kept, [{ kind: 'lockspace', lockspace: 'LS', leases: 4, holders: 2 }]);
  assert.deepEqual(missing, []);
});

test('what the successor does not hold is named; one that it is still looking for is not held', () => {
  const before = sanlock('3', [lease('a', 42), lease('b', 43)]);
  const after = sanlock('3', [lease('a', 42), lease('b', 43, false)]);
  assert.deepEqual(carriedBySanlock(before, after).missing, [
    { kind: 'lease', lockspace: 'LS', lease: 'b' },
  ]);
});

test('a lockspace that was joined anew carries nothing over', () => {
  const { kept, missing } = carriedBySanlock(sanlock('3', []), sanlock('4', []));
  assert.deepEqual(kept, []);
  assert.deepEqual(missing, [{ kind: 'joinedAnew', lockspace: 'LS', generation: '4' }]);
});

test('a client of wdmd is back when its new connection has an expiry', () => {
  const client: WdmdClient = {
    name: 'sanlock_LS:1',
    pid: 7,
    isDead: false,
    hasRefcount: true,
    isOurs: true,
    expiry: { leftS: 70, wholeS: 80 },
  };
  const wdmd = (clients: readonly WdmdClient[]) => ({ daemon, clients });
  const dead = { ...client, isDead: true };
  assert.deepEqual(carriedByWdmd(wdmd([client]), wdmd([dead])).missing, [
    { kind: 'client', client: 'sanlock_LS:1' },
  ]);
  assert.deepEqual(carriedByWdmd(wdmd([client]), wdmd([dead, client])).missing, []);
  assert.deepEqual(carriedByWdmd(wdmd([client]), wdmd([client])).kept, [
    { kind: 'expiries', clients: 1 },
  ]);
});

test('lvmlockd: VGs and LV locks', () => {
  const before = { daemon, vgs: ['a', 'b'], locks: ['LV ex x', 'LV sh y'] };
  const after = { daemon, vgs: ['b'], locks: ['LV sh y'] };
  assert.deepEqual(carriedByLvmlockd(before, after), {
    kept: [{ kind: 'vgs', vgs: 1, locks: 1 }],
    missing: [
      { kind: 'vg', vg: 'a' },
      { kind: 'lock', lock: 'LV ex x' },
    ],
  });
});
