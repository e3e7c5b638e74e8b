import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Result } from '../base/result.ts';
import { decode, encode, zeroRecord } from '../codec/struct.ts';
import type { Clock } from '../ports/clock.ts';
import { FakePeer, socketsTo } from '../ports/testing/fake-peer.ts';
import { SANLOCK_CODES } from '../wire/sanlock/codes.ts';
import { getLockspaces, status, version } from '../wire/sanlock/daemon-calls.ts';
import type { SanlockFailure } from '../wire/sanlock/failure.ts';
import { acquire, inquire } from '../wire/sanlock/lease-calls.ts';
import {
  SM_CMD,
  SM_MAGIC,
  STATE_TYPES,
  sanlkLockspace,
  sanlkState,
  smHeader,
} from '../wire/sanlock/socket.ts';
import { SanlockClient } from './sanlock.ts';
import { callOnce, SanlockLink } from './sanlock-link.ts';

/** A daemon's side of one connection, and a clock moved by hand. */
class FakeDaemon {
  readonly sent: Uint8Array[] = [];
  readonly timers: { fire: () => void; atMs: number }[] = [];
  nowMs = 0;
  isThere = true;
  /** Of the last connection. */
  peer = new FakePeer(() => {});

  readonly clock: Clock = {
    nowMs: () => this.nowMs,
    wallMs: () => 0,
    after: (delayMs, fire) => {
      const timer = { fire, atMs: this.nowMs + delayMs };
      this.timers.push(timer);
      return {
        cancel: () => {
          if (this.timers.includes(timer)) this.timers.splice(this.timers.indexOf(timer), 1);
        },
      };
    },
  };

  readonly endpoint = {
    clock: this.clock,
    socketPath: '/run/x/sanlock.sock',
    sockets: socketsTo(() => (this.isThere ? this.open() : null)),
  };

  open(): FakePeer {
    this.peer = new FakePeer((bytes) => this.sent.push(bytes));
    return this.peer;
  }

  advance(toMs: number): void {
    this.nowMs = toMs;
    for (const timer of this.timers.filter((t) => t.atMs <= toMs)) timer.fire();
  }
}

