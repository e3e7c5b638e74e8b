import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SECOND_MS } from '../base/units.ts';
import type { Log } from '../ports/log.ts';
import { SimClock } from '../sim/kernel/clock.ts';
import type { ProcessClock } from '../sim/kernel/process-clock.ts';
import { RES_FLAGS, SM_CMD } from '../wire/sanlock/socket.ts';
import { LagGauge } from './lag-gauge.ts';
import { acquire, Harness, holding, message, resource, T } from './testing/front-harness.ts';

const AGAIN = -11;

function logged(): { log: Log; lines: string[] } {
  const lines: string[] = [];
  const add = (event: string, fields: object = {}) => {
    lines.push(`${event} ${Object.values(fields).join(' ')}`);
  };
  return { lines, log: { error: add, warn: add, info: () => {}, debug: () => {} } };
}

function pause(harness: Harness, time: ProcessClock, ms: number): void {
  time.pause();
  harness.run(ms);
  time.resume();
}

test('each lag is reported once, and only where it is one', () => {
  const clock = new SimClock();
  const gauge = new LagGauge(clock);
  const pass = (ms: number) => clock.runUntil(clock.nowMs() + ms);
  assert.equal(gauge.take(), 0);
  gauge.expect(250);
  pass(200);
  assert.equal(gauge.take(), 0);
  pass(100);
  assert.equal(gauge.take(), 0, 'timers are never exact');
  pass(400);
  assert.equal(gauge.take(), 450);
  pass(50);
  assert.equal(gauge.take(), 0);
  pass(300);
  assert.equal(gauge.take(), 350, 'it goes on before the late timer has fired');
  gauge.rest();
  pass(1000);
  assert.equal(gauge.take(), 0);
});

test('a front that stood still for more than 2·t grants nothing until it was good for 2·t', () => {
  const { log, lines } = logged();
  const harness = new Harness({ log });
  harness.join();
  const holder = holding(harness, 101, 1);
  harness.run(2 * SECOND_MS);
  pause(harness, harness.frontTime, 3 * T * SECOND_MS);
  const client = harness.client(102);
  assert.equal(harness.result(acquire(2), client), AGAIN);
  assert.match(
    lines.join('\n'),
    /^loop\.lagged front 5\d\d\d 2000\ngrants\.paused LS 5\d\d\d 4000/,
  );
  // Leases that are held are kept, and can be released; renewals go on.
  const release = message(SM_CMD.RELEASE, resource(1).subarray(0, 128), { data: 1 });
  assert.equal(harness.result(release, holder), 0);
  harness.run(1.9 * T * SECOND_MS);
  assert.equal(harness.result(acquire(2), client), AGAIN);
  harness.run(0.2 * T * SECOND_MS + SECOND_MS);
  assert.equal(harness.result(acquire(2), client), 0);
  assert.ok(lines.includes('grants.resumed LS'));
  harness.run(60 * SECOND_MS);
  assert.deepEqual(harness.host.actions, []); // no process was stopped: renewals went on
});

test('a request that overtakes the late timer is refused too', () => {
  const harness = new Harness();
  harness.join();
  const client = harness.client(102);
  harness.run(2 * SECOND_MS);
  harness.frontTime.pause();
  harness.run(3 * T * SECOND_MS);
  client.send(acquire(2)); // handed to the program while its timers still stand
  harness.frontTime.resume();
  harness.run(SECOND_MS);
  assert.equal(new DataView(Uint8Array.from(client.received).buffer).getInt32(24, true), AGAIN);
});

test('a lease process that stood still pauses its lockspace, also a step up', () => {
  const { log, lines } = logged();
  const harness = new Harness({ log });
  harness.join();
  const sharer = holding(harness, 101, 1, RES_FLAGS.SHARED);
  harness.run(2 * SECOND_MS);
  pause(harness, harness.leaseTime, 3 * T * SECOND_MS);
  harness.run(100);
  assert.match(lines.join('\n'), /^loop\.lagged LS \d+ 2000\ngrants\.paused LS/m);
  assert.equal(harness.result(acquire(2), harness.client(102)), AGAIN);
  const stepUp = message(SM_CMD.CONVERT, resource(1).subarray(0, 128));
  assert.equal(harness.result(stepUp, sharer), AGAIN);
});

test('a lag of 2·t pauses grants, also one that began just after a look', () => {
  for (const afterMs of [10, 300, 990]) {
    for (const of of ['front', 'lease'] as const) {
      const { log, lines } = logged();
      const harness = new Harness({ log });
      harness.join();
      harness.run(2 * SECOND_MS + afterMs);
      const time = of === 'front' ? harness.frontTime : harness.leaseTime;
      pause(harness, time, 2 * T * SECOND_MS);
      harness.run(T * 500 + 100); // until the next look of the one that was paused
      assert.match(lines.join('\n'), /^grants\.paused/m, `${of}, ${afterMs} ms after a look`);
    }
  }
});

test('a lag between t/2 and 2·t is logged, and changes nothing', () => {
  const { log, lines } = logged();
  const harness = new Harness({ log });
  harness.join();
  harness.run(2 * SECOND_MS);
  pause(harness, harness.frontTime, 1.5 * T * SECOND_MS);
  assert.equal(harness.result(acquire(2), harness.client(102)), 0);
  assert.match(lines.join('\n'), /^loop\.lagged front 2\d\d\d 2000$/);
});
