import assert from 'node:assert/strict';
import { test } from 'node:test';
import { zeroRecord } from '../../src/codec/struct.ts';
import { dblock, encodeDblock } from '../../src/format/dblock.ts';
import { GEOMETRY_512_1M } from '../../src/format/geometry.ts';
import { encodeDeltaLeader, encodePaxosLeader } from '../../src/format/leader.ts';
import type { Member } from '../../src/lease/member.ts';
import { paxosAcquire } from '../../src/lease/paxos-acquire.ts';
import { paxosRelease } from '../../src/lease/paxos-release.ts';
import type { Steps } from '../../src/lease/steps.ts';
import { deltaRecord, paxosRecord } from '../../src/lease/testing/records.ts';
import { FuzzDevice, LS_AT, memberOf, RES_AT, randomFrom } from './fuzz-device.ts';

/** Whatever bytes lie in an area: of two hosts that race for its lease, never both hold it. */
const ROUNDS = Number(process.env['HOLDFAST_ROUNDS'] ?? 3000);
/** Blocks that take part: few, so that a round costs little. */
const HOSTS = 8;

const USUAL_LEADER = paxosRecord({ numHosts: BigInt(HOSTS) });

const USUAL_HOST = deltaRecord({ ioTimeoutS: 2 });

/** A host that has joined, renews, and wants the resource again and again. */
interface Racer {
  readonly member: Member;
  nowS: bigint;
  holds: 'exclusive' | 'shared' | null;
}

/** A leader and blocks as hosts write them, but for a number or a few bytes. */
function putRace(device: FuzzDevice, hosts: readonly Racer[]): void {
  const few = (limit: number) => BigInt(device.below(limit));
  device.bytes.fill(0);
  const leader = { ...USUAL_LEADER, lver: few(3), ownerId: few(3), ownerGeneration: few(3) };
  const blocks = Array.from({ length: 1 + device.below(3) }, () => {
    const hostId = 1 + device.below(6);
    const mbal = BigInt(2000 * device.below(3) + hostId);
    return { hostId, block: { ...zeroRecord(dblock), mbal, lver: few(3), flags: device.below(2) } };
  });
  const edge = device.u64();
  const [first] = blocks;
  const spoilt = device.below(4);
  const field = <K extends string>(...names: readonly K[]) => ({
    [names[device.below(names.length)] ?? '']: edge,
  });
  if (spoilt === 0) Object.assign(leader, field('lver', 'maxHosts', 'ownerId', 'ownerGeneration'));
  else if (spoilt < 3 && first !== undefined) {
    Object.assign(first.block, field('mbal', 'lver', 'bal', 'inpHostId', 'inpTimestampS'));
  }
  encodePaxosLeader(leader, device.bytes, RES_AT);
  for (const { hostId, block } of blocks) {
    encodeDblock(block, device.bytes, RES_AT + (1 + hostId) * 512);
  }
  if (spoilt === 3) device.scribble(RES_AT + device.below(8) * 512 + device.below(200), 40);
  for (const { member, nowS } of hosts) putJoined(device, member, nowS);
}

function putJoined(device: FuzzDevice, { hostId, generation }: Member, nowS: bigint): void {
  const lease = { ...USUAL_HOST, ownerId: BigInt(hostId), ownerGeneration: generation };
  const record = { ...lease, hostName: `host${hostId}`, timestampS: nowS };
  encodeDeltaLeader(record, device.bytes, LS_AT + (hostId - 1) * 512);
}

const BURSTS = 100;
const WANTS = 3;

/** Both renew whenever the other reads. */
function racers(device: FuzzDevice): readonly [Racer, Racer] {
  const two: Racer[] = [];
  const racer = (hostId: number): Racer => ({
    member: {
      ...memberOf(device),
      hostId,
      generation: BigInt(1 + device.below(2)),
      hostView: (id) => {
        const seen = two.find(({ member }) => member.hostId === id);
        if (seen === undefined) return null;
        const { generation } = seen.member;
        const times = { firstCheckMs: 1, lastCheckMs: device.nowMs, lastLiveMs: device.nowMs };
        return {
          ...{ ...times, ownerId: id, generation, timestampS: seen.nowS },
          ...{ ioTimeoutS: 2, hostName: `host${id}` },
        };
      },
    },
    nowS: 1000n,
    holds: null,
  });
  const [one, other] = [racer(1), racer(2)];
  two.push(one, other);
  return [one, other];
}

function* career(device: FuzzDevice, racer: Racer): Steps<null> {
  const place = { path: '/dev/x', offset: RES_AT, resourceName: 'RA' };
  const guess = { geometry: GEOMETRY_512_1M, numHosts: HOSTS };
  for (let n = 0; n < WANTS; n++) {
    const shared = device.random() < 0.3;
    const wish = { shared, ownerNowait: true, wantedLver: null, newNumHosts: null, guess };
    const got = yield* paxosAcquire(racer.member, place, wish);
    if (!got.ok) continue;
    racer.holds = shared ? 'shared' : 'exclusive';
    for (let works = device.below(6); works > 0; works--) yield { op: 'sleep', forMs: 1 };
    racer.holds = null;
    yield* paxosRelease(racer.member, got.value, { lvb: null, rename: null });
  }
  return null;
}

test('whatever bytes lie in an area, two hosts that race for its lease never both hold it', (t) => {
  const seed = Number(process.env['HOLDFAST_SEED'] ?? 8842);
  const device = new FuzzDevice(randomFrom(seed));
  let grants = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const both = racers(device);
    putRace(device, both);
    const runs = both.map((racer) => {
      const steps = career(device, racer);
      return { racer, steps, turn: steps.next() };
    });
    for (let n = 0; n < BURSTS; n++) {
      const run = runs[device.below(2)];
      for (let effects = device.below(7); effects > 0 && run?.turn.done === false; effects--) {
        const had = run.racer.holds;
        run.turn = run.steps.next(device.perform(run.turn.value));
        if (had === null && run.racer.holds !== null) grants++;
        const held = both.flatMap(({ holds }) => holds ?? []);
        const isSafe = held.length < 2 || held.every((mode) => mode === 'shared');
        assert.ok(isSafe, `HOLDFAST_SEED=${seed}, round ${round}: ${held.join(' beside ')}`);
      }
      if (run === undefined) continue;
      run.racer.nowS += 1n;
      putJoined(device, run.racer.member, run.racer.nowS);
    }
  }
  t.diagnostic(`${grants} grants`);
  assert.ok(grants > ROUNDS / 10, 'many areas are usable');
});
