import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FIRST_LEASE_PID, FrontHost } from '../sim/front-host.ts';
import type { HostClock } from '../sim/host-clock.ts';
import { MemoryJournal } from '../sim/memory-journal.ts';
import { acquire, holding, Stage, T } from './testing/front-stage.ts';

const SECOND_MS = 1000;
const FAIL_S = 8 * T;
const GRACE_S = 40;
const GONE = -28;

/** The whole machine sleeps: no clock of it moves, those of other hosts do (spec 10 §17.1 item 12). */
function suspend(
  stage: Stage,
  seconds: number,
  clocks: readonly HostClock[] = [stage.frontTime, stage.leaseTime],
): void {
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

test('what an earlier daemon left running is stopped when its claim was slept away', () => {
  for (const [seconds, deed] of [
    [FAIL_S - 2 * T - 2, undefined],
    [FAIL_S + 1, 'SIGTERM'],
    [FAIL_S + GRACE_S + 1, 'SIGKILL'],
  ] as const) {
    const journal = new MemoryJournal();
    const stage = new Stage({ journal });
    assert.equal(stage.join(), 0);
    holding(stage, 101, 1);
    const frontTime = stage.frontTime.sibling();
    for (const clock of [stage.frontTime, stage.leaseTime]) clock.stop();
    const { clock, storage } = stage;
    const ended = new Set([FIRST_LEASE_PID, FIRST_LEASE_PID + 1]);
    const settings = { killGraceS: GRACE_S };
    const of = { name: 'host1', clock, storage, settings, journal, ended, frontTime };
    const host = new FrontHost(of);
    suspend(stage, seconds, [frontTime]);
    stage.run(2 * SECOND_MS);
    assert.equal(host.deeds[0]?.kind, deed, `after ${seconds} s`);
  }
});
