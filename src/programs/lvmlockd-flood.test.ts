import assert from 'node:assert/strict';
import test from 'node:test';
import { LvmlockdWorld } from './testing/lvmlockd-harness.ts';

const HELLO = 'request="hello"\n##\n';
const INFO = 'request="info"\n##\n';
const FLOOD = 4000;

function answers(world: LvmlockdWorld, name: string): number {
  return world.replies.get(name)?.length ?? 0;
}

test('requests that one client sends ahead do not delay another client, and are all served', () => {
  for (const request of [HELLO, INFO]) {
    const world = new LvmlockdWorld([]);
    world.connect('flooder');
    world.connect('other');
    world.send('flooder', request.repeat(FLOOD));
    assert.ok(answers(world, 'flooder') <= 1, 'one in a turn');
    assert.ok(world.isPaused('flooder'), 'nothing more is read meanwhile');
    world.send('other', HELLO);
    world.pass(0);
    assert.equal(answers(world, 'other'), 1);
    world.pass(FLOOD);
    assert.equal(answers(world, 'flooder'), FLOOD);
    assert.ok(!world.isPaused('flooder'));
  }
});

test('a client that does not read its answers is not served until it does', () => {
  const world = new LvmlockdWorld([]);
  world.connect('deaf');
  world.reads('deaf', false);
  world.send('deaf', INFO.repeat(100));
  world.pass(1000);
  assert.equal(answers(world, 'deaf'), 0);
  assert.equal(world.dumps.length, 0);
  world.reads('deaf', true);
  world.pass(1000);
  assert.equal(answers(world, 'deaf'), 100);
});

test('requests that a client sent ahead end with its connection', () => {
  const world = new LvmlockdWorld([]);
  world.connect('flooder');
  world.send('flooder', HELLO.repeat(FLOOD));
  world.close('flooder');
  world.pass(FLOOD);
  assert.ok(answers(world, 'flooder') <= 1);
  world.connect('other');
  world.send('other', HELLO);
  assert.equal(answers(world, 'other'), 1);
});
