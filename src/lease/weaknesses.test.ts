import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Result } from '../base/result.ts';
import { MIB } from '../base/units.ts';
import { decode } from '../codec/struct.ts';
import { DBLOCK_FLAGS, type Dblock, dblock, encodeDblock } from '../format/dblock.ts';
import { GEOMETRIES, GEOMETRY_512_1M, type Geometry, hasLvb } from '../format/geometry.ts';
import { encodePaxosLeader, type PaxosLeader, paxosLeader } from '../format/leader.ts';
import {
  acquaint,
  HARNESS_HOSTS,
  HARNESS_LOCKSPACE,
  HARNESS_PLACE,
  HarnessHost,
  ProcedureHarness,
} from '../sim/procedure-harness.ts';
import { convertToExclusive } from './convert.ts';
import { initResource } from './initialise.ts';
import type { Refusal } from './paxos-acquire.ts';
import { writeRequest } from './request.ts';
import { ORIGINALS } from './testing/host.ts';
import { acquire, ORIGINAL_SLEEPS_MS, outrun, release, take } from './testing/users.ts';

// Weaknesses of the original on disk (spec 10 §17.1) and what becomes of them here. What no test of
// this file shows is named in docs/operations/weaknesses.md.

const BLOCK_END = 56;
const MODE_AT = 128;
const MODE_END = 144;

function hosts(harness = new ProcedureHarness()) {
  const [one, two, three] = [harness.join(1), harness.join(2), harness.join(3)];
  acquaint([one, two, three]);
  return { harness, one, two, three };
}

function refusal(got: Result<unknown, Refusal>): string {
  if (got.ok) return 'granted';
  const { code, errno } = got.error.error;
  return errno === undefined ? code : `errno ${errno}`;
}

const sectorOf = (hostId: number) => (1 + hostId) * 512;

function blockOf(harness: ProcedureHarness, hostId: number): Dblock {
  return decode(dblock, harness.disks.resource, sectorOf(hostId));
}

function leaderOf(harness: ProcedureHarness): PaxosLeader {
  return decode(paxosLeader, harness.disks.resource);
}

function setLeader(harness: ProcedureHarness, change: Partial<PaxosLeader>): void {
  encodePaxosLeader({ ...leaderOf(harness), ...change }, harness.disks.resource);
}

function format(harness: ProcedureHarness, geometry: Geometry): void {
  const names = { lockspaceName: HARNESS_LOCKSPACE, resourceName: HARNESS_PLACE.resourceName };
  const how = { offset: 0, geometry, numHosts: HARNESS_HOSTS, clear: false };
  const formatter = harness.join(4);
  const times = { writeTimeoutMs: 60_000, nowMs: harness.nowMs };
  assert.ok(formatter.run(initResource({ ...names, ...how, ...times })).ok);
}

test('item 2: a value block outside the area is refused before anything is written', () => {
  for (const geometry of GEOMETRIES) {
    const harness = new ProcedureHarness(10, 16 * MIB);
    const { one } = hosts(harness);
    format(harness, geometry);
    const before = harness.disks.resource.slice();
    for (const shared of [false, true]) {
      const got = one.run(acquire(one, { valueBlock: true, shared }));
      if (hasLvb(geometry)) {
        assert.ok(got.ok);
        release(one, got.value);
        continue;
      }
      assert.equal(refusal(got), 'errno 22');
      assert.deepEqual(harness.disks.resource, before);
    }
  }
  assert.deepEqual(
    GEOMETRIES.filter(hasLvb).map(({ sectorSize, areaBytes }) => [sectorSize, areaBytes / MIB]),
    [
      [512, 1],
      [4096, 8],
    ],
  );
});

test('item 3: two shared requests both succeed, wherever one overtakes the other', () => {
  for (let cut = 0; cut <= 12; cut++) {
    for (let rivalCut = 0; rivalCut <= 12; rivalCut++) {
      const { one, two } = hosts();
      const [first, second] = [one, two].map((host) => host.task(acquire(host, { shared: true })));
      assert.ok(first !== undefined && second !== undefined);
      first.advance(cut);
      second.advance(rivalCut);
      while (first.wants !== null || second.wants !== null) {
        first.step();
        second.step();
      }
      const results = [first.run(), second.run()].map(refusal);
      assert.deepEqual(results, ['granted', 'granted'], `${cut} and ${rivalCut} effects`);
    }
  }
});

/** Host 2 has committed host 1's values and is about to see whether host 1 writes the leader. */
function finishedForAnother() {
  const all = hosts();
  const first = all.one.task(acquire(all.one));
  first.advance(5); // both phases done, its own leader write to come
  assert.equal(first.wants?.op, 'write');
  const second = all.two.task(acquire(all.two));
  while (second.wants !== null && second.wants.op !== 'sleep') second.step();
  assert.equal(blockOf(all.harness, 2).inpHostId, 1n);
  return { ...all, first, second };
}

