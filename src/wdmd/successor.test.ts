import assert from 'node:assert/strict';
import test from 'node:test';
import { type HarnessPeer, WdmdHarness } from '../programs/testing/wdmd-harness.ts';
import { REGISTER_FLAGS, WDMD_CMD } from '../wire/wdmd/socket.ts';
import { parseDutyLine, readPredecessor } from './duty-lines.ts';

/** Second 1000 of the harness is our 0. */
const START_S = 1000;
const NAME = 'sanlock_LS:1';
const GUARD = '1:2:3';

function joined(harness: WdmdHarness, expireS = 80): HarnessPeer {
  const peer = harness.connect(400);
  peer.begin(NAME, START_S, START_S + expireS);
  return peer;
}

function takesOver(harness: WdmdHarness, renewalS: number, expireS: number): void {
  const peer = harness.connect(400);
  peer.send({ cmd: WDMD_CMD.REGISTER, name: NAME });
  peer.send({ cmd: WDMD_CMD.TAKE_OVER });
  peer.live(START_S + renewalS, START_S + expireS);
}

function kills(harness: WdmdHarness, atS: number, backS: number): string | null {
  harness.at(atS);
  harness.kill();
  harness.at(backS);
  return harness.restart();
}

test('killed and started again: it opens the device at once, and every duty is a dead one', () => {
  const harness = new WdmdHarness();
  joined(harness);
  assert.equal(kills(harness, 25, 27), null);
  assert.deepEqual(harness.performed.slice(-3), ['25 close', '27 open', '27 ping']);
  assert.match(harness.dump(), /name sanlock_LS:1 pid 400 fd -1 dead 1 ref 1 .* expire 1080\n/);
  takesOver(harness, 0, 80); // the same renewal: its sanlock lived on
  assert.doesNotMatch(harness.dump(), /dead 1/);
  harness.at(79);
  assert.equal(harness.resetMs, null);
});

test('whenever it is killed and started again, a duty that no one takes over ends in time', () => {
  for (let diesS = 0.5; diesS < 81; diesS += 3.7) {
    for (let gapS = 0.1; gapS < 65; gapS += 5.3) {
      const harness = new WdmdHarness();
      joined(harness);
      const refusal = kills(harness, diesS, diesS + gapS);
      assert.equal(refusal !== null, diesS + gapS >= 79.9, `${diesS} ${gapS}: ${refusal}`);
      harness.at(200);
      const resetS = (harness.resetMs ?? Infinity) / 1000;
      // Killed after its expiry: that end closes the device, which no successor can undo.
      const latestS = Math.max(140, diesS + 60);
      assert.ok(resetS <= latestS, `${diesS} ${gapS}: reset at ${resetS}`);
      // The clients and the log count whole seconds.
      assert.deepEqual(
        harness.foretold.filter(({ tooLateS }) => tooLateS >= 1),
        [],
      );
    }
  }
});

test('in the last seconds before an expiry it serves, and opens the device only with a renewal', () => {
  const harness = new WdmdHarness();
  joined(harness);
  assert.equal(kills(harness, 72, 75), null);
  assert.ok(harness.performed.at(-1)?.endsWith('close'));
  harness.at(78);
  assert.ok(harness.performed.at(-1)?.endsWith('close'));
  takesOver(harness, 70, 150);
  harness.at(100);
  assert.ok(harness.performed.includes('78 open') || harness.performed.includes('79 open'));
  harness.at(130);
  assert.equal(harness.resetMs, null);
});

test('until it touches the device itself, it cannot say more than when that fires at the latest', () => {
  const harness = new WdmdHarness();
  joined(harness);
  assert.equal(kills(harness, 72, 75), null); // closed at 70: it fires at 130
  const before = harness.foretold.length - 1;
  harness.at(76);
  takesOver(harness, 70, 150);
  harness.at(148);
  assert.deepEqual(
    harness.foretold.slice(before).map(({ what }) => what),
    [
      '75 test.failsSoon at most 60',
      '76 test.failsSoon at most 59',
      '147 test.failsSoon 50',
      '147 device.closed 60',
      '148 test.failsSoon 59',
    ],
  );
});

test('killed again and again while its clients come back, the host lives on', () => {
  const harness = new WdmdHarness();
  let expireS = 80;
  joined(harness);
  for (let atS = 7; atS < 600; atS += 11) {
    assert.equal(kills(harness, atS, atS + 4), null, `${atS}`);
    expireS = atS + 80;
    takesOver(harness, atS, expireS);
  }
  assert.equal(harness.resetMs, null);
  assert.ok(harness.journal.load().lines.length < 10);
});

test('a renewal is journalled, and so is the end of a duty', () => {
  const harness = new WdmdHarness();
  const peer = joined(harness);
  harness.at(60);
  peer.live(START_S + 60, START_S + 140);
  const other = harness.connect();
  other.begin('other', START_S, START_S + 100);
  other.live(0, 0);
  other.send({ cmd: WDMD_CMD.REFCOUNT_CLEAR });
  assert.equal(kills(harness, 85, 90), null, 'the older expiry counts no more');
  assert.match(harness.dump(), /name sanlock_LS:1 .* renewal 1060 expire 1140\n/);
  assert.doesNotMatch(harness.dump(), /other/);
});

