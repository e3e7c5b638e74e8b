import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../base/units.ts';
import { decode } from '../codec/struct.ts';
import { dblock, encodeDblock } from '../format/dblock.ts';
import { GEOMETRY_512_1M, hostBlockSector, LVB_SECTOR } from '../format/geometry.ts';
import { encodePaxosLeader, type PaxosLeader, paxosLeader } from '../format/leader.ts';
import {
  acquaint,
  HARNESS_HOSTS,
  HARNESS_PLACE,
  type HarnessHost,
  ProcedureHarness,
  type WriteFate,
} from '../sim/procedure-harness.ts';
import { convertToExclusive, convertToShared } from './convert.ts';
import { paxosAcquire } from './paxos-acquire.ts';
import type { PaxosHold } from './paxos-hold.ts';
import { paxosRelease } from './paxos-release.ts';
import { type KnownLease, recoverLease } from './recover.ts';
import { createInIndex, formatIndex, recoverIndex } from './rindex.ts';
import type { IndexPlace } from './rindex-area.ts';

// What is found in states that one process alone does not bring about, or only with writes that
// were refused.

const GUESS = { geometry: GEOMETRY_512_1M, numHosts: HARNESS_HOSTS };
const NONE: KnownLease = { mode: 'none', lver: null, begun: 'nothing' };

function world() {
  const harness = new ProcedureHarness();
  const [one, two, three] = [harness.join(1), harness.join(2), harness.join(3)];
  acquaint([one, two, three]);
  return { harness, one, two, three };
}

function get(host: HarnessHost, shared = false) {
  const wish = { shared, ownerNowait: true, wantedLver: null, newNumHosts: null, guess: GUESS };
  return host.run(paxosAcquire(host.member(), HARNESS_PLACE, wish));
}

function take(host: HarnessHost, shared = false): PaxosHold {
  const got = get(host, shared);
  assert.ok(got.ok, 'a free lease is granted');
  return got.value;
}

function letGo(host: HarnessHost, hold: PaxosHold): void {
  assert.ok(host.run(paxosRelease(host.member(), hold, { lvb: null, rename: null })).ok);
}

function known(mode: 'ex' | 'sh', hold: PaxosHold, begun: KnownLease['begun'] = 'nothing') {
  return { mode, lver: hold.leader.lver, begun };
}

/** The hold, null, or the code of the error. */
function recover(host: HarnessHost, what: KnownLease, place = HARNESS_PLACE) {
  const found = host.run(recoverLease(host.member(), place, { known: what, guess: GUESS }));
  return found.ok ? found.value : found.error.code;
}

function modeOf(found: ReturnType<typeof recover>): string {
  if (found === null) return 'none';
  if (typeof found === 'string') return found;
  return found.shared ? 'shared' : 'exclusive';
}

function writesOf(host: HarnessHost, act: () => void): number {
  let writes = 0;
  const { fate } = host;
  host.fate = (write) => {
    writes++;
    return fate(write);
  };
  act();
  host.fate = fate;
  return writes;
}

function leaderOf({ disks }: ProcedureHarness): PaxosLeader {
  return decode(paxosLeader, disks.resource);
}

function setLeader(harness: ProcedureHarness, change: Partial<PaxosLeader>): void {
  encodePaxosLeader({ ...leaderOf(harness), ...change }, harness.disks.resource);
}

const blockOf = (hostId: number) => hostBlockSector(hostId) * 512;

test('a hold of which nothing was begun is found without a write, also while refused ones may land', () => {
  for (const shared of [false, true]) {
    const { one, two } = world();
    const hold = take(one, shared);
    one.isUnsure = true;
    const writes = writesOf(one, () => {
      const found = recover(one, known(shared ? 'sh' : 'ex', hold));
      assert.ok(found !== null && typeof found !== 'string');
      const { lver, ownerGeneration } = found.leader;
      assert.deepEqual(
        { shared: found.shared, lver, ownerGeneration, dblock: { ...found.dblock, checksum: 0 } },
        { shared, lver: hold.leader.lver, ownerGeneration: 1n, dblock: hold.dblock },
      );
    });
    assert.equal(writes, 0);
    for (const begun of ['toShared', 'toExclusive', 'release'] as const) {
      assert.equal(recover(one, known(shared ? 'sh' : 'ex', hold, begun)), 'AIO_TIMEOUT');
    }
    assert.equal(recover(one, NONE), 'AIO_TIMEOUT');
    assert.equal(get(two).ok, false);
  }
});

