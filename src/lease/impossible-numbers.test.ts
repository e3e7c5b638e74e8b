import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sameBytes } from '../base/bytes.ts';
import { fail, type Result } from '../base/result.ts';
import type { Dblock } from '../format/dblock.ts';
import { GEOMETRY_512_1M } from '../format/geometry.ts';
import type { DeltaLeader, PaxosLeader } from '../format/leader.ts';
import {
  MAX_BALLOT,
  MAX_GENERATION,
  MAX_HOST_ID,
  MAX_LVER,
  MAX_TIMESTAMP_S,
} from '../format/limits.ts';
import { Dice } from '../sim/kernel/dice.ts';
import {
  acquaint,
  HARNESS_LOCKSPACE,
  HARNESS_PLACE,
  type HarnessHost,
  ProcedureHarness,
} from '../sim/procedure-harness.ts';
import { convertToExclusive, convertToShared } from './convert.ts';
import { deltaAcquire } from './delta-acquire.ts';
import { deltaRenew } from './delta-renew.ts';
import type { LeaseError } from './lease-error.ts';
import type { Refusal } from './paxos-acquire.ts';
import { paxosRelease } from './paxos-release.ts';
import { readLockspace, readOwners, readResource } from './read.ts';
import { findDamagedBlocks } from './repair.ts';
import { readRequest, writeRequest } from './request.ts';
import { plantBlock, plantHostLease, plantLeader, plantRequest } from './testing/hostile.ts';
import { acquire, take } from './testing/users.ts';

// A number that cannot be makes its record a damaged one, in every procedure (spec 10 §4.6).

const TOP = 2n ** 64n - 1n;
const BEYOND = BigInt(MAX_HOST_ID) + 1n;
const BYSTANDER = 5;
const READING = {
  offset: 0,
  lockspaceName: HARNESS_LOCKSPACE,
  resourceName: HARNESS_PLACE.resourceName,
  timeoutMs: 1000,
};
const ASKING = { lver: 0n, forceMode: 1, nextLver: true, geometry: GEOMETRY_512_1M };

function hosts(): { harness: ProcedureHarness; one: HarnessHost; two: HarnessHost } {
  const harness = new ProcedureHarness();
  const [one, two] = [harness.join(1), harness.join(2)];
  acquaint([one, two, harness.join(BYSTANDER)]);
  return { harness, one, two };
}

function codeOf(result: Result<unknown, LeaseError | Refusal>): string {
  if (result.ok) return 'ok';
  const error = 'error' in result.error ? result.error.error : result.error;
  return error.errno === undefined ? error.code : `errno ${error.errno}`;
}

const BLOCKS: readonly Partial<Dblock>[] = [
  { mbal: TOP },
  { mbal: MAX_BALLOT + 1n },
  { lver: TOP },
  { lver: TOP - 1n },
  { lver: MAX_LVER + 1n },
  { bal: TOP, mbal: 5n },
  { bal: 6n, mbal: 5n },
  { inpHostId: BEYOND },
  { inpHostId: 2n ** 32n + 1n },
  { inpGeneration: MAX_GENERATION + 1n },
  { inpTimestampS: MAX_TIMESTAMP_S + 1n },
];

