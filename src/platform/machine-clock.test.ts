import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { MachineClock } from './machine-clock.ts';

/** Set in the process that runs this file as on a machine that slept. */
const IS_SLEEPER = process.env['MACHINE_CLOCK_SLEEPER'] === '1';
const SLEPT_S = 1000;
/** A time namespace, whose boot clock is ahead as after a sleep. */
const NAMESPACE = ['--time', '--boottime', String(SLEPT_S)];
const canSleep = spawnSync('unshare', [...NAMESPACE, 'true']).status === 0;
const where = canSleep ? {} : { skip: 'needs root and a kernel with time namespaces' };

function sleptMs(clock: MachineClock): number {
  return clock.bootMs() - clock.nowMs();
}

if (IS_SLEEPER) {
  console.log(`slept ${sleptMs(new MachineClock())}`);
  process.exit(0);
}

test('boot time is the uptime of the machine, and no less than its monotonic clock', () => {
  const clock = new MachineClock();
  const awakeMs = clock.nowMs();
  const fromMs = clock.bootMs();
  assert.ok(fromMs >= awakeMs, 'no machine slept less than not at all');
  const uptimeMs = Number(readFileSync('/proc/uptime', 'ascii').split(' ')[0]) * 1000;
  const toMs = clock.bootMs();
  const found = `${fromMs} to ${toMs}, uptime ${uptimeMs} ms`;
  assert.ok(uptimeMs > fromMs - 50 && uptimeMs < toMs + 50, found); // it counts hundredths
});

test('the time that a machine slept is measured', where, () => {
  const program = [process.execPath, fileURLToPath(import.meta.url)];
  const env = { ...process.env, MACHINE_CLOCK_SLEEPER: '1' };
  const ran = spawnSync('unshare', [...NAMESPACE, ...program], { env, encoding: 'utf8' });
  const there = Number(/slept ([0-9.]+)/.exec(ran.stdout)?.[1]);
  const found = Math.abs(there - sleptMs(new MachineClock()) - SLEPT_S * 1000);
  assert.ok(found < 50, `${ran.stdout}${ran.stderr}`);
});
