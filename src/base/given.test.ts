import assert from 'node:assert/strict';
import { test } from 'node:test';
import { given } from './given.ts';

test('an option that is given empty has no value', () => {
  assert.deepEqual(
    [given(undefined), given(''), given(' '), given('0')],
    [undefined, undefined, ' ', '0'],
  );
});