test('the lease of another host is neither ours nor touched', () => {
  for (const shared of [false, true]) {
    const { one, two, harness } = world();
    const former = take(one);
    letGo(one, former);
    const theirs = take(two, shared);
    const before = harness.disks.resource.slice(0, MIB);
    for (const what of [NONE, known('ex', former), known('sh', former), known('ex', theirs)]) {
      assert.equal(recover(one, what), null, JSON.stringify(what.mode));
      assert.deepEqual(harness.disks.resource.subarray(0, MIB), before);
    }
  }
});

test('a lease of an earlier membership is not one of this one', () => {
  for (const shared of [false, true]) {
    const { one, two } = world();
    const hold = take(one, shared);
    one.join();
    assert.equal(one.generation, 2n);
    assert.equal(recover(one, known(shared ? 'sh' : 'ex', hold)), null);
    assert.ok(get(two).ok || get(two).ok, 'others see it as free');
  }
});

test('a leader that a late write of another host put back does not end our hold', () => {
  for (const begun of ['nothing', 'release'] as const) {
    const { harness, one, two, three } = world();
    letGo(two, take(two));
    const older = leaderOf(harness);
    letGo(two, take(two));
    const hold = take(one);
    assert.equal(hold.leader.lver, 3n);
    encodePaxosLeader({ ...older, timestampS: 5n, writeId: 3n }, harness.disks.resource);
    const found = recover(one, known('ex', hold, begun));
    assert.equal(modeOf(found), 'exclusive');
    assert.ok(found !== null && typeof found !== 'string');
    assert.equal(found.leader.lver, 3n);
    for (const host of [two, three]) {
      assert.equal(get(host).ok, false, 'nobody else gets it');
      assert.equal(get(host).ok, false);
    }
    assert.equal(
      modeOf(recover(one, known('ex', hold, begun))),
      'exclusive',
      'recorded by another',
    );
    letGo(one, found);
    assert.ok(get(two).ok || get(two).ok);
  }
});

test('a version that others have passed is over, whatever its leader and our block say', () => {
  const { harness, one, two } = world();
  const hold = take(one);
  const ours = leaderOf(harness);
  const block = harness.disks.resource.slice(blockOf(1), blockOf(1) + 512);
  letGo(one, hold);
  const theirs = take(two);
  letGo(two, theirs);
  const last = take(two);
  assert.equal(last.leader.lver, 3n);
  encodePaxosLeader(ours, harness.disks.resource); // both written late
  harness.disks.resource.set(block, blockOf(1));
  assert.equal(modeOf(recover(one, known('ex', hold))), 'none');
  assert.equal(get(one).ok, false, 'host 2 has it');
  setLeader(harness, { lver: 0n, ownerId: 0n, timestampS: 0n });
  harness.disks.resource.set(block, blockOf(1));
  assert.equal(modeOf(recover(one, known('ex', hold))), 'none', 'the leader says nothing');
});

test('a shared hold has the version of its grant, whoever shares after it', () => {
  const { one, two } = world();
  const hold = take(one, true);
  take(two, true);
  const found = recover(one, known('sh', hold));
  assert.ok(found !== null && typeof found !== 'string');
  assert.equal(found.leader.lver, hold.leader.lver);
});

test('a version that another host recorded for us, and from which we have gone on, is over', () => {
  const { harness, one } = world();
  const hold = take(one);
  setLeader(harness, { writeId: 2n });
  const next = { ...hold.dblock, mbal: hold.dblock.mbal + 2000n, bal: 0n, lver: 2n };
  const values = { inpHostId: 0n, inpGeneration: 0n, inpTimestampS: 0n };
  encodeDblock({ ...next, ...values }, harness.disks.resource, blockOf(1));
  assert.equal(recover(one, known('ex', hold)), null);
});

test('values of ours in a version that went to another host, or in another membership, are no hold', () => {
  for (const isOthers of [true, false]) {
    const { harness, one, two } = world();
    const hold = take(isOthers ? two : one);
    if (isOthers) {
      const ours = { ...hold.dblock, mbal: 1n, bal: 1n, inpHostId: 1n, inpGeneration: 1n };
      encodeDblock(ours, harness.disks.resource, blockOf(1));
    } else one.join();
    setLeader(harness, { lver: 0n, ownerId: 3n, ownerGeneration: 1n, writeId: 3n });
    assert.equal(modeOf(recover(one, known('ex', hold))), 'none');
    assert.equal(modeOf(recover(one, known('sh', hold))), 'none');
  }
});