for (const block of BLOCKS) {
  const [text] = Object.entries(block).map(([field, value]) => `${field} ${value}`);
  test(`a host block with ${text} is damaged`, () => {
    for (const shared of [false, true]) {
      const { harness, one } = hosts();
      plantBlock(harness, BYSTANDER, block);
      const before = harness.disks.resource.slice();
      assert.equal(codeOf(one.run(acquire(one, { shared }))), 'DBLOCK_CHECKSUM');
      assert.ok(sameBytes(harness.disks.resource, before), 'nothing is written');
      const found = one.run(findDamagedBlocks(READING));
      assert.deepEqual(found, { ok: true, value: { hosts: [BYSTANDER] } }, 'repair finds it');
    }
    const { harness, one } = hosts();
    const held = take(one, { shared: true });
    plantBlock(harness, BYSTANDER, block);
    const stepUp = one.run(convertToExclusive(one.member(), held, true));
    assert.equal(codeOf(stepUp), 'DBLOCK_CHECKSUM');
  });

  test(`a host block that comes to have ${text} ends the ballot`, () => {
    for (let effects = 1; effects <= 4; effects++) {
      const { harness, one } = hosts();
      const task = one.task(acquire(one));
      task.advance(effects);
      plantBlock(harness, BYSTANDER, block);
      assert.equal(codeOf(task.run()), 'DBLOCK_CHECKSUM', `after ${effects} effects`);
    }
  });
}

test('a shared hold of a generation that cannot be is damaged, and not cleared', () => {
  const { harness, one, two } = hosts();
  take(two, { shared: true });
  const mode = new DataView(harness.disks.resource.buffer, 3 * 512 + 128);
  mode.setBigUint64(8, TOP, true);
  two.diedMs = 1;
  assert.equal(codeOf(one.run(acquire(one))), 'DBLOCK_CHECKSUM');
});

/** Up to the generation of the mode block. */
const CUTS = Array.from({ length: 17 }, (_, n) => 8 + 8 * n);

test("a sharer's sector that reads as something else hides no hold, wherever it begins", () => {
  for (const cut of CUTS) {
    for (let seed = 1; seed <= 20; seed++) {
      const { harness, one, two } = hosts();
      take(two, { shared: true });
      const own = take(one, { shared: true });
      const dice = new Dice(seed, 'stray');
      const sector = harness.disks.resource.subarray(3 * 512, 4 * 512);
      for (let at = cut; at < sector.length; at++) sector[at] = dice.below(256);
      const text = `from byte ${cut} on, seed ${seed}`;
      const stepUp = one.run(convertToExclusive(one.member(), own, true));
      assert.equal(codeOf(stepUp), 'DBLOCK_CHECKSUM', `step up, ${text}`);
      one.run(paxosRelease(one.member(), own, { lvb: null, rename: null }));
      const before = harness.disks.resource.slice();
      assert.equal(codeOf(one.run(acquire(one))), 'DBLOCK_CHECKSUM', text);
      assert.ok(sameBytes(harness.disks.resource, before), `nothing is written: ${text}`);
    }
  }
});

for (const [text, at, value] of [
  ['a mode that no host writes', 128, 0x3],
  ['no hold but another mode', 128, 0x80],
  ['a flag that no host writes', 52, 0x3],
] as const) {
  test(`a host block with ${text} is damaged`, () => {
    const { harness, one, two } = hosts();
    take(two, { shared: true });
    harness.disks.resource[3 * 512 + at] = value;
    for (const shared of [false, true]) {
      assert.equal(codeOf(one.run(acquire(one, { shared }))), 'DBLOCK_CHECKSUM');
    }
    const found = one.run(findDamagedBlocks(READING));
    assert.deepEqual(found, { ok: true, value: { hosts: [2] } }, 'repair finds it');
  });
}

test('an empty host block is a sound one with RELEASED, and damaged with any other flag', () => {
  for (const flags of [0x1, 0x2, 0x3, 0x101, 0x8000_0001]) {
    const { harness, one } = hosts();
    const sector = new DataView(harness.disks.resource.buffer, 3 * 512, 512);
    sector.setUint32(52, flags, true);
    const wanted = flags === 0x1 ? 'ok' : 'DBLOCK_CHECKSUM';
    assert.equal(codeOf(one.run(acquire(one))), wanted, `flags ${flags}`);
  }
});

