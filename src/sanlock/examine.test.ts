import { test } from 'node:test';
import { RES_FLAGS, RESTRICT_FLAGS, SM_CMD } from '../wire/sanlock-socket.ts';
import type { Client } from './state.ts';
import { acquireBody, lockspace, resource, Stage } from './testing/stage.ts';

/** A client that holds R1 exclusively at lver 5 and R2 shared. */
function held(restricted = 0): { stage: Stage; client: Client } {
  const stage = new Stage();
  stage.join(10);
  const client = stage.connect(501);
  client.restricted = restricted;
  const body = acquireBody([resource(1), resource(2, { flags: RES_FLAGS.SHARED })]);
  stage.ask(client, SM_CMD.ACQUIRE, body, { data: 2 });
  stage.granted(1, 1, false, 5n);
  stage.granted(1, 2, true);
  return { stage, client };
}

function bitFrom(stage: Stage, fromHostId: number): void {
  const signals = [{ fromHostId, fromGeneration: 1n, event: null }];
  stage.say(1, { kind: 'hosts', sentS: 100, checkedS: 100, changed: [], signals });
}

function asked(stage: Stage, lver: bigint, forceMode: number): void {
  stage.ran(1, { op: 'readRequest', lver, forceMode });
}

test('our bit in another host’s renewal: requests are read, once in 6·t for that host', () => {
  const { stage } = held();
  stage.play([
    [100, () => bitFrom(stage, 2), ['lease1 readRequest R1']], // a shared hold shows no owner
    [100, () => asked(stage, 6n, 2), ['SIGTERM 501']],
    [120, () => bitFrom(stage, 2), []],
    [121, () => bitFrom(stage, 3), ['lease1 readRequest R1']],
    [121, () => asked(stage, 5n, 1), []], // of an owner before us
    [160, () => bitFrom(stage, 2), ['lease1 readRequest R1']],
    [160, () => asked(stage, 6n, 0), []],
  ]);
});

test('a bit that came again too soon makes us look for newer requests once its time is over', () => {
  const { stage } = held();
  stage.play([
    [100, () => bitFrom(stage, 2), ['lease1 readRequest R1']],
    [100, () => asked(stage, 6n, 2), ['SIGTERM 501']],
    [120, () => bitFrom(stage, 2), []],
    [159, () => stage.look(), []],
    [160, () => stage.look(), ['lease1 readRequest R1']],
    [160, () => asked(stage, 6n, 2), []], // it was asked for this
    [161, () => stage.look(), []],
    [165, () => stage.renewed(1, 165), []],
    [170, () => bitFrom(stage, 3), ['lease1 readRequest R1']],
    [170, () => asked(stage, 0n, 0), []],
    [171, () => bitFrom(stage, 3), []],
    [225, () => stage.renewed(1, 225), []],
    [230, () => stage.look(), ['lease1 readRequest R1']],
    [230, () => asked(stage, 6n, 1), ['SIGKILL 501']], // for this it was not
    [231, () => bitFrom(stage, 2), ['lease1 readRequest R1']],
    [231, () => asked(stage, 6n, 1), ['SIGKILL 501']], // asked again, by another bit
  ]);
});

test('force kills, unless the holder was restricted from that when it acquired', () => {
  const one = held();
  one.stage.play([
    [100, () => bitFrom(one.stage, 2), ['lease1 readRequest R1']],
    [100, () => asked(one.stage, 6n, 1), ['SIGKILL 501']],
  ]);
  const two = held(RESTRICT_FLAGS.SIGKILL);
  two.client.restricted = 0;
  two.stage.play([
    [100, () => bitFrom(two.stage, 2), ['lease1 readRequest R1']],
    [100, () => asked(two.stage, 6n, 1), ['SIGTERM 501']],
  ]);
});

test('a graceful request runs the killpath without a pid', () => {
  const { stage, client } = held();
  Object.assign(client, { killpath: '/sbin/k', killargs: 'R1', killpathPid: true });
  stage.play([
    [100, () => bitFrom(stage, 2), ['lease1 readRequest R1']],
    [100, () => asked(stage, 6n, 2), ['/sbin/k R1']],
  ]);
});

test('EXAMINE looks at once and always answers 0; a lease given up meanwhile is left alone', () => {
  const { stage, client } = held();
  const asker = stage.connect(900, false);
  const name = resource(1, { bare: true });
  stage.play([
    [
      100,
      () => stage.ask(asker, SM_CMD.EXAMINE_RESOURCE, name),
      ['lease1 readRequest R1', 'c3 answer 14: 0'],
    ],
    [100, () => stage.ask(asker, SM_CMD.EXAMINE_LOCKSPACE, lockspace('LS')), ['c3 answer 13: 0']],
    [100, () => stage.close(client), ['lease1 release R1', 'lease1 release R2']],
    [100, () => asked(stage, 6n, 1), []],
    [100, () => stage.ask(asker, SM_CMD.EXAMINE_LOCKSPACE, lockspace('X')), ['c3 answer 13: 0']],
  ]);
});