test('a release of which our block alone has landed is finished: its client had asked for it', () => {
  const { harness, one, two } = world();
  const hold = take(one);
  const leader = leaderOf(harness);
  letGo(one, hold);
  for (const writeId of [1n, 2n]) {
    encodePaxosLeader({ ...leader, writeId }, harness.disks.resource);
    assert.equal(recover(one, known('ex', hold, 'release')), null, `written by host ${writeId}`);
    assert.equal(leaderOf(harness).timestampS === 0n, writeId === 1n, 'only ours is freed');
  }
  assert.ok(get(two).ok);
});

test('an owner by another version than the journal knows is left alone', () => {
  const { harness, one } = world();
  const hold = take(one);
  letGo(one, hold);
  const next = take(one);
  assert.equal(next.leader.lver, hold.leader.lver + 1n);
  const before = harness.disks.resource.slice(0, MIB);
  assert.equal(recover(one, known('ex', hold)), 'DBLOCK_LVER');
  harness.disks.resource.fill(0, blockOf(1), blockOf(1) + 512);
  before.fill(0, blockOf(1), blockOf(1) + 512);
  for (const mode of ['ex', 'sh'] as const) {
    assert.equal(recover(one, known(mode, next)), 'DBLOCK_LVER', 'its block is gone');
  }
  assert.deepEqual(harness.disks.resource.subarray(0, MIB), before);
  assert.equal(recover(one, NONE), null, 'nobody relies on it');
  assert.equal(leaderOf(harness).timestampS, 0n);
});

test('damage: of our block or the leader nothing is known, of another block everything', () => {
  const { harness, one } = world();
  const hold = take(one);
  harness.disks.resource[blockOf(3) + 3] = 1;
  assert.equal(modeOf(recover(one, known('ex', hold))), 'exclusive');
  const sound = harness.disks.resource.slice(0, MIB);
  harness.disks.resource.fill(1, blockOf(1) + dblock.fields.mbal.offset, blockOf(1) + 4);
  assert.equal(recover(one, known('ex', hold)), 'DBLOCK_CHECKSUM');
  assert.equal(recover(one, known('sh', hold)), 'DBLOCK_CHECKSUM');
  harness.disks.resource.set(sound);
  const at = blockOf(1) + dblock.fields.checksum.offset;
  harness.disks.resource[at] = (harness.disks.resource[at] ?? 0) ^ 1;
  const block = harness.disks.resource.slice(blockOf(1), blockOf(1) + 512);
  assert.equal(recover(one, NONE), null);
  assert.equal(leaderOf(harness).timestampS, 0n, 'the leader is freed all the same');
  assert.deepEqual(harness.disks.resource.slice(blockOf(1), blockOf(1) + 512), block);
  harness.disks.resource.set(sound);
  harness.disks.resource[paxosLeader.fields.lver.offset] = 77;
  for (const mode of ['ex', 'sh'] as const) {
    assert.equal(recover(one, known(mode, hold)), 'LEADER_CHECKSUM');
  }
  assert.equal(recover(one, NONE), null, 'no host can have it');
});

test('another lease at that place, or no place for one: ours is not there', () => {
  const { harness, one } = world();
  const hold = take(one);
  setLeader(harness, { resourceName: 'vm9' });
  assert.equal(recover(one, known('ex', hold)), null);
  setLeader(harness, { resourceName: 'vm7', spaceName: 'other' });
  assert.equal(recover(one, known('ex', hold)), null);
  // A value block may hold what a leader would.
  setLeader(harness, { spaceName: 'LS' });
  const offset = LVB_SECTOR * 512;
  harness.disks.resource.set(harness.disks.resource.slice(0, 512), offset);
  const before = harness.disks.resource.slice(0, MIB);
  assert.equal(recover(one, NONE, { ...HARNESS_PLACE, offset }), null);
  assert.deepEqual(harness.disks.resource.subarray(0, MIB), before);
});

test('what cannot be read is not known', () => {
  for (const [fate, code] of [
    ['failed', 'ERRNO'],
    ['unknown', 'AIO_TIMEOUT'],
  ] as const) {
    const { one } = world();
    const hold = take(one);
    one.readFate = () => fate;
    for (const what of [NONE, known('ex', hold), known('sh', hold)]) {
      assert.equal(recover(one, what), code);
    }
  }
});

