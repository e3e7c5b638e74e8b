import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failedOf } from './failed-of.mjs';

const OUTPUT = `ok 1 - good
not ok 2 - a test
  ---
  duration_ms: 7
  error: |-
    Expected values to be strictly equal:
    
    1 !== 2
    error: 'as the daemon said it'
  code: 'ERR_ASSERTION'
  stack: |-
    where (file.ts:1:1)
not ok 3 - later # TODO
    not ok 1 - within
      error: 'one line'
again: npm run sim -- --seed 7`;

test('what failed, with all lines of its reason, and the command that shows it again', () => {
  assert.deepEqual(failedOf(OUTPUT).split('\n'), [
    'not ok 2 - a test',
    '  error: |-',
    '    Expected values to be strictly equal:',
    '    ',
    '    1 !== 2',
    "    error: 'as the daemon said it'",
    '    not ok 1 - within',
    "      error: 'one line'",
    'again: npm run sim -- --seed 7',
  ]);
});

test('a reason that is a whole log is cut, and an output without words of ours is shown at its end', () => {
  const log = Array.from({ length: 100 }, (_, n) => `    line ${n} ${'x'.repeat(400)}`);
  const shown = failedOf(['  error: |-', ...log, "  code: 'X'"].join('\n')).split('\n');
  assert.equal(shown.length, 13);
  assert.equal(shown.at(-1)?.length, 300);
  assert.equal(failedOf('Segmentation fault'), 'Segmentation fault');
});
