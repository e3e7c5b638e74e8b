import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes } from '../base/bytes.ts';
import { MIB } from '../base/units.ts';
import { decode, encode, zeroRecord } from '../codec/struct.ts';
import { FrontHost } from '../sim/cluster/front-host.ts';
import type { SimPeer } from '../sim/kernel/peer.ts';
import { decodeEvent } from '../wire/sanlock/events.ts';
import { SM_CMD, SM_HEADER_BYTES, sanlkHostEvent, sanlkLockspace } from '../wire/sanlock/socket.ts';
import { Harness, lockspace, message, T } from './testing/front-harness.ts';

const FRAME_BYTES = 80;
const GOODBYE = Uint8Array.of(1, 0, 0, 0);

function eventBody(what: { hostId: bigint; event: bigint; data: bigint }): Uint8Array {
  const named = encode(sanlkLockspace, { ...zeroRecord(sanlkLockspace), name: 'LS' });
  return concatBytes([named, encode(sanlkHostEvent, { ...what, generation: 1n })]);
}

const listening = message(SM_CMD.REG_EVENT, eventBody({ hostId: 0n, event: 0n, data: 0n }));

/** The harness's host 1, and host 2 in the same lockspace. */
function twoHosts(): { harness: Harness; other: FrontHost } {
  const harness = new Harness();
  harness.join();
  const { clock, storage } = harness;
  const other = new FrontHost({ name: 'host2', clock, storage });
  const second = { ...decode(sanlkLockspace, lockspace), hostId: 2n };
  const join = message(SM_CMD.ADD_LOCKSPACE, encode(sanlkLockspace, second), { data: T });
  assert.equal(harness.result(join, other.connect(900)), 0);
  harness.run(2 * T * 1000 + 1000);
  return { harness, other };
}

function listen(harness: Harness, host: FrontHost): SimPeer {
  const peer = host.connect(800);
  assert.equal(harness.result(listening, peer), 0);
  return peer;
}

function framesOf(peer: SimPeer): ReturnType<typeof decodeEvent>[] {
  const bytes = Uint8Array.from(peer.received.slice(SM_HEADER_BYTES));
  assert.equal(bytes.length % FRAME_BYTES, 0);
  return Array.from({ length: bytes.length / FRAME_BYTES }, (_, at) =>
    decodeEvent(bytes.subarray(at * FRAME_BYTES)),
  );
}

test('an event reaches the listeners of the other host with each renewal for 6·t, and then ends', () => {
  const { harness, other } = twoHosts();
  const [one, two, own] = [
    listen(harness, other),
    listen(harness, other),
    listen(harness, harness.host),
  ];
  const set = message(SM_CMD.SET_EVENT, eventBody({ hostId: 2n, event: 0x77n, data: 0x88n }));
  assert.equal(harness.result(set), 0);
  harness.run(60_000);
  const frames = framesOf(one);
  // One renewal in 2·t, as long as the bit is not older than 6·t.
  assert.ok(frames.length >= 3 && frames.length <= 4, `${frames.length} frames`);
  const what = { hostId: 2n, generation: 1n, event: 0x77n, data: 0x88n };
  const from = { fromHostId: 1n, fromGeneration: 1n };
  for (const frame of frames) assert.deepEqual(frame, { ...what, ...from });
  assert.deepEqual(framesOf(two), frames);
  assert.deepEqual(framesOf(own), [], 'no listener gets its own events');
});

test('a listener ends by its goodbye and END_EVENT, or by closing; it sends no requests', () => {
  const { harness, other } = twoHosts();
  const [stays, says, leaves] = [0, 1, 2].map(() => listen(harness, other));
  assert.ok(stays !== undefined && says !== undefined && leaves !== undefined);
  stays.send(message(SM_CMD.VERSION));
  says.send(GOODBYE);
  leaves.close();
  assert.equal(says.closedByDaemon, false, 'not before END_EVENT');
  assert.equal(harness.result(message(SM_CMD.END_EVENT, lockspace), other.connect(900)), 0);
  assert.deepEqual([stays.closedByDaemon, says.closedByDaemon], [false, true]);
  assert.equal(stays.received.length, SM_HEADER_BYTES, 'requests on a channel are not served');
  const set = message(SM_CMD.SET_EVENT, eventBody({ hostId: 2n, event: 1n, data: 0n }));
  assert.equal(harness.result(set), 0);
  harness.run(6 * T * 1000);
  assert.ok(framesOf(stays).length > 0);
  assert.equal(says.received.length + leaves.received.length, 2 * SM_HEADER_BYTES);
});

test('the goodbye may come in one packet with the request', () => {
  const { harness, other } = twoHosts();
  const peer = other.connect(800);
  assert.equal(harness.result(concatBytes([listening, GOODBYE]), peer), 0);
  assert.equal(harness.result(message(SM_CMD.END_EVENT, lockspace), other.connect(900)), 0);
  assert.equal(peer.closedByDaemon, true);
});

test('the end of a lockspace ends its channels, but no connection of a registered process', () => {
  const { harness } = twoHosts();
  const peer = listen(harness, harness.host);
  const client = harness.client(101);
  assert.equal(harness.result(listening, client), 0);
  assert.equal(harness.result(message(SM_CMD.REM_LOCKSPACE, lockspace)), 0);
  assert.equal(peer.closedByDaemon, true);
  assert.equal(client.closedByDaemon, false);
  assert.equal(harness.result(message(SM_CMD.VERSION), client), 0);
});

test('a listener that reads nothing is dropped, and the others are served', () => {
  const { harness, other } = twoHosts();
  const [reads, slow] = [listen(harness, other), listen(harness, other)];
  slow.unsentBytes = MIB;
  const set = message(SM_CMD.SET_EVENT, eventBody({ hostId: 2n, event: 1n, data: 0n }));
  assert.equal(harness.result(set), 0);
  harness.run(6 * T * 1000);
  assert.deepEqual([reads.closedByDaemon, slow.closedByDaemon], [false, true]);
  assert.ok(framesOf(reads).length > 1);
  assert.equal(framesOf(slow).length, 0);
});
