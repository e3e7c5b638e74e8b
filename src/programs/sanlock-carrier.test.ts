import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes } from '../base/bytes.ts';
import { encode, zeroRecord } from '../codec/struct.ts';
import { ask, askEach, closeSession, openSession } from '../lvmlockd/managers/sanlock/ask.ts';
import { REFRESH_EVENT } from '../lvmlockd/managers/sanlock/host-notices.ts';
import type { ManagerReply, ManagerSteps, SessionEffect } from '../lvmlockd/managers/steps.ts';
import type { Log } from '../ports/log.ts';
import { FakePeer, socketsTo } from '../ports/testing/fake-peer.ts';
import { readResource, writeResource } from '../wire/sanlock/area-calls.ts';
import type { SanlockCall } from '../wire/sanlock/call.ts';
import { getHosts, register, registerEvents, version } from '../wire/sanlock/daemon-calls.ts';
import { EVENT_BYTES } from '../wire/sanlock/events.ts';
import { release } from '../wire/sanlock/lease-calls.ts';
import {
  SM_HEADER_BYTES,
  SM_MAGIC,
  sanlkEventFrom,
  sanlkHostEvent,
  smHeader,
} from '../wire/sanlock/socket.ts';
import { SanlockCarrier } from './sanlock-carrier.ts';

const RESOURCE = { lockspaceName: 'ls', name: 'r', disks: [], lver: 0n, flags: 0 };
const TWO_WRITES = [writeResource(RESOURCE), writeResource(RESOURCE)];

class FakeConnection {
  sent = 0;
  readonly peer = new FakePeer(() => {
    this.sent += 1;
  });

  get isClosed(): boolean {
    return this.peer.isClosed;
  }

  /** An event of host 2, as the daemon sends it on a channel. */
  event(event: bigint, generation: bigint, data: bigint): void {
    const length = EVENT_BYTES;
    const header = encode(smHeader, { ...zeroRecord(smHeader), magic: SM_MAGIC, cmd: 1, length });
    const words = encode(sanlkHostEvent, { hostId: 1n, generation, event, data });
    const from = encode(sanlkEventFrom, { hostId: 2n, generation: 3n });
    this.peer.say(concatBytes([header, words, from]));
  }

  answer(data: number): void {
    const length = SM_HEADER_BYTES;
    this.peer.say(encode(smHeader, { ...zeroRecord(smHeader), magic: SM_MAGIC, length, data }));
  }

  lose(): void {
    this.peer.hangUp();
  }
}

/** A sanlock whose answers the test gives, one connection at a time. */
class FakeDaemon {
  readonly connections: FakeConnection[] = [];
  readonly lost: number[] = [];
  readonly heard: string[] = [];
  isListening = true;
  readonly carrier: SanlockCarrier;