const LEADERS: readonly (readonly [Partial<PaxosLeader>, string])[] = [
  [{ lver: TOP }, 'LEADER_CHECKSUM'],
  [{ lver: MAX_LVER + 1n }, 'LEADER_CHECKSUM'],
  [{ ownerGeneration: TOP }, 'LEADER_CHECKSUM'],
  [{ timestampS: TOP, ownerId: 2n }, 'LEADER_CHECKSUM'],
  [{ writeId: BEYOND }, 'LEADER_CHECKSUM'],
  [{ writeGeneration: TOP }, 'LEADER_CHECKSUM'],
  [{ writeTimestampS: TOP }, 'LEADER_CHECKSUM'],
  [{ numHosts: TOP }, 'LEADER_NUMHOSTS'],
  [{ numHosts: 2001n }, 'LEADER_NUMHOSTS'],
  [{ maxHosts: 2n ** 63n }, 'LEADER_NUMHOSTS'],
  [{ maxHosts: 1999n }, 'LEADER_NUMHOSTS'],
  [{ maxHosts: 250n }, 'LEADER_NUMHOSTS'],
  [{ ownerId: BEYOND }, 'LEADER_NUMHOSTS'],
  [{ ownerId: 4294965249n, timestampS: 7n }, 'LEADER_NUMHOSTS'],
  [{ ownerId: 0n, timestampS: 7n }, 'LEADER_NUMHOSTS'],
];

for (const [change, code] of LEADERS) {
  const [text] = Object.entries(change).map(([field, value]) => `${field} ${value}`);
  test(`a leader with ${text} is damaged`, () => {
    const { harness, one, two } = hosts();
    plantLeader(harness, change);
    const before = harness.disks.resource.slice();
    const member = one.member();
    const said = {
      acquire: one.run(acquire(one)),
      shared: two.run(acquire(two, { shared: true })),
      request: one.run(writeRequest(member, HARNESS_PLACE, ASKING)),
      read: one.run(readResource(READING)),
      owners: one.run(readOwners({ ...READING, sizes: null })),
      damage: one.run(findDamagedBlocks(READING)),
    };
    for (const [what, result] of Object.entries(said)) assert.equal(codeOf(result), code, what);
    assert.ok(sameBytes(harness.disks.resource, before), 'nothing is written');
  });

  test(`a lease whose leader comes to have ${text} is not written over`, () => {
    const { harness, one } = hosts();
    const held = take(one);
    plantLeader(harness, change);
    const leader = harness.disks.resource.slice(0, 512);
    const release = one.run(paxosRelease(one.member(), held, { lvb: null, rename: null }));
    assert.equal(codeOf(release), code);
    assert.ok(sameBytes(harness.disks.resource.subarray(0, 512), leader));
    const two = hosts();
    const own = take(two.one);
    plantLeader(two.harness, change);
    two.one.run(convertToShared(two.one.member(), own, null));
    const third = two.two.run(acquire(two.two));
    assert.equal(codeOf(third), code, 'and not granted to anybody');
  });
}

const HOST_LEASES: readonly Partial<DeltaLeader>[] = [
  { ownerGeneration: TOP },
  { ownerGeneration: MAX_GENERATION + 1n },
  { timestampS: TOP },
  { timestampS: MAX_TIMESTAMP_S + 1n },
  { ownerId: BEYOND },
  { ownerId: 2n ** 32n + 1n },
  { ownerId: 3n },
  { ownerId: 0n },
  { lver: TOP },
  { numHosts: TOP },
  { maxHosts: TOP },
];

const PLACE_OF_ONE = {
  lockspaceName: HARNESS_LOCKSPACE,
  offset: 0,
  hostId: 1,
  hostName: 'host-1',
  ioTimeoutS: 10,
  aborted: () => false,
};

