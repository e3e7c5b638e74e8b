import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sameBytes } from '../base/bytes.ts';
import type { Result } from '../base/result.ts';
import { MIB } from '../base/units.ts';
import { decode } from '../codec/struct.ts';
import { GEOMETRY_4K_8M, GEOMETRY_512_1M, isLeaseOffset, LVB_SECTOR } from '../format/geometry.ts';
import { encodePaxosLeader, paxosLeader } from '../format/leader.ts';
import { LeaseHost } from '../sim/cluster/lease-host.ts';
import { SimClock } from '../sim/kernel/clock.ts';
import { SimStorage } from '../sim/kernel/disk.ts';
import {
  acquaint,
  HARNESS_LOCKSPACE,
  HARNESS_PLACE,
  ProcedureHarness,
} from '../sim/procedure-harness.ts';
import { readLockspaceSizes } from './delta-acquire.ts';
import type { LeaseError } from './lease-error.ts';
import { paxosAcquire, type Refusal } from './paxos-acquire.ts';
import { writeRequest } from './request.ts';
import { paxosRecord } from './testing/records.ts';
import { release, take, WISH } from './testing/users.ts';

// A lockspace begins at a multiple of its size, a lease where no client's bytes are (spec 10 §3).

function codeOf(result: Result<unknown, LeaseError | Refusal>): string {
  if (result.ok) return 'ok';
  const error = 'error' in result.error ? result.error.error : result.error;
  return error.errno === undefined ? error.code : `errno ${error.errno}`;
}

test('no host joins from among the host leases of a lockspace', () => {
  const harness = new ProcedureHarness();
  const one = harness.join(1);
  harness.join(2);
  const wish = { lockspaceName: HARNESS_LOCKSPACE, hostId: 1, ioTimeoutS: 10 };
  for (const offset of [512, 1024, 1999 * 512]) {
    const longer = new Uint8Array(2 * MIB);
    longer.set(harness.disks.lockspace);
    const steps = readLockspaceSizes({ ...wish, offset });
    const asked = steps.next();
    assert.ok(asked.done !== true);
    const bytes = longer.slice(offset, offset + 4096);
    const answer = steps.next({ outcome: 'done', bytes, nowMs: harness.nowMs });
    assert.ok(answer.done === true);
    assert.equal(codeOf(answer.value), 'errno 22', `at ${offset}`);
  }
  assert.equal(codeOf(one.run(readLockspaceSizes({ ...wish, offset: 0 }))), 'ok');
});

test('no area is formatted across two others', () => {
  const clock = new SimClock();
  const storage = new SimStorage();
  const disk = storage.add('/lun', 16 * MIB).fill(0xa5);
  const host = new LeaseHost({ name: 'host', storage, clock });
  for (const [geometry, offset] of [
    [GEOMETRY_512_1M, 512],
    [GEOMETRY_512_1M, MIB + 4096],
    [GEOMETRY_4K_8M, MIB],
    [GEOMETRY_4K_8M, 4096],
  ] as const) {
    const { sectorSize, areaBytes } = geometry;
    const sizes = { sectorSize, areaBytes };
    const common = { area: { path: '/lun', offset }, sizes, writeTimeoutMs: 60_000 };
    const lockspace = { op: 'writeLockspace', ...common, name: 'LS', ioTimeoutS: 10 } as const;
    const names = { lockspaceName: 'LS', resourceName: 'R' };
    const resource = { op: 'writeResource', ...common, name: names, numHosts: 0 } as const;
    for (const command of [
      lockspace,
      { ...resource, clear: false },
      { ...resource, clear: true },
    ]) {
      const answer = host.ask(command);
      assert.ok(!answer.ok && answer.error.errno === 22, `${command.op} at ${offset}`);
    }
  }
  assert.ok(
    disk.every((byte) => byte === 0xa5),
    'nothing is written',
  );
});

test('a value block that reads as a leader is none', () => {
  const harness = new ProcedureHarness(10, 2 * MIB);
  const [one, two] = [harness.join(1), harness.join(2)];
  acquaint([one, two]);
  take(two);
  const offset = LVB_SECTOR * 512;
  const forged = paxosRecord({ spaceName: HARNESS_LOCKSPACE, resourceName: 'forged' });
  encodePaxosLeader(forged, harness.disks.resource, offset);
  const before = harness.disks.resource.slice();
  const place = { ...HARNESS_PLACE, offset, resourceName: 'forged' };
  assert.equal(codeOf(one.run(paxosAcquire(one.member(), place, WISH))), 'errno 22');
  const wish = { lver: 9n, forceMode: 1, nextLver: false, geometry: GEOMETRY_512_1M };
  assert.equal(codeOf(one.run(writeRequest(one.member(), place, wish))), 'errno 22');
  assert.ok(sameBytes(harness.disks.resource, before), 'nothing is written');
  assert.equal(decode(paxosLeader, harness.disks.resource).ownerId, 2n);
});

test('a lease may be at any sector but a value block, as the original has it', () => {
  const cases: readonly (readonly [number, boolean])[] = [
    [0, true],
    [512, true],
    [1024, true],
    [4096, true],
    [MIB, true],
    [MIB + 1024, true],
    [2001 * 512, true],
    [2002 * 512, false],
    [5 * MIB + 2002 * 512, false],
    [2002 * 4096, false],
    [16 * MIB + 2002 * 4096, false],
    [MIB + 2002 * 4096, true],
    [2003 * 4096, true],
    [1, false],
    [1000, false],
    [MIB + 1, false],
  ];
  for (const [offset, isRight] of cases) assert.equal(isLeaseOffset(offset), isRight, `${offset}`);
});

test('a lease at 1024 is acquired, asked for and released', () => {
  const harness = new ProcedureHarness(10, 2 * MIB);
  const [one, two] = [harness.join(1), harness.join(2)];
  acquaint([one, two]);
  const offset = 1024;
  harness.disks.resource.copyWithin(offset, 0, MIB);
  const place = { ...HARNESS_PLACE, offset };
  const got = one.run(paxosAcquire(one.member(), place, WISH));
  assert.ok(got.ok, codeOf(got));
  const wish = { lver: 0n, forceMode: 1, nextLver: true, geometry: GEOMETRY_512_1M };
  assert.equal(codeOf(two.run(writeRequest(two.member(), place, wish))), 'ok');
  assert.equal(codeOf(two.run(paxosAcquire(two.member(), place, WISH))), 'ACQUIRE_IDLIVE');
  release(one, got.value);
  assert.equal(codeOf(two.run(paxosAcquire(two.member(), place, WISH))), 'ok');
});
