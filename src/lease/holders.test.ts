import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encode, zeroRecord } from '../codec/struct.ts';
import {
  DBLOCK_FLAGS,
  type Dblock,
  dblock,
  encodeDblock,
  MODE_FLAGS,
  modeBlock,
} from '../format/dblock.ts';
import { GEOMETRY_512_1M } from '../format/geometry.ts';
import { Dice } from '../sim/kernel/dice.ts';
import {
  acquaint,
  HARNESS_HOSTS,
  HARNESS_PLACE,
  type HarnessHost,
  ProcedureHarness,
} from '../sim/procedure-harness.ts';
import { convertToExclusive, convertToShared } from './convert.ts';
import { type Holder, holdersIn } from './holders.ts';
import { readArea } from './paxos-area.ts';
import type { PaxosHold } from './paxos-hold.ts';
import { paxosRelease } from './paxos-release.ts';
import { acquire, take } from './testing/users.ts';

// `holders` finds in an area the owners that an acquire finds there: all hosts live, and renew.

const SEEDS = 400;
const TRIES = 4;

function three() {
  const harness = new ProcedureHarness();
  const [one, two, asker] = [harness.join(1), harness.join(2), harness.join(3)];
  acquaint([one, two, asker]);
  return { harness, one, two, asker };
}

function shown(asker: HarnessHost): { holders: readonly Holder[]; damaged: readonly number[] } {
  const guess = { geometry: GEOMETRY_512_1M, numHosts: HARNESS_HOSTS };
  const area = asker.run(readArea(asker.member(), HARNESS_PLACE, guess));
  if (!area.ok) return { holders: [], damaged: [Number(area.error.facts['host'])] };
  const { holders, damaged } = holdersIn(area.value);
  return { holders, damaged: damaged.map(({ hostId }) => hostId) };
}

/** 'granted', or what the last try was refused with: a first one may have to record another's win. */
function taken(asker: HarnessHost): string {
  let said = '';
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const got = asker.run(acquire(asker));
    if (got.ok) return 'granted';
    said = got.error.error.code;
  }
  return said;
}

function check(asker: HarnessHost, what: string): string {
  const { holders, damaged } = shown(asker);
  assert.equal(damaged.length, 0, what);
  const names = holders.map(({ hostId, mode }) => `${mode} ${hostId}`).join();
  const outcome = taken(asker);
  assert.equal(outcome === 'granted', holders.length === 0, `${what}: ${names}, and ${outcome}`);
  return holders.length === 0 ? 'free' : (holders[0]?.mode ?? '');
}

/** One thing that a user of the lease may want, as far as it gets. */
function begin(host: HarnessHost, dice: Dice): void {
  const shared = dice.chance(0.5);
  if (dice.chance(0.5)) {
    host.task(acquire(host, { shared })).advance(dice.below(12));
    return;
  }
  const got = host.run(acquire(host, { shared }));
  if (!got.ok) return;
  const hold: PaxosHold = got.value;
  const member = host.member();
  const release = () => paxosRelease(member, hold, { lvb: null, rename: null });
  const convert = () =>
    shared ? convertToExclusive(member, hold, true) : convertToShared(member, hold, null);
  const task = dice.chance(0.5) ? host.task(release()) : host.task(convert());
  task.advance(dice.below(10));
}

test('a host that is shown as a holder refuses an acquire, and where none is, it is granted', () => {
  const seen = new Map<string, number>();
  for (let seed = 1; seed <= SEEDS; seed++) {
    const dice = new Dice(seed, 'holders');
    const { one, two, asker } = three();
    begin(one, dice);
    if (dice.chance(0.5)) begin(two, dice);
    const state = check(asker, `seed ${seed}`);
    seen.set(state, (seen.get(state) ?? 0) + 1);
  }
  for (const state of ['free', 'exclusive', 'shared']) {
    assert.ok((seen.get(state) ?? 0) > SEEDS / 20, `${state}: ${seen.get(state)}`);
  }
});

const BLOCK_OF_ONE = 2 * 512;
const WRITE_ID_AT = 176;
const FLAGS_AT = 52;

/** Host 1 owns it by a leader that host 2 wrote, and its block is changed. */
function recordedByAnother(change: Partial<Dblock>) {
  const { harness, one, asker } = three();
  const { lver } = take(one).leader;
  new DataView(harness.disks.resource.buffer).setBigUint64(WRITE_ID_AT, 2n, true);
  const block = new Uint8Array(512);
  encodeDblock({ ...zeroRecord(dblock), lver, ...change }, block);
  harness.disks.resource.set(block, BLOCK_OF_ONE);
  return { harness, asker };
}

test('an owner whose leader another host wrote releases by its own block', () => {
  const ballot = { mbal: 1n, bal: 1n, inpHostId: 1n, inpGeneration: 1n, inpTimestampS: 9n };
  const flags = DBLOCK_FLAGS.RELEASED;
  assert.equal(check(recordedByAnother(ballot).asker, 'held'), 'exclusive');
  assert.equal(check(recordedByAnother({ ...ballot, flags }).asker, 'released'), 'free');
  // The original takes values back with an empty block.
  const emptied = recordedByAnother(ballot);
  emptied.harness.disks.resource.fill(0, BLOCK_OF_ONE, BLOCK_OF_ONE + 512);
  emptied.harness.disks.resource[BLOCK_OF_ONE + FLAGS_AT] = flags;
  assert.equal(check(emptied.asker, 'emptied'), 'free');
  assert.equal(check(recordedByAnother({ mbal: 2001n, lver: 2n }).asker, 'gone on'), 'free');
});

test('a mode block of generation 0 is no hold, and a damaged block keeps every host out', () => {
  const { harness, asker } = three();
  const mode = encode(modeBlock, { flags: MODE_FLAGS.SHARED, generation: 0n });
  harness.disks.resource.set(mode, BLOCK_OF_ONE + 128);
  assert.equal(check(asker, 'generation 0'), 'free');
  harness.disks.resource[BLOCK_OF_ONE + 1] = 7;
  assert.deepEqual(shown(asker), { holders: [], damaged: [1] });
  assert.equal(taken(asker), 'DBLOCK_CHECKSUM');
});
