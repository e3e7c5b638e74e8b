import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACQUIRE_FLAGS, REL_FLAGS, RES_FLAGS, SM_CMD } from '../../wire/sanlock-socket.ts';
import type { Client } from '../state.ts';
import { acquireBody, hold, resource, Stage } from '../testing/stage.ts';

const at = 100;
const bare = (n: number, flags = 0) => resource(n, { flags, bare: true });

/** A client that holds R1. */
function held(flags = 0, cmdFlags = 0): { stage: Stage; client: Client } {
  const stage = new Stage();
  stage.join(10);
  const client = stage.connect(501);
  const body = acquireBody([resource(1, { flags })]);
  stage.ask(client, SM_CMD.ACQUIRE, body, { data: 1, cmdFlags });
  stage.granted(1, 1, flags !== 0);
  return { stage, client };
}

function converted(n: number, shared: boolean) {
  return { op: 'convert', hold: hold(n, { shared, lver: 2n }) } as const;
}

test('nobody joins a shared hold that is on its way to exclusive', () => {
  const { stage, client } = held(RES_FLAGS.SHARED);
  const other = stage.connect(502);
  const join = () => {
    const body = acquireBody([resource(1, { flags: RES_FLAGS.SHARED })]);
    stage.ask(other, SM_CMD.ACQUIRE, body, { data: 1 });
  };
  stage.play([
    [at, () => stage.ask(client, SM_CMD.CONVERT, bare(1)), ['lease1 convert R1']],
    [at, join, ['c3 answer 7: -16']],
    [at, () => stage.ran(1, converted(1, false)), ['c2 answer 27: 0']],
    [at, join, ['c3 answer 7: -17']],
  ]);
});

test('a refused step up leaves the shared hold, and others may join it again', () => {
  const { stage, client } = held(RES_FLAGS.SHARED);
  const other = stage.connect(502);
  const body = acquireBody([resource(1, { flags: RES_FLAGS.SHARED })]);
  stage.play([
    [at, () => stage.ask(client, SM_CMD.CONVERT, bare(1)), ['lease1 convert R1']],
    [at, () => stage.ran(1, 'ACQUIRE_IDLIVE'), ['c2 answer 27: -243']],
    [at, () => stage.ask(other, SM_CMD.ACQUIRE, body, { data: 1 }), ['c3 answer 7: 0']],
    [at, () => stage.ask(client, SM_CMD.CONVERT, bare(1)), ['c2 answer 27: -11']], // two sharers
  ]);
});

test('a pid with two connections is the one in the lower slot, not the older one', () => {
  const { stage, client } = held();
  const gone = stage.connect(1);
  const older = stage.connect(777);
  for (const [key, one] of stage.front.clients) if (one === gone) stage.front.clients.delete(key);
  const newer = stage.connect(777);
  assert.ok(newer.slot < older.slot);
  assert.equal(stage.front.clientByPid(777), newer);
  assert.equal(stage.front.clientByPid(501), client);
});

test('conversions of what is not held, or already so', () => {
  const { stage, client } = held();
  stage.play([
    [at, () => stage.ask(client, SM_CMD.CONVERT, bare(2)), ['c2 answer 27: -2']],
    [at, () => stage.ask(client, SM_CMD.CONVERT, bare(1)), ['c2 answer 27: -114']],
  ]);
});

test('a step up that comes after own expiry grants nothing', () => {
  const { stage, client } = held(RES_FLAGS.SHARED);
  stage.play([
    [179, () => stage.ask(client, SM_CMD.CONVERT, bare(1)), ['lease1 convert R1']],
    [180, () => stage.ran(1, converted(1, false)), ['c2 answer 27: -28']],
  ]);
});

test('a value set while the hold steps down is still to be written', () => {
  const { stage, client } = held(0, ACQUIRE_FLAGS.LVB);
  const asker = stage.connect(900, false);
  const set = (value: number) => () =>
    stage.ask(asker, SM_CMD.SET_LVB, Uint8Array.from([...bare(1), value]));
  const toShared = bare(1, RES_FLAGS.SHARED);
  stage.play([
    [at, set(1), ['c3 answer 25: 0']],
    [at, () => stage.ask(client, SM_CMD.CONVERT, toShared), ['lease1 convert R1']],
    [at, set(2), ['c3 answer 25: 0']],
  ]);
  const sent = stage.runs[0]?.command;
  assert.ok(sent?.op === 'convert' && sent.lvb?.[0] === 1);
  stage.ran(1, converted(1, true));
  assert.equal(stage.front.resources[0]?.lvbDirty, true);
  assert.equal(stage.front.resources[0]?.lvb?.[0], 2);
});

test('release: what is not held makes −1, the rest is released; a disk error outweighs it', () => {
  const { stage, client } = held();
  const release = (numbers: number[]) => () => {
    const body = Uint8Array.from(numbers.flatMap((n) => [...bare(n)]));
    stage.ask(client, SM_CMD.RELEASE, body, { data: numbers.length });
  };
  stage.play([
    [at, release([9]), ['c2 answer 8: -1']],
    [at, release([9, 1]), ['lease1 release R1']],
    [at, () => stage.ran(1, { op: 'release' }), ['c2 answer 8: -1']],
  ]);
  const again = held();
  stage.lines = [];
  const body = Uint8Array.from([...bare(9), ...bare(1)]);
  again.stage.play([
    [
      at,
      () => again.stage.ask(again.client, SM_CMD.RELEASE, body, { data: 2 }),
      ['lease1 release R1'],
    ],
    [at, () => again.stage.ran(1, 'AIO_TIMEOUT'), ['c2 answer 8: -202']],
  ]);
});

test('only the last sharer writes the release', () => {
  const { stage, client } = held(RES_FLAGS.SHARED);
  const other = stage.connect(502);
  const body = acquireBody([resource(1, { flags: RES_FLAGS.SHARED })]);
  const all = (one: Client) => () =>
    stage.ask(one, SM_CMD.RELEASE, new Uint8Array(0), { cmdFlags: REL_FLAGS.ALL });
  stage.play([
    [at, () => stage.ask(other, SM_CMD.ACQUIRE, body, { data: 1 }), ['c3 answer 7: 0']],
    [at, all(client), ['c2 answer 8: 0']],
    [at, all(other), ['lease1 release R1']],
    [at, () => stage.ran(1, { op: 'release' }), ['c3 answer 8: 0']],
  ]);
});
