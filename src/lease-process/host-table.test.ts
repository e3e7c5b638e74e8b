import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../base/units.ts';
import { BITMAP_OFFSET, deltaLeaseOffset, GEOMETRY_512_1M } from '../format/geometry.ts';
import { type DeltaLeader, deltaLeader, encodeDeltaLeader } from '../format/leader.ts';
import { deltaRecord } from '../lease/testing/records.ts';
import { HostTable } from './host-table.ts';

const OWN = 1;

function table(): HostTable {
  return new HostTable({ geometry: GEOMETRY_512_1M, lockspaceName: 'LS', ownHostId: OWN });
}

function put(area: Uint8Array, hostId: number, change: Partial<DeltaLeader>): void {
  const record = deltaRecord({
    hostName: `host-${hostId}`,
    ownerId: BigInt(hostId),
    ownerGeneration: 1n,
    ioTimeoutS: 10,
    timestampS: 100n,
    ...change,
  });
  encodeDeltaLeader(record, area, deltaLeaseOffset(GEOMETRY_512_1M, hostId));
}

test('nothing is known before the first renewal', () => {
  assert.equal(table().view(2), null);
});

test('a host lives when its record moves, and only then', () => {
  const hosts = table();
  const area = new Uint8Array(MIB);
  put(area, 2, {});
  put(area, 2000, { timestampS: 7n });
  const first = hosts.observe(area, 5000);
  assert.deepEqual(
    first.changed.map((host) => host.hostId),
    [2, 2000],
  );
  assert.equal(hosts.view(2)?.lastLiveMs, 5000);

  assert.deepEqual(hosts.observe(area, 25_000).changed, []);
  assert.equal(hosts.view(2)?.lastLiveMs, 5000, 'it stood still');
  assert.equal(hosts.view(2)?.lastCheckMs, 25_000);

  put(area, 2, { timestampS: 120n });
  const third = hosts.observe(area, 45_000);
  assert.equal(third.changed.length, 1);
  assert.equal(third.changed[0]?.lastLiveS, 45);
  assert.equal(hosts.view(2)?.timestampS, 120n);
  assert.equal(hosts.view(2)?.lastLiveMs, 45_000);
});

test('a new generation under the same timestamp is a change', () => {
  const hosts = table();
  const area = new Uint8Array(MIB);
  put(area, 3, {});
  hosts.observe(area, 1000);
  put(area, 3, { ownerGeneration: 2n });
  assert.equal(hosts.observe(area, 2000).changed[0]?.generation, 2n);
});

test('a damaged record keeps its known owner and seems alive', () => {
  const hosts = table();
  const area = new Uint8Array(MIB);
  put(area, 3, {});
  hosts.observe(area, 1000);
  put(area, 3, { spaceName: 'other', ownerId: 9n, timestampS: 101n });
  hosts.observe(area, 2000);
  assert.equal(hosts.view(3)?.ownerId, 3);
  assert.equal(hosts.view(3)?.lastLiveMs, 2000);
});

test('a record with a wrong checksum changes no owner, generation or io timeout, and signals nothing', () => {
  const hosts = table();
  const area = new Uint8Array(MIB);
  put(area, 3, {});
  hosts.observe(area, 1000);
  put(area, 3, { ownerId: 9n, ownerGeneration: 7n, ioTimeoutS: 1, timestampS: 101n });
  const at = deltaLeaseOffset(GEOMETRY_512_1M, 3);
  area[at + BITMAP_OFFSET] = 1 << (OWN - 1);
  const sum = at + deltaLeader.fields.checksum.offset;
  area[sum] = 1 ^ (area[sum] ?? 0);
  assert.deepEqual(hosts.observe(area, 2000).signals, []);
  const { ownerId, generation, ioTimeoutS, lastLiveMs } = hosts.view(3) ?? assert.fail();
  assert.deepEqual([ownerId, generation, ioTimeoutS, lastLiveMs], [3, 1n, 10, 2000]);
});

test('numbers that cannot be make a record a damaged one, whatever its checksum', () => {
  const changes: readonly Partial<DeltaLeader>[] = [
    { ownerGeneration: 2n ** 64n - 1n },
    { timestampS: 2n ** 63n },
    { ownerId: 2n ** 32n + 3n },
    { ownerId: 4n },
    { ownerId: 0n },
  ];
  for (const change of changes) {
    const hosts = table();
    const area = new Uint8Array(MIB);
    put(area, 3, {});
    hosts.observe(area, 1000);
    put(area, 3, { ioTimeoutS: 1, timestampS: 101n, ...change });
    area[deltaLeaseOffset(GEOMETRY_512_1M, 3) + BITMAP_OFFSET] = 1 << (OWN - 1);
    assert.deepEqual(hosts.observe(area, 2000).signals, []);
    const { ownerId, generation, ioTimeoutS, lastLiveMs } = hosts.view(3) ?? assert.fail();
    assert.deepEqual([ownerId, generation, ioTimeoutS, lastLiveMs], [3, 1n, 10, 2000]);
  }
});

test('a damaged record that stands still seems alive once, not for ever; a sound one after it counts', () => {
  for (const known of [false, true]) {
    const hosts = table();
    const area = new Uint8Array(MIB);
    if (known) put(area, 3, {});
    hosts.observe(area, 1000);
    put(area, 3, { ownerGeneration: 7n });
    const sum = deltaLeaseOffset(GEOMETRY_512_1M, 3) + deltaLeader.fields.checksum.offset;
    area[sum] = 1 ^ (area[sum] ?? 0);
    hosts.observe(area, 2000);
    assert.deepEqual(hosts.observe(area, 22_000).changed, []);
    assert.equal(hosts.view(3)?.lastLiveMs, 2000);
    assert.equal(hosts.view(3)?.generation, known ? 1n : 0n);

    area[sum] = 1 ^ (area[sum] ?? 0);
    assert.equal(hosts.observe(area, 42_000).changed.length, 1, 'the same, but sound');
    assert.equal(hosts.view(3)?.generation, 7n);
    assert.deepEqual(hosts.observe(area, 62_000).changed, []);
  }
});

test('our bit in a changed record is a signal, with its event; our own record never is', () => {
  const hosts = table();
  const area = new Uint8Array(MIB);
  put(area, OWN, {});
  put(area, 4, { eventNumber: 77n, eventData: 88n, eventGeneration: 1n });
  put(area, 5, {});
  for (const hostId of [OWN, 4, 5]) {
    area[deltaLeaseOffset(GEOMETRY_512_1M, hostId) + BITMAP_OFFSET] = 1 << (OWN - 1);
  }
  const { signals } = hosts.observe(area, 1000);
  assert.deepEqual(signals, [
    { fromHostId: 4, fromGeneration: 1n, event: { generation: 1n, number: 77n, data: 88n } },
    { fromHostId: 5, fromGeneration: 1n, event: null },
  ]);
  assert.deepEqual(hosts.observe(area, 2000).signals, [], 'a record that stood still says nothing');
});
