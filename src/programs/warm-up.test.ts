import assert from 'node:assert/strict';
import { test } from 'node:test';
import { warmUp } from './warm-up.ts';

test('a warm-up takes a lease in every mode, releases it each time, and ends', () => {
  assert.equal(
    warmUp(() => 0.5),
    6,
  );
});
