import { test } from 'node:test';
import { RES_FLAGS, RESTRICT_FLAGS, SM_CMD } from '../wire/sanlock/socket.ts';
import type { Client } from './state.ts';
import { acquireBody, Harness, lockspace, resource } from './testing/harness.ts';

/** A client that holds R1 exclusively at lver 5 and R2 shared. */
function held(restricted = 0): { harness: Harness; client: Client } {
  const harness = new Harness();
  harness.join(10);
  const client = harness.connect(501);
  client.restricted = restricted;
  const body = acquireBody([resource(1), resource(2, { flags: RES_FLAGS.SHARED })]);
  harness.ask(client, SM_CMD.ACQUIRE, body, { data: 2 });
  harness.granted(1, 1, false, 5n);
  harness.granted(1, 2, true);
  return { harness, client };
}

function bitFrom(harness: Harness, fromHostId: number): void {
  const signals = [{ fromHostId, fromGeneration: 1n, event: null }];
  harness.leaseSends(1, { kind: 'hosts', sentS: 100, checkedS: 100, changed: [], signals });
}

function asked(harness: Harness, lver: bigint, forceMode: number): void {
  harness.ran(1, { op: 'readRequest', lver, forceMode });
}

test('our bit in another host’s renewal: requests are read, once in 6·t for that host', () => {
  const { harness } = held();
  harness.play([
    [100, () => bitFrom(harness, 2), ['lease1 readRequest R1']], // a shared hold shows no owner
    [100, () => asked(harness, 6n, 2), ['SIGTERM 501']],
    [120, () => bitFrom(harness, 2), []],
    [121, () => bitFrom(harness, 3), ['lease1 readRequest R1']],
    [121, () => asked(harness, 5n, 1), []], // of an owner before us
    [160, () => bitFrom(harness, 2), ['lease1 readRequest R1']],
    [160, () => asked(harness, 6n, 0), []],
  ]);
});

test('a bit that came again too soon: newer requests are read once its time is over', () => {
  const { harness } = held();
  harness.play([
    [100, () => bitFrom(harness, 2), ['lease1 readRequest R1']],
    [100, () => asked(harness, 6n, 2), ['SIGTERM 501']],
    [120, () => bitFrom(harness, 2), []],
    [159, () => harness.tick(), []],
    [160, () => harness.tick(), ['lease1 readRequest R1']],
    [160, () => asked(harness, 6n, 2), []], // it was asked for this
    [161, () => harness.tick(), []],
    [165, () => harness.renewed(1, 165), []],
    [170, () => bitFrom(harness, 3), ['lease1 readRequest R1']],
    [170, () => asked(harness, 0n, 0), []],
    [171, () => bitFrom(harness, 3), []],
    [225, () => harness.renewed(1, 225), []],
    [230, () => harness.tick(), ['lease1 readRequest R1']],
    [230, () => asked(harness, 6n, 1), ['SIGKILL 501']], // for this it was not
    [231, () => bitFrom(harness, 2), ['lease1 readRequest R1']],
    [231, () => asked(harness, 6n, 1), ['SIGKILL 501']], // asked again, by another bit
  ]);
});

test('force sends SIGKILL, unless the holder was spared it when it acquired', () => {
  const one = held();
  one.harness.play([
    [100, () => bitFrom(one.harness, 2), ['lease1 readRequest R1']],
    [100, () => asked(one.harness, 6n, 1), ['SIGKILL 501']],
  ]);
  const two = held(RESTRICT_FLAGS.SIGKILL);
  two.client.restricted = 0;
  two.harness.play([
    [100, () => bitFrom(two.harness, 2), ['lease1 readRequest R1']],
    [100, () => asked(two.harness, 6n, 1), ['SIGTERM 501']],
  ]);
});

test('a graceful request runs the killpath without a pid', () => {
  const { harness, client } = held();
  Object.assign(client, { killpath: '/sbin/k', killargs: 'R1', killpathPid: true });
  harness.play([
    [100, () => bitFrom(harness, 2), ['lease1 readRequest R1']],
    [100, () => asked(harness, 6n, 2), ['/sbin/k R1']],
  ]);
});

test('EXAMINE reads requests at once and always answers 0; a lease released meanwhile is left alone', () => {
  const { harness, client } = held();
  const asker = harness.connect(900, false);
  const name = resource(1, { bare: true });
  harness.play([
    [
      100,
      () => harness.ask(asker, SM_CMD.EXAMINE_RESOURCE, name),
      ['lease1 readRequest R1', 'c3 answer 14: 0'],
    ],
    [100, () => harness.ask(asker, SM_CMD.EXAMINE_LOCKSPACE, lockspace('LS')), ['c3 answer 13: 0']],
    [100, () => harness.close(client), ['lease1 release R1', 'lease1 release R2']],
    [100, () => asked(harness, 6n, 1), []],
    [100, () => harness.ask(asker, SM_CMD.EXAMINE_LOCKSPACE, lockspace('X')), ['c3 answer 13: 0']],
  ]);
});
