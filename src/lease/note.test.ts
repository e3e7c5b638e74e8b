import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GEOMETRY_512_1M } from '../format/geometry.ts';
import type { NoteFacts, Taker } from '../format/holder-note.ts';
import { HARNESS_HOSTS, HARNESS_PLACE, ProcedureHarness } from '../sim/procedure-harness.ts';
import { convertToExclusive, convertToShared } from './convert.ts';
import { paxosAcquire } from './paxos-acquire.ts';
import type { PaxosHold } from './paxos-hold.ts';
import { paxosRelease } from './paxos-release.ts';
import { readHolders } from './read-holders.ts';
import { recoverLease } from './recover.ts';

// The holder note through the whole of a hold: what a reader of the disk is told, and when.

const WEB: Taker = { pid: 4711, clientName: 'web', command: 'qemu-kvm', uuid: '' };
const DB: Taker = { pid: 4712, clientName: 'db', command: 'sanlock', uuid: '' };
const GUESS = { geometry: GEOMETRY_512_1M, numHosts: HARNESS_HOSTS };
/** The harness begins 1000 s after its host did. */
const BOOTED_MS = 1_700_000_000_000;

function hosts() {
  const harness = new ProcedureHarness();
  const one = harness.join(1);
  const two = harness.join(2);
  for (const host of [one, two]) host.readHosts();
  const take = (host: typeof one, shared: boolean, taker: Taker | null) =>
    host.run(
      paxosAcquire(host.member(), HARNESS_PLACE, {
        ...{ shared, ownerNowait: true, wantedLver: null, newNumHosts: null, guess: GUESS },
        noteWish: taker === null ? null : { taker, wallAheadMs: BOOTED_MS },
      }),
    );
  const shown = () => {
    const read = one.run(readHolders({ offset: 0, spaceOffset: 0, timeoutMs: 10_000 }));
    assert.ok(read.ok);
    return read.value.holders.map(({ hostId, mode, note }) => [hostId, mode, saysOf(note)]);
  };
  return { harness, one, two, take, shown };
}

function saysOf(note: NoteFacts | null) {
  return note === null ? null : `${note.clientName} ${note.pid} since ${note.sinceUnixS}`;
}

function held(got: { ok: true; value: PaxosHold } | { ok: false }): PaxosHold {
  assert.ok(got.ok);
  return got.value;
}

test('an exclusive hold says who took it and since when, and a released lease says nothing', () => {
  const { harness, one, take, shown } = hosts();
  const begunS = Math.floor((BOOTED_MS + harness.nowMs) / 1000);
  const hold = held(take(one, false, WEB));
  assert.equal(hold.note?.sinceMonotonicS, hold.leader.timestampS);
  assert.equal(hold.note?.sinceUnixS, BigInt(begunS));
  assert.deepEqual(shown(), [[1, 'exclusive', `web 4711 since ${begunS}`]]);
  one.run(paxosRelease(one.member(), hold, { lvb: null, rename: null }));
  assert.deepEqual(shown(), []);
});

test('of shared holds each has its own note, and one of another program has none', () => {
  const { one, two, take, shown } = hosts();
  const hold = held(take(one, true, WEB));
  held(take(two, true, null));
  const since = hold.note?.sinceUnixS;
  const expected = [
    [1, 'shared', `web 4711 since ${since}`],
    [2, 'shared', null],
  ];
  assert.deepEqual(shown(), expected);
});

test('a conversion names who holds it now, and the time since the host has it', () => {
  const { harness, one, take, shown } = hosts();
  const hold = held(take(one, false, WEB));
  const since = hold.note?.sinceUnixS;
  harness.nowMs += 5000;
  one.renew();
  const shared = held(one.run(convertToShared(one.member(), hold, null, DB)));
  assert.deepEqual(shown(), [[1, 'shared', `db 4712 since ${since}`]]);
  harness.nowMs += 5000;
  one.renew();
  held(one.run(convertToExclusive(one.member(), shared, true)));
  assert.deepEqual(shown(), [[1, 'exclusive', `db 4712 since ${since}`]], 'as before');
});

test('a step up that other sharers refuse leaves the note of the shared hold', () => {
  const { one, two, take, shown } = hosts();
  const hold = held(take(one, true, WEB));
  held(take(two, true, null));
  const before = shown();
  const refused = one.run(convertToExclusive(one.member(), hold, true, DB));
  assert.equal(refused.ok, false);
  assert.deepEqual(shown(), before);
});

test('a lease that is recovered has the note with which it was taken', () => {
  for (const shared of [false, true]) {
    const { one, take, shown } = hosts();
    const hold = held(take(one, shared, WEB));
    const before = shown();
    const mode = shared ? 'sh' : 'ex';
    const known = { mode, lver: hold.leader.lver, begun: 'nothing' } as const;
    const recovered = one.run(recoverLease(one.member(), HARNESS_PLACE, { known, guess: GUESS }));
    assert.ok(recovered.ok);
    assert.deepEqual(recovered.value?.note, hold.note);
    assert.deepEqual(shown(), before);
  }
});

test('a host that joined again is not believed by its note of before', () => {
  const { harness, one, take, shown } = hosts();
  held(take(one, false, WEB));
  one.leave();
  harness.nowMs += 200_000;
  one.join();
  assert.equal(shown().length, 1, 'the hold of before is on the disk until it is taken over');
  const again = held(take(one, false, null));
  assert.equal(again.note, null);
  assert.deepEqual(shown(), [[1, 'exclusive', null]]);
});