test("item 4: another host's win is not recorded over a newer leader", () => {
  const { harness, one, two, three, first, second } = finishedForAnother();
  const own = first.run();
  assert.ok(own.ok);
  release(one, own.value);
  take(three);
  assert.equal(leaderOf(harness).lver, 2n);
  assert.equal(refusal(second.run()), 'ACQUIRE_IDLIVE');
  assert.equal(leaderOf(harness).lver, 2n);
  assert.equal(leaderOf(harness).ownerId, 3n);
  assert.equal(refusal(two.run(acquire(two))), 'ACQUIRE_IDLIVE');
});

test("item 4: another host's win is not recorded once t/4 has passed since it was seen", () => {
  const { harness, two, second } = finishedForAnother();
  harness.nowMs += 2500; // io timeout 10 s
  let writes = 0;
  two.fate = ({ offset }) => {
    if (offset === HARNESS_PLACE.offset) writes++;
    return 'done';
  };
  const ballot = blockOf(harness, 2).mbal;
  while (second.wants !== null && blockOf(harness, 2).mbal === ballot) second.step();
  assert.equal(writes, 0);
  assert.ok(blockOf(harness, 2).mbal > ballot, 'a new ballot instead');
});

test('item 4: a host that is outrun without end gives up with an error', () => {
  const { harness, one } = hosts();
  one.fate = ({ offset, bytes }) => {
    if (offset !== sectorOf(1)) return 'done';
    const own = decode(dblock, bytes);
    const rival = { ...own, mbal: own.mbal + 2000n, bal: 0n, inpHostId: 0n };
    encodeDblock(rival, harness.disks.resource, sectorOf(2));
    return 'done';
  };
  assert.equal(refusal(one.run(acquire(one))), 'DBLOCK_MBAL');
});

test('item 5: a step up taken back leaves RELEASED, also where another host wrote the leader', () => {
  const { harness, one, two } = hosts();
  const held = take(one, { shared: true });
  take(two, { shared: true });
  const refused = one.run(convertToExclusive(one.member(), held, true));
  assert.equal(refusal(refused), 'errno 11');
  assert.equal(blockOf(harness, 1).flags & DBLOCK_FLAGS.RELEASED, DBLOCK_FLAGS.RELEASED);
});

test('item 5: an original that was outrun in a step up records it itself, and can take it back', () => {
  const { harness, one, two, three } = hosts();
  const held = take(one, { shared: true });
  take(three, { shared: true });
  const peer = one.task(ORIGINALS.toExclusive(one.member(), held));
  const ours = two.task(acquire(two, { shared: true }));
  outrun(peer, ours, () => blockOf(harness, 1).inpHostId === 1n && blockOf(harness, 1).lver === 3n);
  const wakesMs = harness.nowMs + ORIGINAL_SLEEPS_MS;
  while (ours.wants !== null && harness.nowMs < wakesMs) ours.step();
  assert.equal(refusal(peer.run()), 'errno 11');
  assert.equal(leaderOf(harness).timestampS, 0n, 'free');
  assert.equal(refusal(ours.run()), 'granted');
});

test('item 5: where one of many looks is late, the version of a host that has gone is recorded', () => {
  const { harness, one, two, three } = hosts();
  const held = take(one, { shared: true });
  take(three, { shared: true });
  const peer = one.task(ORIGINALS.toExclusive(one.member(), held));
  const ours = two.task(acquire(two, { shared: true }));
  outrun(peer, ours, () => blockOf(harness, 1).inpHostId === 1n && blockOf(harness, 1).lver === 3n);
  while (blockOf(harness, 2).inpHostId !== 1n) ours.step();
  const ballot = blockOf(harness, 2).mbal;
  ours.advance(12); // it looks whether host 1 records its version; host 1 never will
  harness.nowMs += 2500; // io timeout 10 s
  while (leaderOf(harness).lver < 3n && blockOf(harness, 2).mbal === ballot) ours.step();
  assert.equal(leaderOf(harness).ownerId, 1n);
  assert.equal(blockOf(harness, 2).mbal, ballot, 'by the ballot that decided it');
});

function spoil(harness: ProcedureHarness, hostId: number): void {
  harness.disks.resource.fill(0xa5, sectorOf(hostId), sectorOf(hostId) + 8);
}

test('item 7: a damaged block refuses the acquire, in the first read and inside the ballot', () => {
  for (let effects = 0; effects <= 4; effects++) {
    const { harness, one } = hosts();
    const task = one.task(acquire(one));
    task.advance(effects);
    spoil(harness, 3);
    assert.equal(refusal(task.run()), 'DBLOCK_CHECKSUM', `damaged after ${effects} effects`);
    assert.equal(leaderOf(harness).lver, 0n);
  }
});

