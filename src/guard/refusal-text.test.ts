import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isElsewhere } from './lease-codes.ts';
import { type Holder, type Orphaned, refusalText } from './refusal-text.ts';

const LEASE = {
  ...{ name: 'a'.repeat(32), key: 'rbd:default/vms/disk1', target: 'vda' },
  mode: 'exclusive',
} as const;

function said(
  code: number,
  holder: Holder | Orphaned | null = null,
  during: 'acquire' | 'ensure' | 'lentByNobody' = 'acquire',
) {
  const text = refusalText('web', { lease: LEASE, code, during }, holder);
  assert.ok(text.startsWith(during === 'ensure' ? 'the lease file of disk vda' : 'disk vda of'));
  return text.replace(/^.*disk vda of guest web \(rbd:default\/vms\/disk1\) /, '');
}

test('who has it, since when, and what to do', () => {
  const host = {
    kind: 'host',
    hostId: 2,
    hostName: 'beta',
    heldForS: 9000,
  } as const;
  assert.equal(
    said(-243, host),
    'is in use by host beta (host id 2, for 2 h): ' + 'stop the guest there, or migrate it',
  );
  assert.equal(
    said(-243, { ...host, hostName: null, heldForS: null }),
    'is in use by a host without a name (host id 2): stop the guest there, or migrate it',
  );
  assert.equal(
    said(-17, { kind: 'here', name: 'db', pid: 77 }),
    'is in use on this host by db (process 77): stop that first',
  );
  assert.equal(
    said(-117, { kind: 'orphan', name: 'db' }),
    'is in use on this host by db: stop that first',
  );
  assert.match(
    said(-117, { kind: 'orphan', name: null }),
    /^was in use on this host by a guest of which nothing is known any more: see that none/,
  );
});

test('numbers that say nothing to a user', () => {
  assert.match(said(-28), /^cannot be leased: this host is not in the lockspace of the guests/);
  assert.match(said(-11), /^is shared by other hosts/);
  assert.equal(said(-202), 'cannot be leased: AIO_TIMEOUT (-202): the disk did not answer in time');
  assert.equal(said(-9999), 'cannot be leased: code -9999 (-9999)');
  assert.match(
    said(-2, null, 'lentByNobody'),
    /^has no lease on the host that the guest comes from/,
  );
  assert.match(said(-13, null, 'ensure'), /^cannot be made \(EACCES \(-13\)\)/);
});

test('times in the unit that a reader would take', () => {
  const heldForS = (seconds: number) =>
    /, for ([^)]*)\)/.exec(
      said(-243, { kind: 'host', hostId: 1, hostName: 'a', heldForS: seconds }),
    )?.[1];
  assert.deepEqual([0.2, 119, 120, 7199, 7200, 172_800].map(heldForS), [
    ...['0 s', '119 s', '2 min', '119 min', '2 h', '2 d'],
  ]);
});

test('the disk is asked for a holder where another host has it', () => {
  assert.deepEqual([-243, -244, -11, -17, -28].map(isElsewhere), [true, true, true, false, false]);
});
