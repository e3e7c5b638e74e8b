import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rehearse } from './rehearsal.ts';

test('a rehearsal takes a lease in every mode, gives it back each time, and comes to its end', () => {
  assert.equal(
    rehearse(() => 0.5),
    6,
  );
});
