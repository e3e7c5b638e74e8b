import assert from 'node:assert/strict';
import { test } from 'node:test';
import { given } from './given.ts';

test('nothing is no value', () => {
  assert.deepEqual(
    [given(undefined), given(''), given(' '), given('0')],
    [undefined, undefined, ' ', '0'],
  );
});