function header(fields: { cmd: number; length?: number; data?: number; data2?: number }) {
  const plain = { ...zeroRecord(smHeader), magic: SM_MAGIC, version: 1, length: 32 };
  return encode(smHeader, { ...plain, ...fields });
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

type Answers<T> = Result<T, SanlockFailure>[];

test('an answer is the same wherever its bytes are cut', () => {
  const row = encode(sanlkLockspace, { ...zeroRecord(sanlkLockspace), name: 'LS1', hostId: 3n });
  const length = 32 + 2 * row.length;
  const bytes = join(header({ cmd: SM_CMD.GET_LOCKSPACES, length, data2: 2 }), row, row);
  const cuts = fc.array(fc.integer({ min: 0, max: bytes.length }), { maxLength: 20 });
  fc.assert(
    fc.property(cuts, (places) => {
      const daemon = new FakeDaemon();
      const answers: Answers<readonly { name: string }[]> = [];
      callOnce(daemon.endpoint, getLockspaces(), undefined, (a) => answers.push(a));
      const edges = [0, ...[...places].sort((a, b) => a - b), bytes.length];
      for (let i = 1; i < edges.length; i++) daemon.peer.say(bytes.slice(edges[i - 1], edges[i]));
      const [answer] = answers;
      assert.equal(answers.length, 1);
      assert.ok(answer?.ok);
      const names = answer.value.map((lockspace) => lockspace.name);
      assert.deepEqual(names, ['LS1', 'LS1']);
      assert.equal(daemon.peer.isClosed, true);
    }),
  );
});

test('records of a stream are taken at EOF, and a cut record is refused', () => {
  const text = new TextEncoder().encode('list=spaces\0');
  const state = encode(sanlkState, {
    ...zeroRecord(sanlkState),
    type: STATE_TYPES.DAEMON,
    name: 'host1',
    strLen: text.length,
  });
  for (const missing of [0, 1]) {
    const daemon = new FakeDaemon();
    const answers: Answers<readonly { name: string; text: string }[]> = [];
    callOnce(daemon.endpoint, status(), undefined, (a) => answers.push(a));
    daemon.peer.say(header({ cmd: SM_CMD.STATUS }));
    daemon.peer.say(join(state, text.subarray(missing)));
    assert.equal(answers.length, 0);
    daemon.peer.hangUp();
    assert.equal(answers.length, 1);
    const [answer] = answers;
    if (missing === 0) assert.ok(answer?.ok && answer.value[0]?.text === 'list=spaces');
    else assert.ok(answer?.ok === false && answer.error.code === -90);
  }
});

test('giving up on one call keeps the connection, and its late answer is not the next one', () => {
  const daemon = new FakeDaemon();
  const link = new SanlockLink(daemon.endpoint, daemon.open().connection);
  const first: Answers<number> = [];
  const second: Answers<{ count: number }> = [];
  link.call(acquire([]), 1000, (a) => first.push(a));
  daemon.advance(1000);
  assert.ok(first[0]?.ok === false && first[0].error.outcome === 'unknown');
  assert.equal(first[0].error.name, 'ETIMEDOUT');
  assert.equal(daemon.peer.isClosed, false);

  link.call(inquire(), 1000, (a) => second.push(a));
  daemon.peer.say(header({ cmd: SM_CMD.ACQUIRE, data: 0 }));
  assert.equal(second.length, 0);
  daemon.peer.say(header({ cmd: SM_CMD.INQUIRE, data2: 5 }));
  assert.ok(second[0]?.ok && second[0].value.count === 5);
  assert.equal(first.length, 1);
  assert.equal(daemon.timers.length, 0);
});

test('each way to get no answer is a failure with a sentence of its own', async () => {
  const daemon = new FakeDaemon();
  daemon.isThere = false;
  const client = new SanlockClient(daemon.endpoint);
  const refused = await client.call(version());
  assert.ok(!refused.ok && refused.error.outcome === 'unsent' && refused.error.code === -111);
  assert.match(refused.error.message, /version on \/run\/x\/sanlock.sock .*no daemon listens/);

  daemon.isThere = true;
  const aborted = new AbortController();
  const answering = client.call(acquire([]), { signal: aborted.signal });
  aborted.abort();
  const given = await answering;
  assert.ok(!given.ok && given.error.outcome === 'unknown' && given.error.name === 'ECANCELED');

  const lost = client.call(version());
  daemon.peer.hangUp();
  const gone = await lost;
  assert.ok(!gone.ok && gone.error.outcome === 'unknown' && gone.error.name === 'ENOTCONN');

  const denied = client.call(acquire([]));
  daemon.peer.say(header({ cmd: SM_CMD.ACQUIRE, data: SANLOCK_CODES.ACQUIRE_IDLIVE }));
  const why = await denied;
  assert.ok(!why.ok && why.error.outcome === 'refused' && why.error.name === 'ACQUIRE_IDLIVE');

  const garbled = client.call(version());
  daemon.peer.say(new Uint8Array(64).fill(0x55));
  const broken = await garbled;
  assert.ok(!broken.ok && broken.error.outcome === 'unknown' && broken.error.code === -90);
});

test('a registered session sends its header first and calls on the same connection', async () => {
  const daemon = new FakeDaemon();
  const session = await new SanlockClient(daemon.endpoint).registerProcess();
  assert.ok(session.ok);
  const commands = daemon.sent.map((bytes) => decode(smHeader, bytes).cmd);
  assert.deepEqual(commands, [SM_CMD.REGISTER]);
  const lost: boolean[] = [];
  session.value.onLost(() => lost.push(true));
  daemon.peer.hangUp();
  assert.deepEqual(lost, [true]);
  const after = await session.value.call(inquire());
  assert.ok(!after.ok && after.error.outcome === 'unsent');
});
