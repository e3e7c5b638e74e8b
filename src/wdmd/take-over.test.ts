import assert from 'node:assert/strict';
import test from 'node:test';
import { type HarnessPeer, WdmdHarness } from '../programs/testing/wdmd-harness.ts';
import {
  HAND_OVER_ANSWER,
  REGISTER_FLAGS,
  TAKE_OVER_ANSWER,
  WDMD_CMD,
} from '../wire/wdmd/socket.ts';

/** Second 1000 of the harness is our 0. */
const START_S = 1000;
const NAME = 'sanlock_LS:1';

/** A sanlock that renewed at 0 and was killed at `diedS`. */
function died(harness: WdmdHarness, diedS: number, name = NAME): void {
  const peer = harness.connect(400);
  peer.begin(name, START_S, START_S + 80);
  harness.at(diedS);
  peer.close();
}

function asks(harness: WdmdHarness, name = NAME, uid = 0): HarnessPeer {
  const peer = harness.connect(401, uid);
  peer.send({ cmd: WDMD_CMD.REGISTER, name });
  peer.send({ cmd: WDMD_CMD.TAKE_OVER });
  return peer;
}

function live(peer: HarnessPeer, renewalS: number, expireS: number): void {
  peer.live(START_S + renewalS, START_S + expireS);
}

const deaths = (harness: WdmdHarness) => harness.dump().match(/dead 1/g)?.length ?? 0;

test('a successor takes the duty over with its first renewal, and the host lives on', () => {
  const harness = new WdmdHarness();
  died(harness, 30);
  const peer = asks(harness);
  const answer = peer.takeMessage();
  assert.equal(answer.cmd, WDMD_CMD.TAKE_OVER);
  assert.equal(answer.flags, TAKE_OVER_ANSWER.READY);
  assert.equal(answer.expireTime, BigInt(START_S + 80));
  assert.equal(answer.fireTimeout, 60);
  assert.equal(deaths(harness), 1, 'nothing happens before it has renewed');
  live(peer, 40, 120);
  assert.equal(deaths(harness), 0);
  assert.match(harness.dump(), /name sanlock_LS:1 pid 401 fd \d+ dead 0 ref 1 .* expire 1120\n/);
  harness.at(109);
  assert.ok(!harness.performed.some((what) => what.endsWith('close')));
  live(peer, 0 - START_S, 0 - START_S);
  peer.send({ cmd: WDMD_CMD.REFCOUNT_CLEAR });
  harness.program.terminate();
  assert.equal(harness.hasEnded, true, 'no refcount of a dead connection keeps it');
});

test('even after the device was closed, as long as the expiry is to come', () => {
  const harness = new WdmdHarness();
  died(harness, 30);
  harness.at(79);
  assert.ok(harness.performed.some((what) => what.endsWith('close')));
  live(asks(harness), 75, 155);
  harness.at(140);
  assert.equal(harness.resetMs, null);
  assert.ok(harness.performed.at(-1)?.endsWith('ping'));
});

test('the user who had the duty takes it over as root does, and no other user', () => {
  for (const [uid, answer] of [
    [179, TAKE_OVER_ANSWER.READY],
    [180, TAKE_OVER_ANSWER.REFUSED],
  ] as const) {
    const harness = new WdmdHarness();
    const peer = harness.connect(400, 179);
    peer.begin(NAME, START_S, START_S + 80);
    harness.at(30);
    peer.close();
    const next = asks(harness, NAME, uid);
    assert.equal(next.takeMessage().flags, answer);
    live(next, 40, 120);
    assert.equal(deaths(harness), answer === TAKE_OVER_ANSWER.READY ? 0 : 1);
  }
});

test('several dead ones of one name', () => {
  const harness = new WdmdHarness();
  const peers = [401, 402, 403].map((pid) => harness.connect(pid));
  for (const peer of peers) peer.begin(NAME, START_S, START_S + 80);
  for (const peer of peers) peer.close();
  const heir = asks(harness);
  live(heir, 20, 100);
  assert.equal(deaths(harness), 0);
});

test('a place that was given up is used again', () => {
  const harness = new WdmdHarness();
  died(harness, 1);
  live(asks(harness), 20, 100);
  harness.connect(77).send({ cmd: WDMD_CMD.REGISTER, name: 'next' });
  assert.match(harness.dump(), /client 2 name next pid 77/);
});

