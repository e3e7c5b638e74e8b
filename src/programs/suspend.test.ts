import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SECOND_MS } from '../base/units.ts';
import { FrontHost } from '../sim/cluster/front-host.ts';
import { FIRST_LEASE_PID } from '../sim/cluster/sanlock.ts';
import { MemoryJournal } from '../sim/kernel/journal.ts';
import type { ProcessClock } from '../sim/kernel/process-clock.ts';
import { acquire, Harness, holding, T } from './testing/front-harness.ts';

const FAIL_S = 8 * T;
const GRACE_S = 40;
const GONE = -28;

/** The whole machine sleeps: no clock of it moves, those of other hosts do (spec 10 §17.1 item 12). */
function suspend(
  harness: Harness,
  seconds: number,
  clocks: readonly ProcessClock[] = [harness.frontTime, harness.leaseTime],
): void {
  for (const clock of clocks) clock.pause();
  harness.run(seconds * SECOND_MS);
  for (const clock of clocks) clock.slept(seconds * SECOND_MS);
  for (const clock of clocks) clock.resume();
}

function asleep(seconds: number): { harness: Harness; result: number } {
  const harness = new Harness({ killGraceS: GRACE_S });
  assert.equal(harness.join(), 0);
  holding(harness, 101, 1);
  const other = harness.client(102);
  harness.run(5 * SECOND_MS);
  suspend(harness, seconds);
  return { harness, result: harness.result(acquire(2), other) };
}

test('a machine that slept less than its claim goes on', () => {
  const { harness } = asleep(FAIL_S - 2 * T - 2);
  harness.run(60 * SECOND_MS);
  assert.deepEqual(harness.host.actions, []);
  assert.equal(harness.result(acquire(2)), -16); // unregistered: the daemon serves
});

test('a machine that slept its claim away grants nothing any more, and stops its users', () => {
  const { harness, result } = asleep(FAIL_S + 1);
  assert.equal(result, GONE);
  harness.run(2 * SECOND_MS);
  assert.equal(harness.host.actions[0]?.kind, 'SIGTERM');
});

test('a grace that was slept away is over', () => {
  const { harness, result } = asleep(FAIL_S + GRACE_S + 1);
  assert.equal(result, GONE);
  harness.run(2 * SECOND_MS);
  assert.equal(harness.host.actions[0]?.kind, 'SIGKILL');
});

test('what an earlier daemon left running is stopped when its claim was slept away', () => {
  for (const [seconds, action] of [
    [FAIL_S - 2 * T - 2, undefined],
    [FAIL_S + 1, 'SIGTERM'],
    [FAIL_S + GRACE_S + 1, 'SIGKILL'],
  ] as const) {
    const journal = new MemoryJournal();
    const harness = new Harness({ journal });
    assert.equal(harness.join(), 0);
    holding(harness, 101, 1);
    const frontTime = harness.frontTime.sibling();
    for (const clock of [harness.frontTime, harness.leaseTime]) clock.stop();
    const { clock, storage } = harness;
    const ended = new Set([FIRST_LEASE_PID, FIRST_LEASE_PID + 1]);
    const settings = { killGraceS: GRACE_S };
    const of = { name: 'host1', clock, storage, settings, journal, ended, frontTime };
    const host = new FrontHost(of);
    suspend(harness, seconds, [frontTime]);
    harness.run(2 * SECOND_MS);
    assert.equal(host.actions[0]?.kind, action, `after ${seconds} s`);
  }
});
