import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fail, ok } from '../../base/result.ts';
import type { GuestDisk } from '../domain.ts';
import {
  type DiskSeen,
  diskVerdicts,
  type GuestSeen,
  guestFindings,
  holderText,
  type LeaseSeen,
} from './guest-check.ts';

const FILE: GuestDisk = {
  ...{ target: 'vda', source: { kind: 'file', path: '/srv/a.img' }, access: 'exclusive' },
};
const LEASE: LeaseSeen = {
  ...{ name: 'a'.repeat(32), mode: 'exclusive', key: '/srv/a.img', target: 'vda' },
  ...{ isMade: true, holder: 'nobody' },
};
const HERE = { kind: 'here', name: 'web', pid: 12 } as const;
const BETA = { kind: 'host', hostId: 2, hostName: 'beta', heldForS: 5 } as const;

function guest(disks: readonly DiskSeen[], more: Partial<GuestSeen> = {}): GuestSeen {
  const own = { name: 'web', uuid: '7', disks: [], onLockFailure: null };
  return { guest: own, isActive: false, usesPlugin: false, disks, ...more };
}

function kinds(seen: GuestSeen): readonly string[] {
  return guestFindings(seen).map(({ kind, weight }) => `${weight} ${kind}`);
}

function held(holder: LeaseSeen['holder'], isActive: boolean): readonly string[] {
  const disk = { disk: FILE, guard: ok([{ ...LEASE, holder }]), plugin: [] };
  return kinds(guest([disk], { isActive }));
}

test('who protects a disk', () => {
  const rbd: GuestDisk = {
    ...{ target: 'vdb', access: 'shared' },
    source: {
      kind: 'network',
      protocol: 'rbd',
      name: 'p/i',
      hosts: [],
      config: null,
      snapshot: null,
    },
  };
  const nvme: GuestDisk = { ...FILE, target: 'vdc', source: { kind: 'local', type: 'nvme' } };
  const cdrom: GuestDisk = { ...FILE, target: 'sda', access: 'readonly' };
  const volume: GuestDisk = {
    ...FILE,
    source: { kind: 'volume', pool: 'p', volume: 'v' },
  } as never;
  const seen = guest([
    { disk: FILE, guard: ok([LEASE]), plugin: [LEASE] },
    { disk: FILE, guard: ok([]), plugin: [LEASE] },
    { disk: rbd, guard: ok([LEASE]), plugin: [] },
    { disk: nvme, guard: ok([]), plugin: [] },
    { disk: cdrom, guard: ok([]), plugin: [] },
    { disk: volume, guard: fail('is volume v of pool p, and that pool is not known'), plugin: [] },
  ]);
  assert.deepEqual(
    diskVerdicts(seen).map(({ source, by, whyNot }) => [source, by.join(), whyNot]),
    [
      ['file /srv/a.img', 'guard,plugin', null],
      ['file /srv/a.img', 'plugin', null],
      ['rbd p/i', 'guard', null],
      ['nvme', '', 'a disk of type nvme has no name that other hosts know'],
      ['file /srv/a.img', '', 'it is read-only, and readonly_disks is "none"'],
      ['volume v of pool p', '', 'is volume v of pool p, and that pool is not known'],
    ],
  );
  assert.deepEqual(kinds(seen), ['caution diskUnprotected', 'problem diskUnnamed']);
});

test('who has the lease of a guest that is stopped, and of one that runs', () => {
  assert.deepEqual(held('nobody', false), []);
  assert.deepEqual(held(null, false), []);
  assert.deepEqual(held(BETA, false), ['note leaseInUse']);
  assert.deepEqual(held(HERE, false), ['note leaseInUse']);
  assert.deepEqual(held(HERE, true), []);
  assert.deepEqual(held(null, true), []);
  assert.deepEqual(held('nobody', true), ['caution leaseFree']);
  assert.deepEqual(held(BETA, true), ['problem leaseElsewhere']);
  assert.equal(holderText(BETA), 'host beta (host id 2)');
  assert.equal(holderText({ ...BETA, hostName: null }), 'host id 2');
  assert.equal(holderText(HERE), 'this host (web, process 12)');
});

test('what the plugin refuses', () => {
  const nine = Array.from({ length: 9 }, () => ({ disk: FILE, guard: ok([]), plugin: [LEASE] }));
  assert.deepEqual(kinds(guest(nine, { usesPlugin: true })), ['problem tooManyForPlugin']);
  assert.deepEqual(kinds(guest(nine.slice(1), { usesPlugin: true })), []);
  const restarting = { name: 'web', uuid: '7', disks: [], onLockFailure: 'restart' };
  assert.deepEqual(kinds(guest([], { guest: restarting, usesPlugin: true })), [
    'problem lockFailureRefused',
  ]);
  assert.deepEqual(kinds(guest([], { guest: restarting })), []);
});