const REFUSED: readonly (readonly [string, (harness: WdmdHarness) => void])[] = [
  ['not of root', (harness) => live(asks(harness, NAME, 36), 40, 120)],
  ['of another name', (harness) => live(asks(harness, 'sanlock_LS:2'), 40, 120)],
  ['of a longer name', (harness) => live(asks(harness, `${NAME}0`), 40, 120)],
  [
    'without a name',
    (harness) => {
      const peer = harness.connect();
      peer.send({ cmd: WDMD_CMD.TAKE_OVER });
      peer.send({ cmd: WDMD_CMD.REGISTER, name: NAME });
      live(peer, 40, 120);
    },
  ],
  [
    'under a name that it took behind TAKE_OVER',
    (harness) => {
      const peer = asks(harness, 'sanlock_LS:2');
      peer.send({ cmd: WDMD_CMD.REGISTER, name: NAME });
      live(peer, 40, 120);
    },
  ],
  ['without TAKE_OVER', (harness) => harness.connect().begin(NAME, START_S + 40, START_S + 120)],
  ['of an older renewal', (harness) => live(asks(harness), -1, 120)],
  ['with an expiry that has passed', (harness) => live(asks(harness), 40, 40)],
  ['that withdraws', (harness) => live(asks(harness), -START_S, -START_S)],
  [
    'by a connection that is older',
    (harness) => {
      const older = asks(harness);
      const younger = harness.connect();
      younger.begin(NAME, START_S + 40, START_S + 80);
      younger.close();
      live(older, 41, 121);
      live(older, -START_S, -START_S);
    },
  ],
];

for (const [what, tries] of REFUSED) {
  test(`no take-over ${what}`, () => {
    const harness = new WdmdHarness();
    died(harness, 40);
    tries(harness);
    harness.at(200);
    assert.ok((harness.resetMs ?? Infinity) <= 140_000, `${harness.performed.join(', ')}`);
  });
}

test('no take-over of a duty that has expired, or is about to by the clock of the device', () => {
  for (const atS of [79.95, 80, 81, 100, 139]) {
    const harness = new WdmdHarness();
    died(harness, 40);
    harness.at(atS);
    const peer = asks(harness);
    assert.equal(peer.takeMessage().flags, TAKE_OVER_ANSWER.EXPIRED);
    live(peer, Math.floor(atS), Math.floor(atS) + 80);
    harness.at(200);
    assert.ok((harness.resetMs ?? Infinity) <= 140_000);
  }
});

test('no take-over of a connection that lives: it stays for its own end', () => {
  const harness = new WdmdHarness();
  const first = harness.connect();
  first.begin(NAME, START_S, START_S + 80);
  const second = asks(harness);
  assert.equal(second.takeMessage().flags, TAKE_OVER_ANSWER.READY);
  live(second, 20, 100);
  live(second, -START_S, -START_S);
  first.close();
  assert.equal(deaths(harness), 1);
  harness.at(200);
  assert.ok((harness.resetMs ?? Infinity) <= 140_000);
});

test('what an earlier membership of that name left stays, where a client names its first renewal', () => {
  const harness = new WdmdHarness();
  died(harness, 10); // renewed at 0
  const own = harness.connect();
  own.begin(NAME, START_S + 20, START_S + 100);
  own.close();
  const peer = harness.connect();
  peer.send({ cmd: WDMD_CMD.REGISTER, name: NAME });
  peer.send({ cmd: WDMD_CMD.TAKE_OVER, renewalTime: BigInt(START_S + 20) });
  assert.equal(peer.takeMessage().expireTime, BigInt(START_S + 100));
  live(peer, 30, 110);
  assert.match(harness.dump(), / dead 1 .* expire 1080\n/);
  assert.equal(deaths(harness), 1);
});

test('a connection whose end wdmd reads late is taken over by the next renewal', () => {
  const harness = new WdmdHarness();
  const first = harness.connect();
  first.begin(NAME, START_S, START_S + 80);
  const second = asks(harness);
  live(second, 20, 100);
  first.close();
  live(second, 40, 120);
  assert.equal(deaths(harness), 0);
});

