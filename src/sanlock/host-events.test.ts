import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encode } from '../codec/struct.ts';
import type { HostSignal } from '../lease-process/messages.ts';
import { EVENT_FLAGS, REQUEST_FLAGS, SM_CMD, sanlkHostEvent } from '../wire/sanlock/socket.ts';
import { announce } from './host-events.ts';
import type { Lockspace } from './state.ts';
import { Harness, lockspace, resource } from './testing/harness.ts';

const T = 2;
const { CUR_GENERATION, CLEAR_HOSTID, CLEAR_EVENT, REPLACE_EVENT, ALL_HOSTS } = EVENT_FLAGS;
const SET = SM_CMD.SET_EVENT;
const REG = SM_CMD.REG_EVENT;
const END = SM_CMD.END_EVENT;

interface Wish {
  readonly name?: string;
  readonly hostId?: bigint;
  readonly generation?: bigint;
  readonly event?: bigint;
  readonly data?: bigint;
}

function body(wish: Wish = {}): Uint8Array {
  const { name = 'LS', hostId = 2n, generation = 0n, event = 1n, data = 0n } = wish;
  const what = encode(sanlkHostEvent, { hostId, generation, event, data });
  return Uint8Array.from([...lockspace(name), ...what]);
}

function joined(): {
  harness: Harness;
  space: Lockspace;
  set: (wish: Wish, flags?: number) => void;
} {
  const harness = new Harness();
  harness.join(T);
  const [space] = harness.front.lockspaces;
  assert.ok(space !== undefined);
  const asker = harness.connect(1, false);
  return {
    harness,
    space,
    set: (wish, flags = 0) => harness.ask(asker, SET, body(wish), { cmdFlags: flags }),
  };
}

test('a request sets the bit of its owner, and none for an id that no host here can have', () => {
  const { harness, space } = joined();
  const asker = harness.connect(2, false);
  for (const [ownerId, called] of [
    [3, [3]],
    [4294965249, []],
    [2001, []],
    [-5, []],
    [space.hostId, []],
  ] as const) {
    space.bits.clear();
    harness.ask(asker, SM_CMD.REQUEST, resource(1), { data: 1, cmdFlags: REQUEST_FLAGS.NEXT_LVER });
    harness.ran(1, { op: 'request', ownerId, ownerGeneration: 1n });
    assert.deepEqual([...space.bits.keys()], called);
  }
});

const signal = (number: bigint): HostSignal => ({
  fromHostId: 2,
  fromGeneration: 3n,
  event: { generation: 1n, number, data: 9n },
});

const DONE = [`c2 answer ${SET}: 0`];
const BUSY = [`c2 answer ${SET}: -16`];

test('an event keeps out another one until its bit was set for 6·t, and a repetition renews that', () => {
  const { harness, space, set } = joined();
  harness.play([
    [101, () => set({ event: 1n, data: 2n }), DONE],
    [101, () => set({ event: 4n }), BUSY],
    [101, () => set({ event: 4n, hostId: 3n }), BUSY], // all bits share one event
    [101, () => set({ event: 4n }, CLEAR_HOSTID | REPLACE_EVENT), DONE],
    [108, () => set({ event: 1n, data: 3n }), DONE],
    [119, () => set({ event: 4n }), BUSY],
    [120, () => set({ event: 4n }), DONE],
    [120, () => set({ event: 0n, data: 7n }), DONE], // an event of 0 delays no other
    [121, () => set({ event: 5n }), DONE],
    [121, () => set({ event: 6n }, REPLACE_EVENT), DONE],
  ]);
  assert.deepEqual(space.event, { generation: 0n, number: 6n, data: 0n });
});

test('CLEAR_EVENT takes the event and leaves the bits, CLEAR_HOSTID takes one bit', () => {
  const { harness, space, set } = joined();
  harness.at(101_000);
  set({ event: 1n, hostId: 2n });
  set({ event: 1n, hostId: 3n });
  set({ event: 8n, hostId: 2n }, CLEAR_HOSTID | ALL_HOSTS);
  assert.deepEqual([...space.bits.keys()], [3]);
  assert.equal(space.event?.number, 1n);
  set({ event: 8n, hostId: 3n }, CLEAR_EVENT | CLEAR_HOSTID);
  assert.deepEqual([...space.bits.keys()], [3]);
  assert.deepEqual(space.event, { generation: 0n, number: 0n, data: 0n });
  set({ event: 8n });
  assert.equal(space.event.number, 8n, 'the next one need not wait');
});