test('what cannot be written is done later, and the lease kept from others until then', () => {
  for (const fate of ['failed', 'landed', 'late'] as const satisfies readonly WriteFate[]) {
    const { one, two } = world();
    take(one); // its grant was never told
    one.fate = () => fate;
    assert.equal(recover(one, NONE), null);
    assert.equal(one.rest.length, 1, fate);
    one.fate = () => 'done';
    one.land();
    for (const rest of one.rest.splice(0)) one.run(rest());
    assert.ok(get(two).ok || get(two).ok, `${fate}: given back in the end`);
  }
});

test('a step down that cannot be finished stays as it is, and is asked for again', () => {
  const { one, two } = world();
  const shared = take(one, true);
  const turned = one.run(convertToExclusive(one.member(), shared, true));
  assert.ok(turned.ok); // and was never told
  const what = known('sh', shared, 'toExclusive');
  one.fate = () => 'failed';
  assert.equal(recover(one, what), 'ERRNO');
  assert.equal(get(two, true).ok, false);
  one.fate = () => 'done';
  assert.equal(modeOf(recover(one, what)), 'shared');
  assert.ok(get(two, true).ok);
});

/** Conversions that the device refused, and whose writes land when another process has the lease. */
test('after a refused conversion its lease is as its client was told, whenever the write lands', () => {
  for (const toShared of [true, false]) {
    for (let refused = 0; ; refused++) {
      for (const landsEarly of [true, false]) {
        const { one, two, three } = world();
        const hold = take(one, !toShared);
        let write = 0;
        one.fate = () => (write++ === refused ? 'refused' : 'done');
        const turned = one.run(
          toShared
            ? convertToShared(one.member(), hold, new Uint8Array(512))
            : convertToExclusive(one.member(), hold, true),
        );
        one.fate = () => 'done';
        if (write <= refused) return;
        one.rest.splice(0); // with its process
        const isShared = turned.ok ? toShared : !toShared;
        const at = `write ${refused} of the conversion ${toShared ? 'down' : 'up'}`;
        const what = known(isShared ? 'sh' : 'ex', turned.ok ? turned.value : hold);
        one.isUnsure = true;
        const land = () => {
          one.land();
          one.isUnsure = false;
        };
        if (landsEarly) land();
        let found = recover(one, what);
        if (!landsEarly) {
          for (const host of [two, three]) assert.ok(!get(host).ok, at);
          land();
          for (const rest of one.rest.splice(0)) one.run(rest());
        }
        if (found === 'AIO_TIMEOUT') found = recover(one, what);
        assert.equal(modeOf(found), isShared ? 'shared' : 'exclusive', at);
        assert.ok(!get(two).ok && !get(two).ok, `${at}: nobody else owns it`);
        assert.equal(get(three, true).ok || get(three, true).ok, isShared, `${at}: others share`);
      }
    }
  }
});

const INDEX: IndexPlace = {
  path: '/lun',
  offset: MIB,
  lockspaceName: 'LS',
  readTimeoutMs: 10_000,
  writeTimeoutMs: 60_000,
};

test('the lease of an index is given back after a task was cut anywhere', () => {
  for (let cut = 0; ; cut++) {
    const harness = new ProcedureHarness(10, 6 * MIB);
    const [one, two] = [harness.join(1), harness.join(2)];
    acquaint([one, two]);
    const shape = { geometry: GEOMETRY_512_1M, maxResources: 3, nowMs: harness.nowMs };
    assert.ok(one.run(formatIndex(INDEX, shape)).ok);
    const create = (host: HarnessHost, name: string) =>
      createInIndex(host.member(), INDEX, { name, nowMs: harness.nowMs });
    const task = one.task(create(one, 'a'));
    task.advance(cut);
    const isOver = task.wants === null;
    if (isOver && cut > 3) return;
    one.isUnsure = true;
    const early = one.run(recoverIndex(one.member(), INDEX));
    assert.ok(!early.ok && early.error.code === 'AIO_TIMEOUT', 'refused writes of it may land');
    one.isUnsure = false;
    assert.ok(one.run(recoverIndex(one.member(), INDEX)).ok);
    assert.ok(two.run(create(two, 'b')).ok || two.run(create(two, 'b')).ok, `cut ${cut}`);
  }
});
