import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimClock } from '../sim/kernel/clock.ts';
import { Turns } from './turns.ts';

/** Clients by name, with so many requests each; serving one takes `tookMs`. */
function harness(tookMs: number) {
  const clock = new SimClock();
  let lateMs = 0;
  const served: string[] = [];
  const left = new Map<string, number>();
  const slow = { ...clock, nowMs: () => clock.nowMs() + lateMs, wallMs: () => 0 };
  const turns = new Turns<string>(
    { ...slow, after: (delayMs, fire) => clock.after(delayMs, fire) },
    (client) => {
      served.push(client);
      lateMs += tookMs;
      left.set(client, (left.get(client) ?? 1) - 1);
      return (left.get(client) ?? 0) > 0;
    },
  );
  const ask = (client: string, count: number) => {
    left.set(client, (left.get(client) ?? 0) + count);
    turns.want(client);
  };
  return { clock, turns, served, ask };
}

test('one request of each client in a turn, in the order in which they began to wait', () => {
  const { clock, served, ask } = harness(0);
  ask('a', 4);
  assert.equal(served.join(''), 'a', 'no other waited: at once');
  ask('b', 2);
  ask('c', 1);
  assert.equal(served.join(''), 'a');
  clock.step();
  assert.equal(served.join(''), 'aabc');
  clock.step();
  assert.equal(served.join(''), 'aabcab');
  clock.step();
  assert.equal(served.join(''), 'aabcaba');
  assert.equal(clock.step(), false, 'nothing is left to do');
});

test('a turn that has taken long goes on in the next one, where it was', () => {
  const { clock, served, ask } = harness(3);
  for (const client of ['a', 'b', 'c', 'd']) ask(client, 2);
  assert.equal(served.join(''), 'a');
  clock.step();
  assert.equal(served.join(''), 'aab');
  clock.step();
  assert.equal(served.join(''), 'aabcd');
});

test('requests that come one by one make a turn together', () => {
  const { clock, served, ask } = harness(3);
  ask('a', 1);
  ask('b', 1);
  ask('c', 1);
  assert.equal(served.join(''), 'ab', 'c comes behind what has arrived meanwhile');
  clock.step();
  assert.equal(served.join(''), 'abc');
});

test('who has gone is not served', () => {
  const { clock, turns, served, ask } = harness(0);
  ask('a', 2);
  ask('b', 1);
  turns.forget('b');
  while (clock.step());
  assert.equal(served.join(''), 'aa');
});
