import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acquire, holding, Stage, T } from './testing/front-stage.ts';

const SECOND_MS = 1000;
const FAIL_S = 8 * T;
const GRACE_S = 40;
const GONE = -28;

/** The whole machine sleeps: no clock of it moves, those of other hosts do (spec 10 §17.1 item 12). */
function suspend(stage: Stage, seconds: number): void {
  const clocks = [stage.frontTime, stage.leaseTime];
  for (const clock of clocks) clock.pause();
  stage.run(seconds * SECOND_MS);
  for (const clock of clocks) clock.slept(seconds * SECOND_MS);
  for (const clock of clocks) clock.resume();
}

function asleep(seconds: number): { stage: Stage; result: number } {
  const stage = new Stage({ killGraceS: GRACE_S });
  assert.equal(stage.join(), 0);
  holding(stage, 101, 1);
  const other = stage.client(102);
  stage.run(5 * SECOND_MS);
  suspend(stage, seconds);
  return { stage, result: stage.result(acquire(2), other) };
}

test('a machine that slept less than its claim goes on', () => {
  const { stage } = asleep(FAIL_S - 2 * T - 2);
  stage.run(60 * SECOND_MS);
  assert.deepEqual(stage.host.deeds, []);
  assert.equal(stage.result(acquire(2)), -16); // unregistered: the daemon serves
});

test('a machine that slept its claim away grants nothing any more, and stops its users', () => {
  const { stage, result } = asleep(FAIL_S + 1);
  assert.equal(result, GONE);
  stage.run(2 * SECOND_MS);
  assert.equal(stage.host.deeds[0]?.kind, 'SIGTERM');
});

test('a grace that was slept away is over', () => {
  const { stage, result } = asleep(FAIL_S + GRACE_S + 1);
  assert.equal(result, GONE);
  stage.run(2 * SECOND_MS);
  assert.equal(stage.host.deeds[0]?.kind, 'SIGKILL');
});
