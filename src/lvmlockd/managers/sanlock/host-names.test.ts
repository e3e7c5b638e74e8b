import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes } from '../../../base/bytes.ts';
import { encode, zeroRecord } from '../../../codec/struct.ts';
import {
  HOST_STATES,
  STATE_TYPES,
  sanlkHost,
  sanlkResource,
  sanlkState,
} from '../../../wire/sanlock/socket.ts';
import { holderOf } from './host-names.ts';
import { resourceOf } from './layout.ts';
import { FakeSanlock, LV, SITE } from './testing/fake-sanlock.ts';
import { hostLease } from './testing/host-lease.ts';
import { sanlockTimes } from './times.ts';

const SPACE = { site: SITE, hostId: 1, session: 1, times: sanlockTimes(1) };

function owners(...hosts: { hostId: bigint; generation: bigint; timestampS: bigint }[]) {
  const rows = hosts.map((host) => encode(sanlkHost, { ...zeroRecord(sanlkHost), ...host }));
  return { bytes: concatBytes([encode(sanlkResource, zeroRecord(sanlkResource)), ...rows]) };
}

function seen(hostId: number, name: string) {
  const text = new TextEncoder().encode(`owner_id=${hostId} owner_generation=3 owner_name=${name}`);
  const state = { ...zeroRecord(sanlkState), type: STATE_TYPES.HOST, data32: hostId };
  return concatBytes([encode(sanlkState, { ...state, strLen: text.length }), text]);
}

function holder(fake: FakeSanlock) {
  const resource = resourceOf(SITE, LV);
  assert.ok(resource !== null);
  return fake.run(holderOf(SPACE, resource));
}

test('the owner has its id, generation and timestamp from sanlock, and its name', () => {
  const fake = new FakeSanlock();
  const owner = { hostId: 2n, generation: 3n, timestampS: 50n };
  fake.script('read_resource_owners', owners(owner));
  fake.script('host_status', { bytes: concatBytes([seen(1, 'here'), seen(2, 'big node')]) });
  fake.hosts = [{ hostId: 2n, state: HOST_STATES.LIVE }];
  const found = holder(fake);
  assert.deepEqual([found?.hostId, found?.generation, found?.name], [2, 3, 'big node']);
  assert.equal(fake.sleptMs, 0);
});

test('of hosts that share it, the first that is not this one', () => {
  const fake = new FakeSanlock();
  const shared = (hostId: bigint) => ({ hostId, generation: 1n, timestampS: 0n });
  fake.script('read_resource_owners', owners(shared(1n), shared(5n), shared(9n)));
  assert.equal(holder(fake)?.hostId, 5);
  fake.script('read_resource_owners', owners(shared(1n)));
  assert.equal(holder(fake), null);
  fake.script('read_resource_owners', { code: -5 });
  assert.equal(holder(fake), null);
});

test('before sanlock has seen the others, the disk has the name', () => {
  const fake = new FakeSanlock();
  fake.script('read_resource_owners', owners({ hostId: 2n, generation: 3n, timestampS: 50n }));
  fake.script('get_hosts', { code: -11 });
  fake.sectors.set('512 512', hostLease({ hostId: 2, timestampS: 77 }));
  assert.deepEqual(holder(fake), {
    ...{ hostId: 2, generation: 3, timestampS: 50 },
    ...{ state: '', name: 'node2' },
  });
  // Another generation: that host may have been another machine.
  fake.script('read_resource_owners', owners({ hostId: 2n, generation: 2n, timestampS: 50n }));
  assert.equal(holder(fake)?.name, '');
});
