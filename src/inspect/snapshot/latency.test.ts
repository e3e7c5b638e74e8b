import assert from 'node:assert/strict';
import { test } from 'node:test';
import { latencyOf } from './latency.ts';

const renewal = (readMs: number, timeouts = 0) => ({
  ...{ timestampS: 1, readMs, writeMs: 1, timeouts, errors: 0 },
});

test('latency: percentiles of the renewals, without the join that has no times', () => {
  assert.equal(latencyOf([]), null);
  const join = { ...renewal(0), writeMs: 0 };
  assert.equal(latencyOf([join]), null);
  const hundred = Array.from({ length: 100 }, (_, n) => renewal(n));
  assert.deepEqual(latencyOf([join, ...hundred, renewal(900, 2)]), {
    ...{ renewals: 101, p50Ms: 51, p95Ms: 96, mostMs: 901, failures: 2 },
  });
});
