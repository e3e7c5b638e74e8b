import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { MachineClock } from './machine-clock.ts';

test('the time a machine slept is what its uptime has more than the monotonic clock', () => {
  const clock = new MachineClock();
  const uptimeMs = Number(readFileSync('/proc/uptime', 'ascii').split(' ')[0]) * 1000;
  const sleptMs = clock.asleepMs();
  assert.ok(sleptMs >= 0, 'no machine slept less than not at all');
  assert.ok(Math.abs(uptimeMs - clock.nowMs() - sleptMs) < 200, `${sleptMs} of ${uptimeMs} ms`);
  assert.ok(Math.abs(clock.asleepMs() - sleptMs) < 50, 'awake, it does not change');
});