test('a client whose first expiry may have been on its way keeps a successor from starting', () => {
  for (const [flags, refusal] of [
    [0, `${NAME} (pid 400) may have had an expiry that it did not read`],
    [REGISTER_FLAGS.WAITS, null],
  ] as const) {
    const harness = new WdmdHarness();
    const peer = harness.connect(400);
    peer.send({ cmd: WDMD_CMD.REGISTER, name: NAME, flags });
    peer.send({ cmd: WDMD_CMD.REFCOUNT_SET });
    assert.equal(kills(harness, 5, 6), refusal);
  }
});

test('another fire timeout is kept over a successor', () => {
  const harness = new WdmdHarness();
  const peer = harness.connect(400);
  peer.send({ cmd: WDMD_CMD.OPEN_WATCHDOG, fireTimeout: 30 });
  peer.begin(NAME, START_S, START_S + 80);
  assert.equal(kills(harness, 20, 22), null);
  assert.equal(harness.status().fireTimeout, 30);
  assert.equal(harness.status().testInterval, 5);
  takesOver(harness, 15, 95);
  harness.at(70);
  assert.equal(harness.timeoutS, 30);
  const idle = new WdmdHarness();
  idle.connect().send({ cmd: WDMD_CMD.OPEN_WATCHDOG, fireTimeout: 30 });
  assert.equal(kills(idle, 5, 6), null);
  assert.equal(idle.timeoutS, 60, 'no client counts on it any more');
});

test('scripts run before a successor opens the device', () => {
  const script = { status: 1, runsS: 1 };
  const harness = new WdmdHarness({ allowScripts: 1 }, [['test', script]]);
  harness.at(30);
  assert.ok(harness.performed.at(-1)?.endsWith('close'), 'it fails');
  assert.equal(kills(harness, 30, 32), null);
  harness.at(50);
  assert.ok(harness.performed.at(-1)?.endsWith('close'), 'it still fails');
  script.status = 0;
  harness.at(70);
  assert.ok(harness.performed.at(-1)?.endsWith('ping'));
});

test('a device that cannot be opened is tried again each second', () => {
  const harness = new WdmdHarness();
  joined(harness);
  harness.openErrno = 16;
  assert.equal(kills(harness, 20, 21), null);
  harness.at(25);
  assert.equal(harness.foretold.at(-1)?.what, '25 device.notReopened at most 60');
  harness.openErrno = 0;
  harness.at(27);
  assert.ok(harness.performed.includes('26 open') || harness.performed.includes('25 open'));
});

test('what is not recorded ends as it always did: no successor starts', () => {
  const harness = new WdmdHarness();
  harness.journal.full = true;
  joined(harness);
  assert.ok(harness.logged.includes('duties.notRecorded'));
  assert.equal(kills(harness, 5, 6), 'it left no record of its duties');
});

test('room again: it is recorded with the next test, and before that no client is turned away', () => {
  const harness = new WdmdHarness();
  harness.journal.full = true;
  const peer = joined(harness);
  peer.send({ cmd: WDMD_CMD.STATUS });
  assert.equal(peer.takeMessage().fireTimeout, 60);
  harness.journal.full = false;
  harness.at(11);
  assert.ok(harness.logged.includes('duties.recorded'));
  assert.equal(kills(harness, 12, 13), null);
});

test('a journal that can neither be written nor removed: no client may rely on an expiry', () => {
  const harness = new WdmdHarness();
  harness.journal.full = true;
  harness.journal.canForget = false;
  const peer = joined(harness);
  peer.send({ cmd: WDMD_CMD.STATUS });
  assert.equal(peer.received.length, 0);
});

test('the journal of another guard, a damaged or an empty one', () => {
  const device = '{"kind":"device","guard":"1:2:3","path":"/dev/watchdog","fireTimeoutS":60}';
  const read = (lines: readonly string[], of: { guard?: string; damaged?: number } = {}) => {
    const now = { guard: of.guard ?? GUARD, nowMs: 0 };
    return readPredecessor({ lines, damaged: of.damaged ?? 0 }, now);
  };
  assert.equal(read([device]).ok, true);
  assert.equal(
    read([device], { guard: '1:2:4' }).ok,
    false,
    'a later wdmd, of any make, left no journal',
  );
  assert.equal(read([device], { damaged: 1 }).ok, false);
  assert.equal(read([device, '{"kind":"later"}']).ok, false, 'of a later version');
  assert.equal(read([]).ok, false);
  assert.equal(
    readPredecessor({ lines: [device], damaged: 0 }, { guard: null, nowMs: 0 }).ok,
    false,
  );
});

test('what is no line of the journal', () => {
  const client =
    '{"kind":"client","id":1,"name":"x","pid":2,"uid":0,"renewal":"3","expire":"4",' +
    '"refcount":true,"askedTimeout":false,"waits":false}';
  assert.notEqual(parseDutyLine(client), null);
  const spoilt = [
    '',
    'null',
    '[]',
    '{}',
    '{"kind":"constructor"}',
    '{"kind":"gone"}',
    '{"kind":"gone","id":-1}',
    '{"kind":"gone","id":1,"more":1}',
    client.replace('"3"', '3'),
    client.replace('"4"', '"-4"'),
    client.replace('true', '1'),
    client.slice(1),
  ];
  for (const line of spoilt) assert.equal(parseDutyLine(line), null, line);
});

test('the journal does not grow with renewals', () => {
  const harness = new WdmdHarness();
  const peer = joined(harness);
  for (let n = 0; n < 9000; n++) peer.live(START_S, START_S + 80 + n);
  const { lines } = harness.journal.load();
  assert.ok(lines.length < 4100, `${lines.length}`);
  assert.equal(readPredecessor({ lines, damaged: 0 }, { guard: GUARD, nowMs: 0 }).ok, true);
});