test('ALL_HOSTS sets every bit but our own; CUR_GENERATION fills a missing generation', () => {
  const { space, set } = joined();
  set({ hostId: 1n });
  assert.equal(space.bits.size, 0, 'our own bit is never set');
  set({}, ALL_HOSTS);
  assert.equal(space.bits.size, space.maxHosts - 1);
  assert.equal(space.bits.has(space.hostId), false);
  const seen = { ownerId: 2, timestampS: 5n, ioTimeoutS: T, hostName: '' };
  space.hosts.set(2, { ...seen, hostId: 2, generation: 7n, firstCheckS: 1, lastLiveS: 1 });
  for (const [generation, flags, carried] of [
    [0n, 0, 0n],
    [0n, CUR_GENERATION, 7n],
    [3n, CUR_GENERATION, 3n],
  ] as const) {
    set({ generation }, flags);
    assert.equal(space.event?.generation, carried);
  }
});

test('refused: no name, no such lockspace, an impossible host id', () => {
  const { harness, space, set } = joined();
  space.maxHosts = 250;
  const refused = (result: number) => [`c2 answer ${SET}: ${result}`];
  harness.play([
    [101, () => set({ name: '' }), refused(-22)],
    [101, () => set({ name: 'NO' }), refused(-2)],
    [101, () => set({ hostId: 0n }, ALL_HOSTS), refused(-22)],
    [101, () => set({ hostId: 2001n, name: 'NO' }), refused(-22)],
    [101, () => set({ hostId: 251n }), refused(-22)],
    [101, () => set({ hostId: 250n }), DONE],
  ]);
});

test('every listener gets one frame for each renewal that carries an event', () => {
  const { harness } = joined();
  const [one, two] = [harness.connect(11, false), harness.connect(12, false)];
  const heard = {
    kind: 'hosts',
    sentS: 101,
    checkedS: 101,
    changed: [],
    signals: [signal(4n)],
  } as const;
  const silent = { ...heard, signals: [{ ...signal(4n), event: null }] };
  const words = [1n, 1n, 4n, 9n, 2n, 3n].map((word) => `0${word}${'00'.repeat(7)}`).join('');
  const frames = [`c3 event ${words}`, `c4 event ${words}`];
  harness.play([
    [101, () => harness.ask(one, REG, body()), [`c3 answer ${REG}: 0`]],
    [101, () => harness.ask(two, REG, body()), [`c4 answer ${REG}: 0`]],
    [102, () => harness.leaseSends(1, heard), frames],
    [106, () => harness.leaseSends(1, heard), frames],
    [110, () => harness.leaseSends(1, silent), []],
  ]);
  assert.equal(
    harness.front.clients.has(one.connection),
    false,
    'a listener is no client any more',
  );
  harness.deaf.add(one.connection);
  harness.play([
    [114, () => harness.leaseSends(1, heard), ['c3 event refused', 'c3 end', `c4 event ${words}`]],
    [118, () => harness.leaseSends(1, heard), [`c4 event ${words}`]],
  ]);
});

test('a lockspace has 32 listeners; a registered process stays one of the clients', () => {
  const { harness } = joined();
  for (let n = 0; n < 31; n++) harness.ask(harness.connect(20 + n, false), REG, body());
  const process = harness.connect(99);
  harness.ask(process, REG, body());
  assert.ok(harness.front.clients.has(process.connection));
  const late = harness.connect(100, false);
  const asker = harness.connect(101, false);
  const full = [`c${late.connection} answer ${REG}: -50`, `c${late.connection} end`];
  const ended = [`c${asker.connection} answer ${END}: -2`, `c${asker.connection} end`];
  harness.play([
    [101, () => harness.ask(late, REG, body()), full],
    [101, () => harness.ask(asker, END, lockspace('NO')), ended],
  ]);
});

test('a lease process is told what its renewals carry only when that is new', () => {
  const { harness, space, set } = joined();
  const told = (): readonly unknown[] => {
    const { front } = harness;
    const before = front.effects.length;
    announce(front, space);
    return front.effects.slice(before).flatMap((effect) => {
      if (effect.kind !== 'toLease' || effect.message.kind !== 'announce') return [];
      return [[effect.message.hostIds, effect.message.event?.number ?? null]];
    });
  };
  assert.deepEqual(told(), [], 'it carries nothing before it is told');
  set({ hostId: 7n, event: 1n });
  assert.deepEqual(told(), []);
  space.bits.set(8, space.bits.get(7) ?? 0);
  assert.deepEqual(told(), [[[7, 8], 1n]]);
  assert.deepEqual(told(), []);
  set({ event: 2n }, CLEAR_EVENT);
  assert.deepEqual(space.announced, { hostIds: [7, 8], event: space.event });
  space.bits.clear();
  assert.deepEqual(told(), [[[], 0n]]);
});
