import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { concatBytes } from '../base/bytes.ts';
import { decode, encode, zeroRecord } from '../codec/struct.ts';
import { bodyLength } from '../sanlock/request.ts';
import {
  SM_CMD,
  SM_HEADER_BYTES,
  SM_MAGIC,
  SM_PROTO,
  sanlkDisk,
  sanlkLockspace,
  smHeader,
} from '../wire/sanlock/socket.ts';
import { acquire, Harness, LUN, lockspace, message, resource, T } from './testing/front-harness.ts';

const MAX_SERVED = 1022;
const EMPTY = new Uint8Array(0);
/** Commands that end the daemon, as they should. */
const ENDING: readonly number[] = [SM_CMD.SHUTDOWN, SM_CMD.SHUTDOWN_WAIT];

/** Any header but those, with bytes behind it that name no device. */
const anyRequest = fc
  .record({
    cmd: fc.integer({ min: 0, max: 45 }).filter((cmd) => !ENDING.includes(cmd)),
    cmdFlags: fc.nat(0xffff),
    length: fc.oneof(fc.nat(5000), fc.integer({ min: 0, max: 0xffffffff })),
    data: fc.oneof(fc.integer({ min: -2, max: 10 }), fc.integer()),
    data2: fc.oneof(fc.integer({ min: -2, max: 10 }), fc.integer()),
    body: fc.uint8Array({ maxLength: 4000 }),
  })
  .map(({ body, ...fields }) => message(fields.cmd, body, fields));

const anyTraffic = fc.array(
  fc.record({
    peer: fc.nat(2),
    bytes: fc.oneof({ weight: 3, arbitrary: anyRequest }, fc.uint8Array({ maxLength: 200 })),
    cut: fc.nat(4000),
    closes: fc.boolean(),
  }),
  { maxLength: 12 },
);

function assertServes(harness: Harness): void {
  assert.equal(harness.result(message(SM_CMD.VERSION), harness.host.connect(7)), 0);
}

test('any bytes: the daemon runs on, serves others and writes nothing', () => {
  const harness = new Harness();
  let writes = 0;
  harness.storage.onWrite = () => writes++;
  fc.assert(
    fc.property(anyTraffic, (traffic) => {
      const peers = [101, 102, 103].map((pid) => harness.host.connect(pid));
      for (const { peer, bytes, cut, closes } of traffic) {
        peers[peer]?.send(bytes.subarray(0, cut));
        peers[peer]?.send(bytes.subarray(cut));
        if (closes) peers[peer]?.close();
      }
      assertServes(harness);
      for (const peer of peers) peer.close();
      harness.run(2000);
      assert.equal(harness.host.ended, null);
    }),
    { numRuns: 300 },
  );
  assert.equal(writes, 0);
});

test('a command cut short anywhere and then closed gets no answer and stops no process', () => {
  const harness = new Harness();
  assert.equal(harness.join(), 0);
  for (const cmd of Object.values(SM_CMD)) {
    const body = [SM_CMD.ACQUIRE, SM_CMD.RELEASE].includes(cmd as 7 | 8) ? { data: 1 } : {};
    const header = decode(smHeader, message(cmd, EMPTY, { length: 400, ...body }));
    const whole = concatBytes([encode(smHeader, header), resource(1), new Uint8Array(200)]);
    const needed = bodyLength(header, whole.subarray(SM_HEADER_BYTES));
    assert.ok(needed.kind === 'known');
    for (const short of [1, 31, SM_HEADER_BYTES + needed.bytes - 1]) {
      if (short >= SM_HEADER_BYTES + needed.bytes) continue;
      const peer = harness.host.connect(101);
      peer.send(whole.subarray(0, short));
      assertServes(harness);
      peer.close();
      assert.equal(peer.received.length, 0, `command ${cmd} cut at ${short}`);
    }
  }
});

test('requests sent ahead are answered one after another, in their order', () => {
  const harness = new Harness();
  const peer = harness.host.connect(101);
  const one = message(SM_CMD.INQ_LOCKSPACE, lockspace, { seq: 1 });
  const two = message(SM_CMD.READ_LOCKSPACE, lockspace, { seq: 2 });
  const three = message(SM_CMD.VERSION, EMPTY, { seq: 3 });
  const disk = { ...zeroRecord(sanlkDisk), path: LUN };
  const four = message(SM_CMD.ALIGN, encode(sanlkDisk, disk), { seq: 4 });
  peer.send(concatBytes([one, two, three, four]));
  harness.run(1000);
  const answers = Uint8Array.from(peer.received);
  const commands: number[] = [];
  for (let at = 0; at < answers.length; ) {
    const header = decode(smHeader, answers, at);
    commands.push(header.cmd);
    at += header.length;
  }
  const { INQ_LOCKSPACE, READ_LOCKSPACE, VERSION, ALIGN } = SM_CMD;
  assert.deepEqual(commands, [INQ_LOCKSPACE, READ_LOCKSPACE, VERSION, ALIGN]);
  assert.equal(answers.length, 4 * SM_HEADER_BYTES + sanlkLockspace.size);
});

test('an absurd length does no harm: bodies have the size of their command', () => {
  const harness = new Harness();
  const peer = harness.host.connect(101);
  const inquiry = message(SM_CMD.INQ_LOCKSPACE, lockspace, { length: 0xffffffff });
  assert.equal(harness.result(inquiry, peer), -2);
  assert.equal(harness.result(message(SM_CMD.VERSION), peer), 0);
});

test('beyond 1022 connections the next is closed; a freed slot serves again', () => {
  const harness = new Harness();
  const peers = Array.from({ length: MAX_SERVED }, () => harness.host.connect(101));
  const over = harness.host.connect(102);
  assert.equal(over.closedByDaemon, true);
  peers[500]?.close();
  const next = harness.host.connect(103);
  assert.equal(next.closedByDaemon, false);
  assert.equal(harness.result(message(SM_CMD.VERSION), next), 0);
});

test('a process stuck on a device that is not joined is given up, however many ask it', () => {
  const harness = new Harness();
  const read = message(SM_CMD.READ_LOCKSPACE, lockspace);
  assert.equal(harness.result(read), 0);
  harness.host.freezeLeaseProcesses();
  const asked = Array.from({ length: 40 }, () => {
    const peer = harness.host.connect(101);
    peer.send(read);
    harness.run(10_000);
    return peer;
  });
  const first = asked[0]?.received ?? [];
  assert.equal(decode(smHeader, Uint8Array.from(first)).data, -201);
  assert.equal(harness.result(read), 0);
});

test('a frozen lease process counts as silent: no grant after own expiry, and the host id is left', () => {
  const harness = new Harness();
  harness.join();
  const client = harness.client(101);
  harness.host.freezeLeaseProcesses();
  client.send(acquire(1));
  harness.run(8 * T * 1000 + 1000);
  assert.equal(harness.result(acquire(2), harness.client(102)), -28);
  harness.run(20_000);
  assert.equal(decode(smHeader, Uint8Array.from(client.received)).data, -201);
  const answer = message(SM_CMD.INQ_LOCKSPACE, lockspace, { magic: SM_MAGIC, version: SM_PROTO });
  assert.equal(harness.result(answer), -2);
  harness.run(70_000);
  assert.equal(harness.result(answer), 0, 'another lease process has joined it again');
});
