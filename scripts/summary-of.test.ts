import assert from 'node:assert/strict';
import { test } from 'node:test';
import { summaryOf } from './summary-of.mjs';

test('a good run shows its tests, what they measured, and which took long', () => {
  const output = [
    'TAP version 13',
    '# Subtest: guests',
    '    # Subtest: paths',
    '    ok 1 - paths',
    '      ---',
    '      duration_ms: 73412.2',
    '      ...',
    'ok 1 - guests',
    '  ---',
    '  duration_ms: 1200.5',
    '  ...',
    '# 3.1 s after its last renewal',
    'ok 2 - no machine # SKIP',
    '# pass 2',
    '# duration_ms 74000.1',
  ].join('\n');
  assert.equal(
    summaryOf(output),
    [
      '    ok 1 - paths (73 s)',
      'ok 1 - guests',
      '# 3.1 s after its last renewal',
      'ok 2 - no machine # SKIP',
      '# pass 2',
    ].join('\n'),
  );
});
