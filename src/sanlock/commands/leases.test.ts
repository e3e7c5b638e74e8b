import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACQUIRE_FLAGS, REL_FLAGS, RES_FLAGS, SM_CMD } from '../../wire/sanlock/socket.ts';
import type { Client } from '../state.ts';
import { acquireBody, Harness, hold, resource } from '../testing/harness.ts';

const at = 100;
const bare = (n: number, flags = 0) => resource(n, { flags, bare: true });

/** A client that holds R1. */
function held(flags = 0, cmdFlags = 0): { harness: Harness; client: Client } {
  const harness = new Harness();
  harness.join(10);
  const client = harness.connect(501);
  const body = acquireBody([resource(1, { flags })]);
  harness.ask(client, SM_CMD.ACQUIRE, body, { data: 1, cmdFlags });
  harness.granted(1, 1, flags !== 0);
  return { harness, client };
}

function converted(n: number, shared: boolean) {
  return { op: 'convert', hold: hold(n, { shared, lver: 2n }) } as const;
}

test('no client joins a shared hold that is on its way to exclusive', () => {
  const { harness, client } = held(RES_FLAGS.SHARED);
  const other = harness.connect(502);
  const join = () => {
    const body = acquireBody([resource(1, { flags: RES_FLAGS.SHARED })]);
    harness.ask(other, SM_CMD.ACQUIRE, body, { data: 1 });
  };
  harness.play([
    [at, () => harness.ask(client, SM_CMD.CONVERT, bare(1)), ['lease1 convert R1']],
    [at, join, ['c3 answer 7: -16']],
    [at, () => harness.ran(1, converted(1, false)), ['c2 answer 27: 0']],
    [at, join, ['c3 answer 7: -17']],
  ]);
});

test('a refused step up leaves the shared hold, and others may join it again', () => {
  const { harness, client } = held(RES_FLAGS.SHARED);
  const other = harness.connect(502);
  const body = acquireBody([resource(1, { flags: RES_FLAGS.SHARED })]);
  harness.play([
    [at, () => harness.ask(client, SM_CMD.CONVERT, bare(1)), ['lease1 convert R1']],
    [at, () => harness.ran(1, 'ACQUIRE_IDLIVE'), ['c2 answer 27: -243']],
    [at, () => harness.ask(other, SM_CMD.ACQUIRE, body, { data: 1 }), ['c3 answer 7: 0']],
    [at, () => harness.ask(client, SM_CMD.CONVERT, bare(1)), ['c2 answer 27: -11']], // two sharers
  ]);
});

test('a pid with two connections is the one in the lower slot, not the older one', () => {
  const { harness, client } = held();
  const gone = harness.connect(1);
  const older = harness.connect(777);
  for (const [key, one] of harness.front.clients)
    if (one === gone) harness.front.clients.delete(key);
  const newer = harness.connect(777);
  assert.ok(newer.slot < older.slot);
  assert.equal(harness.front.clientByPid(777), newer);
  assert.equal(harness.front.clientByPid(501), client);
});

test('conversions of a lease that is not held, or is held so already', () => {
  const { harness, client } = held();
  harness.play([
    [at, () => harness.ask(client, SM_CMD.CONVERT, bare(2)), ['c2 answer 27: -2']],
    [at, () => harness.ask(client, SM_CMD.CONVERT, bare(1)), ['c2 answer 27: -114']],
  ]);
});

test('a step up that comes after own expiry grants nothing', () => {
  const { harness, client } = held(RES_FLAGS.SHARED);
  harness.play([
    [179, () => harness.ask(client, SM_CMD.CONVERT, bare(1)), ['lease1 convert R1']],
    [180, () => harness.ran(1, converted(1, false)), ['c2 answer 27: -28']],
  ]);
});

test('a value that is set while the hold steps down is written later', () => {
  const { harness, client } = held(0, ACQUIRE_FLAGS.LVB);
  const asker = harness.connect(900, false);
  const set = (value: number) => () =>
    harness.ask(asker, SM_CMD.SET_LVB, Uint8Array.from([...bare(1), value]));
  const toShared = bare(1, RES_FLAGS.SHARED);
  harness.play([
    [at, set(1), ['c3 answer 25: 0']],
    [at, () => harness.ask(client, SM_CMD.CONVERT, toShared), ['lease1 convert R1']],
    [at, set(2), ['c3 answer 25: 0']],
  ]);
  const sent = harness.runs[0]?.command;
  assert.ok(sent?.op === 'convert' && sent.lvb?.[0] === 1);
  harness.ran(1, converted(1, true));
  assert.equal(harness.front.resources[0]?.lvbDirty, true);
  assert.equal(harness.front.resources[0]?.lvb?.[0], 2);
});

test('release: a lease that is not held makes −1, the rest is released; a disk error outweighs it', () => {
  const { harness, client } = held();
  const release = (numbers: number[]) => () => {
    const body = Uint8Array.from(numbers.flatMap((n) => [...bare(n)]));
    harness.ask(client, SM_CMD.RELEASE, body, { data: numbers.length });
  };
  harness.play([
    [at, release([9]), ['c2 answer 8: -1']],
    [at, release([9, 1]), ['lease1 release R1']],
    [at, () => harness.ran(1, { op: 'release' }), ['c2 answer 8: -1']],
  ]);
  const again = held();
  harness.lines = [];
  const body = Uint8Array.from([...bare(9), ...bare(1)]);
  again.harness.play([
    [
      at,
      () => again.harness.ask(again.client, SM_CMD.RELEASE, body, { data: 2 }),
      ['lease1 release R1'],
    ],
    [at, () => again.harness.ran(1, 'AIO_TIMEOUT'), ['c2 answer 8: -202']],
  ]);
});

test('only the last sharer writes the release', () => {
  const { harness, client } = held(RES_FLAGS.SHARED);
  const other = harness.connect(502);
  const body = acquireBody([resource(1, { flags: RES_FLAGS.SHARED })]);
  const all = (one: Client) => () =>
    harness.ask(one, SM_CMD.RELEASE, new Uint8Array(0), { cmdFlags: REL_FLAGS.ALL });
  harness.play([
    [at, () => harness.ask(other, SM_CMD.ACQUIRE, body, { data: 1 }), ['c3 answer 7: 0']],
    [at, all(client), ['c2 answer 8: 0']],
    [at, all(other), ['lease1 release R1']],
    [at, () => harness.ran(1, { op: 'release' }), ['c3 answer 8: 0']],
  ]);
});
