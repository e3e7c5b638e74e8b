import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import fc from 'fast-check';
import { WdmdHarness } from '../programs/testing/wdmd-harness.ts';
import { WDMD_CMD, WDMD_MESSAGE_BYTES, wdmdMessageBytes } from '../wire/wdmd/socket.ts';

interface Recorded {
  readonly connections: readonly {
    readonly events: readonly { readonly dir: string; readonly hex?: string }[];
  }[];
}

test('the recorded course of a lockspace gets the recorded replies', () => {
  const root = process.env['HOLDFAST_ROOT'] ?? process.cwd();
  const file = join(root, 'test/vectors/wdmd/400-wdmd-lockspace-life.json');
  const recorded = JSON.parse(readFileSync(file, 'utf8')) as Recorded;
  const harness = new WdmdHarness();
  const peer = harness.connect();
  let replies = 0;
  for (const { dir, hex } of recorded.connections.flatMap(({ events }) => events)) {
    if (hex === undefined) peer.close();
    else if (dir === 'c2s') peer.bytes(Buffer.from(hex, 'hex'));
    else {
      const expected = Buffer.from(hex, 'hex');
      const got = Buffer.from(peer.received.slice(0, WDMD_MESSAGE_BYTES));
      peer.received = peer.received.slice(WDMD_MESSAGE_BYTES);
      for (const reply of [expected, got]) reply.fill(0, 24, 32); // the last keepalive is a time
      assert.equal(got.toString('hex'), expected.toString('hex'));
      replies++;
    }
  }
  assert.ok(replies > 0);
  assert.equal(peer.received.length, 0);
  assert.equal(harness.hasEnded, false);
});

test('a status repeats the request and fills in three fields', () => {
  const harness = new WdmdHarness();
  const peer = harness.connect();
  peer.send({ cmd: 5, magic: 7, len: 9, flags: 5, testInterval: 99, renewalTime: 3n, name: 'who' });
  assert.deepEqual(peer.takeMessage(), {
    magic: 7,
    cmd: 5,
    len: 9,
    flags: 5,
    testInterval: 10,
    fireTimeout: 60,
    lastKeepalive: 1000n,
    renewalTime: 3n,
    expireTime: 0n,
    name: 'who',
  });
});

test('the dump, word for word', () => {
  const harness = new WdmdHarness();
  harness.connect(501).begin('y'.repeat(128), 1000, 1080);
  harness.connect(502);
  harness.at(3);
  const peer = harness.connect();
  peer.send({ cmd: WDMD_CMD.DUMP_DEBUG });
  assert.equal(
    peer.takeText(),
    'wdmd 77 socket_gid 5 high_priority 0 now 1003 last_keepalive 1000 last_closeunclean 0 ' +
      'allow_scripts 0 kill_script_sec 0\n' +
      'client 0 name signal pid 0 fd -1 dead 0 ref 0 now 1003 renewal 0 expire 0\n' +
      'client 1 name listen pid 0 fd -1 dead 0 ref 0 now 1003 renewal 0 expire 0\n' +
      `client 2 name ${'y'.repeat(63)} pid 501 fd 7 dead 0 ref 1 now 1003 renewal 1000 expire 1080\n` +
      'client 3 name  pid 0 fd 8 dead 0 ref 0 now 1003 renewal 0 expire 0\n' +
      'client 4 name dump pid 0 fd 9 dead 0 ref 0 now 1003 renewal 0 expire 0\n',
  );
});

test('messages may come in any pieces; unknown ones are ignored', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 40 }),
      fc.uint8Array({ minLength: 2 * WDMD_MESSAGE_BYTES, maxLength: 2 * WDMD_MESSAGE_BYTES }),
      (cuts, noise) => {
        const harness = new WdmdHarness();
        const peer = harness.connect();
        const nonsense = new Uint8Array(noise);
        for (const at of [0, WDMD_MESSAGE_BYTES]) nonsense[at + 7] = 0x7f; // no command we know
        const status = new Uint8Array(WDMD_MESSAGE_BYTES);
        status[4] = WDMD_CMD.STATUS;
        let left = new Uint8Array([...nonsense, ...status]);
        for (const cut of cuts) {
          peer.bytes(left.slice(0, cut));
          left = left.slice(cut);
        }
        peer.bytes(left);
        assert.equal(peer.takeMessage().fireTimeout, 60);
        assert.equal(peer.received.length, 0);
      },
    ),
    { numRuns: 50 },
  );
});

