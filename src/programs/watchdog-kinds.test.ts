import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DriverDevice, WatchdogSupport } from '../ports/watchdog-device.ts';
import { KnownWatchdogs } from './watchdog-kinds.ts';
import { findWatchdog, shortenTimeoutOf } from './watchdog-search.ts';

/** A driver's device that takes timeouts up to `largestS`. */
class FakeDevice implements DriverDevice {
  timeoutS = 60;
  isArmed = true;
  readonly #support: WatchdogSupport | null;
  readonly #largestS: number;

  constructor(support: WatchdogSupport | null, largestS = 600) {
    this.#support = support;
    this.#largestS = largestS;
  }

  support(): WatchdogSupport | null {
    return this.#support;
  }

  getTimeout(): number {
    return this.timeoutS;
  }

  changeTimeout(seconds: number): number {
    this.timeoutS = Math.min(seconds, this.#largestS);
    return this.timeoutS;
  }

  keepalive(): number {
    return 0;
  }

  disarm(): void {
    this.isArmed = false;
  }

  closeUnclean(): void {}
}

function found(device: FakeDevice) {
  const reported: string[] = [];
  const drivers = { openDevice: () => ({ ok: true, device }) as const, list: () => [] };
  const devices = new KnownWatchdogs(drivers, (path, kind) =>
    reported.push(`${path} ${kind.identity}`),
  );
  const refused: string[] = [];
  const want = { paths: ['/dev/watchdog0'], timeoutS: 60 };
  const watchdog = findWatchdog(devices, want, ({ step, errno }) => {
    assert.ok(errno > 0 || step === 'timeout', 'a device that failed to open has an errno');
    refused.push(step);
  });
  return { watchdog, reported, refused };
}

const USUAL = { identity: 'any', isAlarmOnly: false, hasMagicClose: true, isNoWayOut: false };
const ITCO = { ...USUAL, identity: 'iTCO_wdt' };

test('a device that may fire at its second expiry is set to half, and reports the whole', () => {
  const device = new FakeDevice(ITCO);
  const { watchdog, reported } = found(device);
  assert.equal(device.timeoutS, 30);
  assert.equal(watchdog?.device.getTimeout(), 60);
  assert.deepEqual(reported, ['/dev/watchdog0 iTCO_wdt']);
});

test('shortened, it never gets more than half of what is left', () => {
  const device = new FakeDevice(ITCO);
  const { watchdog } = found(device);
  assert.ok(watchdog !== null);
  assert.equal(shortenTimeoutOf(watchdog.device, 41), 40);
  assert.equal(device.timeoutS, 20);
  assert.equal(shortenTimeoutOf(watchdog.device, 1), 2);
});

test('where half cannot be had it is refused, and disarmed', () => {
  const device = new FakeDevice(ITCO, 20);
  assert.deepEqual(found(device).refused, ['timeout']);
  assert.equal(device.isArmed, false);
});

test('what only raises an alarm is no watchdog', () => {
  const device = new FakeDevice({ ...USUAL, isAlarmOnly: true });
  assert.deepEqual(found(device).refused, ['alarmOnly']);
  assert.equal(device.isArmed, false);
});

test('a device that stops at any close is refused, and stopped', () => {
  const device = new FakeDevice({ ...USUAL, hasMagicClose: false });
  assert.deepEqual(found(device).refused, ['stopsAtClose']);
  assert.equal(device.isArmed, false);
});

test('unless nothing stops it, or its driver is one that does not say what it does', () => {
  for (const support of [
    { ...USUAL, hasMagicClose: false, isNoWayOut: true },
    { ...USUAL, hasMagicClose: false, identity: 'IPMI' },
  ]) {
    const device = new FakeDevice(support);
    assert.equal(found(device).watchdog?.device, device);
    assert.equal(device.isArmed, true);
  }
});

test('any other device, and one without an identity, has the timeout that it reports', () => {
  for (const support of [null, { ...USUAL, identity: 'Software Watchdog' }]) {
    const device = new FakeDevice(support);
    const { watchdog, reported } = found(device);
    assert.equal(watchdog?.device, device);
    assert.equal(device.timeoutS, 60);
    assert.deepEqual(reported, []);
  }
});