for (const change of HOST_LEASES) {
  const [text] = Object.entries(change).map(([field, value]) => `${field} ${value}`);
  test(`a host lease with ${text} is damaged: not taken, not renewed, and its host not gone`, () => {
    const { harness, one, two } = hosts();
    take(one);
    const joined = harness.join(1);
    const hold = one.run(deltaAcquire(PLACE_OF_ONE, GEOMETRY_512_1M));
    assert.ok(hold.ok);
    plantHostLease(harness, joined.hostId, change);
    const before = harness.disks.lockspace.slice();
    const renewal = {
      hold: hold.value,
      lastWriteLanded: false,
      readTimeoutMs: 1000,
      hostBits: [],
      event: null,
      observe: () => {},
    };
    const reading = { offset: 0, name: HARNESS_LOCKSPACE, hostId: 1, timeoutMs: 1000 };
    two.peers.delete(1); // what we saw of it decides nothing: the record does
    const renewed = one.run(deltaRenew(PLACE_OF_ONE, renewal));
    assert.ok(!renewed.ok && renewed.error.step === 'check');
    const said = {
      renewal: fail(renewed.error.error),
      join: one.run(deltaAcquire(PLACE_OF_ONE, GEOMETRY_512_1M)),
      read: one.run(readLockspace(reading)),
      'what it holds': two.run(acquire(two)),
    };
    for (const [what, result] of Object.entries(said)) {
      assert.equal(codeOf(result), 'LEADER_CHECKSUM', what);
    }
    assert.ok(sameBytes(harness.disks.lockspace, before), 'nothing is written');
  });
}

test('a request for a version that cannot be is none, stops no host, and can be cleared', () => {
  const { harness, one, two } = hosts();
  const held = take(one);
  plantRequest(harness, TOP);
  const member = two.member();
  assert.equal(codeOf(one.run(readRequest(one.member(), held, held.geometry))), 'REQUEST_MAGIC');
  assert.equal(codeOf(two.run(writeRequest(member, HARNESS_PLACE, ASKING))), 'REQUEST_MAGIC');
  const clear = { ...ASKING, lver: 0n, forceMode: 0, nextLver: false };
  assert.equal(codeOf(two.run(writeRequest(member, HARNESS_PLACE, clear))), 'ok');
  assert.equal(codeOf(two.run(writeRequest(member, HARNESS_PLACE, ASKING))), 'ok');
  const impossible = { ...ASKING, lver: MAX_LVER + 1n };
  assert.equal(codeOf(two.run(writeRequest(member, HARNESS_PLACE, impossible))), 'errno 22');
});

test('numbers at their end are refused, and never made larger', () => {
  const last: readonly (readonly [(harness: ProcedureHarness) => void, string])[] = [
    [(harness) => plantLeader(harness, { lver: MAX_LVER }), 'LEADER_CHECKSUM'],
    [(harness) => plantBlock(harness, BYSTANDER, { mbal: MAX_BALLOT }), 'DBLOCK_CHECKSUM'],
  ];
  for (const [plant, code] of last) {
    const { harness, one } = hosts();
    plant(harness);
    const before = harness.disks.resource.slice();
    assert.equal(codeOf(one.run(acquire(one))), code);
    assert.ok(sameBytes(harness.disks.resource, before), 'nothing is written');
  }
  const { harness, one } = hosts();
  plantLeader(harness, { lver: MAX_LVER - 1n });
  plantBlock(harness, BYSTANDER, { mbal: MAX_BALLOT - 4001n });
  const held = take(one);
  assert.equal(held.leader.lver, MAX_LVER);
  const asked = one.run(writeRequest(one.member(), HARNESS_PLACE, ASKING));
  assert.equal(codeOf(asked), 'LEADER_CHECKSUM', 'no version is left to ask for');

  plantHostLease(harness, 3, { ownerId: 3n, ownerGeneration: MAX_GENERATION });
  const place = { ...PLACE_OF_ONE, hostId: 3, hostName: 'host-3' };
  const before = harness.disks.lockspace.slice();
  assert.equal(codeOf(one.run(deltaAcquire(place, GEOMETRY_512_1M))), 'LEADER_CHECKSUM');
  assert.ok(sameBytes(harness.disks.lockspace, before), 'no generation after the last');
});