test('the 999th connection is turned away, and a freed place is used again', () => {
  const harness = new WdmdHarness();
  const peers = Array.from({ length: 998 }, () => harness.connect());
  assert.equal(harness.connect().isOpen, false);
  assert.ok(harness.logged.includes('client.refused'));
  peers[3]?.close();
  assert.equal(harness.connect().isOpen, true);
});

function open(harness: WdmdHarness, fireTimeout: number) {
  const peer = harness.connect();
  peer.send({ cmd: WDMD_CMD.OPEN_WATCHDOG, fireTimeout });
  return { peer, answer: peer.takeMessage().fireTimeout };
}

test('command 7: open already; another timeout only while no client counts on one', () => {
  const harness = new WdmdHarness();
  assert.equal(open(harness, 60).answer, 60);
  const held = new WdmdHarness();
  held.connect().begin('x', 1000, 1080);
  assert.equal(open(held, 30).answer, 60);
  assert.ok(!held.performed.some((what) => what.includes('setTimeout')));
});

test('command 7 with 30: tested every 5 s, shown in dumps, back to 60 when it leaves', () => {
  const harness = new WdmdHarness();
  const { peer, answer } = open(harness, 30);
  assert.equal(answer, 30);
  assert.equal(harness.status().testInterval, 5);
  assert.match(harness.dump(), /kill_script_sec 0 fire_timeout 30\n/);
  const other = open(harness, 60);
  assert.equal(other.answer, 30); // the first one counts on it
  peer.begin('x', 1000, 1028);
  harness.at(26);
  assert.deepEqual(harness.performed.slice(-3), ['15 ping', '20 ping', '25 close']);
  peer.live(1026, 1100);
  harness.at(29);
  assert.deepEqual(harness.performed.slice(-2), ['27 open', '27 ping']);
  other.peer.close();
  peer.live(0, 0);
  peer.send({ cmd: WDMD_CMD.REFCOUNT_CLEAR });
  assert.equal(harness.timeoutS, 30);
  peer.close();
  assert.equal(harness.timeoutS, 60);
  assert.equal(harness.status().testInterval, 10);
});

test('command 7: a device that takes another timeout gets the old one back', () => {
  const harness = new WdmdHarness();
  harness.leastS = 20;
  assert.equal(open(harness, 10).answer, 60);
  assert.equal(harness.timeoutS, 60);
});

test('command 7: no timeout beyond the one that other hosts wait for', () => {
  const harness = new WdmdHarness();
  assert.equal(open(harness, 61).answer, 60);
  assert.equal(harness.timeoutS, 60);
});

test('command 7 while tests fail is refused: this machine may be reset any moment', () => {
  const harness = new WdmdHarness();
  harness.connect().live(1000, 1005);
  harness.at(11);
  assert.equal(open(harness, 60).answer, 0);
});

test('a client that sends many messages ahead has one served for each one of the others', () => {
  const harness = new WdmdHarness();
  const flooder = harness.connect();
  const other = harness.connect();
  const status = wdmdMessageBytes({ cmd: WDMD_CMD.STATUS });
  const ahead = new Uint8Array(200 * WDMD_MESSAGE_BYTES);
  for (let n = 0; n < 200; n++) ahead.set(status, n * WDMD_MESSAGE_BYTES);
  flooder.data(ahead);
  other.data(status);
  for (let turn = 0; turn < 4; turn++) harness.clock.step();
  assert.equal(other.received.length, WDMD_MESSAGE_BYTES);
  assert.ok(flooder.received.length <= 6 * WDMD_MESSAGE_BYTES, `${flooder.received.length}`);
  harness.at(1);
  assert.equal(flooder.received.length, ahead.length, 'and all of them in the end');
});