  constructor() {
    const quiet = () => {};
    const log: Log = { error: quiet, warn: quiet, info: quiet, debug: quiet };
    const after = () => ({ cancel: quiet });
    const endpoint = {
      clock: { nowMs: () => 0, wallMs: () => 0, after },
      socketPath: '/run/sanlock/sanlock.sock',
      sockets: socketsTo(() => (this.isListening ? this.#accept() : null)),
    };
    this.carrier = new SanlockCarrier(endpoint, log, {
      sessionLost: (session) => this.lost.push(session),
      heard: (session, notice) =>
        this.heard.push(`${session} ${notice.order} ${notice.lvMark || 'all'}`),
    });
  }

  #accept(): FakePeer {
    const made = new FakeConnection();
    this.connections.push(made);
    return made.peer;
  }
}

/** The only effect of such steps, and the outcome that its reply gives. */
function single<T>(steps: ManagerSteps<T>) {
  const turn = steps.next({ kind: 'slept' });
  assert.ok(turn.done !== true);
  const outcomes: T[] = [];
  const answered = (reply: ManagerReply) => {
    const end = steps.next(reply);
    assert.ok(end.done === true);
    outcomes.push(end.value);
  };
  return { effect: turn.value as SessionEffect, answered, outcomes };
}

/** Carries one call as a procedure of its own. */
function carry<T>(daemon: FakeDaemon, call: SanlockCall<T>, session: number | null) {
  const { effect, answered, outcomes } = single(ask(call, 1000, session));
  daemon.carrier.begin().carry(effect, answered);
  return outcomes;
}

function opened(daemon: FakeDaemon, session: number): FakeConnection {
  const { effect, answered, outcomes } = single(openSession(session, register(), 1000));
  daemon.carrier.begin().carry(effect, answered);
  assert.equal(outcomes[0]?.ok, true);
  const [connection] = daemon.connections.slice(-1);
  assert.ok(connection !== undefined);
  return connection;
}

test('calls of one session go out one at a time, in order', () => {
  const daemon = new FakeDaemon();
  const connection = opened(daemon, 1);
  const first = carry(daemon, release([RESOURCE]), 1);
  const second = carry(daemon, release([RESOURCE]), 1);
  assert.equal(connection.sent, 2, 'register, and the first call');
  connection.answer(0);
  assert.deepEqual([first.length, second.length, connection.sent], [1, 0, 3]);
  connection.answer(-1);
  assert.equal(second[0]?.ok, false);
});

test('a channel of a lockspace brings notices of other hosts, and tells its end', () => {
  const daemon = new FakeDaemon();
  const { effect, answered, outcomes } = single(openSession(-1, registerEvents('ls'), 1000));
  daemon.carrier.begin().carry(effect, answered);
  const [connection] = daemon.connections;
  assert.ok(connection !== undefined);
  connection.answer(0);
  assert.equal(outcomes[0]?.ok, true);
  connection.event(1n, 0n, 0n); // somebody else's
  connection.event(REFRESH_EVENT, 5n, 0n);
  connection.event(REFRESH_EVENT, 6n, 0x6162636465666768n);
  assert.deepEqual(daemon.heard, ['-1 5 all', '-1 6 hgfedcba']);
  assert.deepEqual(daemon.lost, []);
  connection.lose();
  assert.deepEqual(daemon.lost, [-1]);
});

test('a lost session is reported, and its calls fail without a new connection', () => {
  const daemon = new FakeDaemon();
  const connection = opened(daemon, 1);
  const waiting = carry(daemon, release([RESOURCE]), 1);
  connection.lose();
  assert.deepEqual(daemon.lost, [1]);
  const late = carry(daemon, release([RESOURCE]), 1);
  const codes = [waiting, late].map(([one]) => (one?.ok === false ? one.error.code : 0));
  assert.deepEqual(codes, [-107, -107]);
  assert.equal(daemon.connections.length, 1);
});

test('the end of an earlier session says nothing about the one opened since', () => {
  const daemon = new FakeDaemon();
  const earlier = opened(daemon, 1);
  const now = opened(daemon, 1);
  earlier.lose();
  assert.deepEqual(daemon.lost, []);
  const outcomes = carry(daemon, release([RESOURCE]), 1);
  now.answer(0);
  assert.equal(outcomes[0]?.ok, true);
  now.lose();
  assert.deepEqual(daemon.lost, [1]);
});

test('a session that is closed is not reported as lost', () => {
  const daemon = new FakeDaemon();
  const connection = opened(daemon, 1);
  const { effect, answered, outcomes } = single(closeSession(1));
  daemon.carrier.begin().carry(effect, answered);
  assert.deepEqual([outcomes.length, connection.isClosed, daemon.lost], [1, true, []]);
});

test('other calls of a procedure share a connection until one after which sanlock closes it', () => {
  const daemon = new FakeDaemon();
  const exchange = daemon.carrier.begin();
  const codes: number[] = [];
  const calls = [readResource(RESOURCE), version(), getHosts('ls'), version()];
  for (const [index, call] of calls.entries()) {
    const { effect, answered, outcomes } = single(ask<unknown>(call, 1000));
    exchange.carry(effect, answered);
    daemon.connections.at(-1)?.answer(index === 0 ? -223 : 0);
    codes.push(outcomes[0]?.ok === false ? outcomes[0].error.code : 0);
  }
  assert.deepEqual(codes, [-223, 0, 0, 0]);
  const [first, second, ...more] = daemon.connections;
  assert.deepEqual([first?.sent, first?.isClosed], [3, true]);
  assert.deepEqual([second?.sent, second?.isClosed, more.length], [1, false, 0]);
  exchange.close();
  assert.equal(second?.isClosed, true);
});

test('calls at the same time have connections of their own, and answers in their order', () => {
  const daemon = new FakeDaemon();
  const exchange = daemon.carrier.begin();
  const together = () => {
    const { effect, answered, outcomes } = single(askEach(TWO_WRITES, 1000));
    exchange.carry(effect, answered);
    return outcomes;
  };
  const first = together();
  assert.equal(daemon.connections.length, 2);
  daemon.connections[1]?.answer(-5);
  assert.equal(first.length, 0, 'one is not answered yet');
  daemon.connections[0]?.answer(0);
  assert.deepEqual(
    first[0]?.map((answer) => answer.ok),
    [true, false],
  );
  daemon.connections[0]?.lose();
  const second = together();
  assert.equal(daemon.connections.length, 3, 'the one that was not lost is used again');
  for (const connection of daemon.connections.slice(1)) connection.answer(0);
  assert.equal(second.length, 1);
  exchange.close();
  assert.ok(daemon.connections.every((connection) => connection.isClosed));
});

test('of calls at the same time each that is not reached is a failure', () => {
  const daemon = new FakeDaemon();
  daemon.isListening = false;
  const { effect, answered, outcomes } = single(askEach(TWO_WRITES, 1000));
  daemon.carrier.begin().carry(effect, answered);
  assert.deepEqual(
    outcomes[0]?.map((answer) => answer.ok),
    [false, false],
  );
});

test('a sanlock that is not reached is a failure that says so', () => {
  const daemon = new FakeDaemon();
  daemon.isListening = false;
  const [outcome] = carry(daemon, version(), null);
  assert.ok(outcome?.ok === false);
  assert.deepEqual([outcome.error.code, outcome.error.outcome], [-111, 'unsent']);
});