test('the answer where there is nothing to take over, and where it is refused', () => {
  const harness = new WdmdHarness();
  assert.equal(asks(harness).takeMessage().flags, TAKE_OVER_ANSWER.NO_DUTY);
  assert.equal(asks(harness, NAME, 36).takeMessage().flags, TAKE_OVER_ANSWER.NO_DUTY);
  assert.equal(asks(harness, '').takeMessage().flags, TAKE_OVER_ANSWER.REFUSED);
  const long = asks(harness, 'x'.repeat(63));
  assert.equal(long.takeMessage().flags, TAKE_OVER_ANSWER.REFUSED, 'it may have been cut');
});

test('another fire timeout goes over with the duty', () => {
  const harness = new WdmdHarness();
  const first = harness.connect();
  first.send({ cmd: WDMD_CMD.OPEN_WATCHDOG, fireTimeout: 30 });
  first.begin(NAME, START_S, START_S + 80);
  first.close();
  const second = asks(harness);
  assert.equal(second.takeMessage().fireTimeout, 30);
  live(second, 20, 100);
  assert.equal(harness.status().fireTimeout, 30);
  second.send({ cmd: WDMD_CMD.TEST_LIVE });
  second.send({ cmd: WDMD_CMD.REFCOUNT_CLEAR });
  assert.equal(harness.timeoutS, 30);
  second.close();
  assert.equal(harness.timeoutS, 60);
});

function handOver(harness: WdmdHarness, uid = 0) {
  const peer = harness.connect(402, uid);
  peer.send({ cmd: WDMD_CMD.HAND_OVER });
  return peer.takeMessage();
}

const OURS = REGISTER_FLAGS.WAITS | REGISTER_FLAGS.RECONNECTS;

function joined(harness: WdmdHarness, flags: number): HarnessPeer {
  const peer = harness.connect();
  peer.send({ cmd: WDMD_CMD.REGISTER, name: NAME, flags });
  peer.send({ cmd: WDMD_CMD.REFCOUNT_SET });
  return peer;
}

test('handed over: the device counts on, the duties stay, connections are closed', () => {
  const harness = new WdmdHarness();
  live(joined(harness, OURS), 0, 80);
  joined(harness, REGISTER_FLAGS.WAITS); // no expiry: nothing is lost
  assert.equal(handOver(harness).flags, HAND_OVER_ANSWER.ENDS);
  assert.equal(harness.hasHandedOver, true);
  assert.equal(harness.hasEnded, false);
  assert.equal(harness.performed.at(-1), '0 close');
  harness.kill();
  harness.at(5);
  assert.equal(harness.restart(), null);
  live(asks(harness), 0, 80);
  harness.at(69);
  assert.equal(harness.resetMs, null);
});

test('not handed over where that would lead to a reset', () => {
  const answers: number[] = [];
  for (const flags of [0, REGISTER_FLAGS.WAITS]) {
    const harness = new WdmdHarness();
    live(joined(harness, flags), 0, 80);
    const answer = handOver(harness);
    answers.push(answer.flags);
    assert.equal(answer.name, NAME);
  }
  const silent = new WdmdHarness();
  joined(silent, 0); // its first expiry may be on its way
  answers.push(handOver(silent).flags);
  const dead = new WdmdHarness();
  died(dead, 1);
  answers.push(handOver(dead).flags);
  const { CLIENT_STAYS } = HAND_OVER_ANSWER;
  assert.deepEqual(answers, [CLIENT_STAYS, CLIENT_STAYS, CLIENT_STAYS, CLIENT_STAYS]);
});

test('not handed over near a reset, unrecorded, or for any user but root', () => {
  const near = new WdmdHarness();
  live(joined(near, OURS), 0, 80);
  near.at(69.9);
  assert.equal(handOver(near).flags, HAND_OVER_ANSWER.RESET_NEAR);
  const full = new WdmdHarness();
  full.journal.full = true;
  live(joined(full, OURS), 0, 80);
  assert.equal(handOver(full).flags, HAND_OVER_ANSWER.NOT_RECORDED);
  full.journal.full = false;
  full.at(11);
  assert.equal(handOver(full).flags, HAND_OVER_ANSWER.ENDS, 'there is room again');
  const harness = new WdmdHarness();
  assert.equal(handOver(harness, 36).flags, HAND_OVER_ANSWER.REFUSED);
  assert.equal(harness.hasHandedOver, false);
});