test('item 8: numbers without a checksum that cannot be are refused, and nothing is written', () => {
  const cases: readonly (readonly [Partial<PaxosLeader>, string])[] = [
    [{ numHosts: 2001n }, 'LEADER_NUMHOSTS'],
    [{ numHosts: 2n ** 63n }, 'LEADER_NUMHOSTS'],
    [{ maxHosts: 0n }, 'LEADER_NUMHOSTS'],
    [{ sectorSize: 1024 }, 'LEADER_SECTORSIZE'],
    [{ ownerId: 2001n, timestampS: 9n }, 'LEADER_NUMHOSTS'],
    [{ ownerId: 2n ** 63n, timestampS: 9n }, 'LEADER_NUMHOSTS'],
  ];
  for (const [change, code] of cases) {
    const { harness, one } = hosts();
    setLeader(harness, change);
    const before = harness.disks.resource.slice();
    assert.equal(refusal(one.run(acquire(one))), code, Object.keys(change).join());
    assert.deepEqual(harness.disks.resource, before);
  }
});

test('item 8: an io timeout of 0 in the host lease of an owner counts as our own', () => {
  const { harness, one, two } = hosts();
  take(one);
  one.diedMs = harness.nowMs;
  const record = new DataView(harness.disks.lockspace.buffer);
  record.setUint16(174, 0, true); // no checksum protects it
  const diedMs = harness.nowMs;
  harness.nowMs = diedMs + 139_000;
  two.peers.set(1, new HarnessHost(harness, 1)); // never seen: only the record decides
  const early = two.task(acquire(two, { ownerNowait: false }));
  while (early.wants !== null && harness.nowMs < diedMs + 270_000) early.step();
  assert.equal(early.result, null, 'it waits by our own io timeout, 140 s');
  harness.nowMs += 20_000;
  assert.ok(early.run().ok);
});

/** All of a sector that no record has a field for. */
function pads(sector: Uint8Array): number[] {
  return [...sector.subarray(BLOCK_END, MODE_AT), ...sector.subarray(MODE_END)];
}

test('item 11: pads are written as zeros, whatever was there', () => {
  const { harness, one } = hosts();
  const dirty = (at: number) => harness.disks.resource.fill(0xa5, at, at + 512);
  const own = () => harness.disks.resource.slice(sectorOf(1), sectorOf(1) + 512);
  const clean = (when: string) =>
    assert.ok(
      pads(own()).every((byte) => byte === 0),
      when,
    );
  harness.disks.resource.fill(0xa5, sectorOf(1) + BLOCK_END, sectorOf(1) + MODE_AT);
  harness.disks.resource.fill(0xa5, sectorOf(1) + MODE_END, sectorOf(1) + 512);
  const shared = take(one, { shared: true });
  clean('shared acquire');
  const exclusive = one.run(convertToExclusive(one.member(), shared, true));
  assert.ok(exclusive.ok);
  clean('step up');
  assert.deepEqual([...own().subarray(MODE_AT, MODE_END)], new Array(16).fill(0));
  harness.disks.resource.fill(0xa5, 512 + 24, 1024);
  const wish = { lver: 0n, forceMode: 2, nextLver: true, geometry: GEOMETRY_512_1M };
  assert.ok(one.run(writeRequest(one.member(), HARNESS_PLACE, wish)).ok);
  assert.ok(harness.disks.resource.subarray(512 + 20, 1024).every((byte) => byte === 0));
  dirty(512 * 2001);
  release(one, exclusive.value);
  clean('release');
});

test('item 15: the ballot after being outrun is the next above the largest seen', () => {
  const { harness, one } = hosts();
  let ballots = 0;
  one.fate = ({ offset, bytes }) => {
    if (offset !== sectorOf(1)) return 'done';
    const own = decode(dblock, bytes);
    if (own.bal !== 0n || ballots++ > 0) return 'done';
    const rival = { ...own, mbal: 50_002n, bal: 0n, inpHostId: 0n };
    encodeDblock(rival, harness.disks.resource, sectorOf(2));
    return 'done';
  };
  take(one);
  assert.equal(ballots, 2);
  assert.equal(blockOf(harness, 1).mbal, 52_001n);
});

test('item 16: a win that another host recorded is no hold; a release keeps the block it held by', () => {
  const { harness, one, two } = hosts();
  const first = one.task(acquire(one));
  first.advance(4); // proposed; its second read to come
  assert.equal(refusal(two.run(acquire(two))), 'ACQUIRE_OTHER');
  assert.deepEqual([leaderOf(harness).ownerId, leaderOf(harness).writeId], [1n, 2n]);
  const own = first.run();
  assert.ok(own.ok);
  const { lver, writeId } = leaderOf(harness);
  assert.deepEqual([lver, writeId], [2n, 1n], 'the next version, recorded by itself');
  const before = blockOf(harness, 1);
  assert.equal(before.inpHostId, 1n);
  release(one, own.value);
  assert.deepEqual(blockOf(harness, 1), { ...before, flags: DBLOCK_FLAGS.RELEASED });
});
