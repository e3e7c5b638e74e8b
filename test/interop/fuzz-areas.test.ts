import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sameBytes } from '../../src/base/bytes.ts';
import { GEOMETRY_512_1M } from '../../src/format/geometry.ts';
import { deltaAcquire, readLockspaceSizes } from '../../src/lease/delta-acquire.ts';
import { deltaRenew } from '../../src/lease/delta-renew.ts';
import { paxosAcquire } from '../../src/lease/paxos-acquire.ts';
import { paxosRelease } from '../../src/lease/paxos-release.ts';
import { readLockspace, readOwners, readResource } from '../../src/lease/read.ts';
import { FuzzDevice, LS_AT, memberOf, RES_AT, randomFrom } from './fuzz-device.ts';

/** Whatever bytes lie in an area, a procedure ends with an answer and writes nowhere else. */
const ROUNDS = Number(process.env['HOLDFAST_ROUNDS'] ?? 300);

/** Each is given the same scribbled device. */
const PROCEDURES: readonly ((device: FuzzDevice) => unknown)[] = [
  (device) => {
    const member = memberOf(device);
    const place = { path: '/dev/x', offset: RES_AT, resourceName: 'RA' };
    const wish = {
      shared: device.random() < 0.5,
      ownerNowait: device.random() < 0.5,
      wantedLver: null,
      newNumHosts: null,
      guess: { geometry: GEOMETRY_512_1M, numHosts: 2000 },
    };
    const got = device.run(paxosAcquire(member, place, wish));
    if (got?.ok !== true) return;
    assert.equal(got.value.leader.lver > 0n, true);
    device.run(paxosRelease(member, got.value, { lvb: null, rename: null }));
  },
  (device) => {
    const name = { lockspaceName: 'LS', resourceName: 'RA', offset: RES_AT, timeoutMs: 1000 };
    device.run(readResource(name));
    device.run(readOwners({ ...name, sizes: null }));
  },
  (device) => {
    const hostId = 1 + device.below(4);
    device.run(readLockspace({ offset: LS_AT, name: '', hostId, timeoutMs: 1000 }));
    const place = {
      lockspaceName: 'LS',
      offset: LS_AT,
      hostId,
      hostName: `host${hostId}`,
      ioTimeoutS: 2,
      aborted: () => false,
    };
    const sizes = device.run(readLockspaceSizes(place));
    if (sizes?.ok !== true) return;
    const hold = device.run(deltaAcquire(place, sizes.value));
    if (hold?.ok !== true) return;
    device.scribble(LS_AT + device.below(4) * 512, device.below(300));
    const renewal = {
      hold: hold.value,
      lastWriteLanded: device.random() < 0.5,
      readTimeoutMs: 1000,
      hostBits: [1, 2000],
      event: null,
      observe: () => undefined,
    };
    device.run(deltaRenew(place, renewal));
  },
];

test('no content of an area makes a procedure throw, run for ever or write elsewhere', () => {
  const seed = Number(process.env['HOLDFAST_SEED'] ?? 8842);
  const random = randomFrom(seed);
  const device = new FuzzDevice(random);
  for (let round = 0; round < ROUNDS; round++) {
    device.fill();
    const before = device.guards();
    const procedure = PROCEDURES[round % PROCEDURES.length];
    try {
      procedure?.(device);
    } catch (thrown) {
      assert.fail(`HOLDFAST_SEED=${seed}, round ${round}: ${thrown}`);
    }
    assert.ok(sameBytes(device.guards(), before), `round ${round} wrote outside its areas`);
  }
});
