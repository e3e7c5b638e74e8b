import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textDiff } from './text-diff.ts';

test('what changes, with three lines around it', () => {
  const before = 'a\nb\nc\nd\ne\nf\ng\nh\n';
  assert.equal(textDiff('/x', before, before), '');
  assert.equal(
    textDiff('/x', before, before.replace('e\n', 'E\n')),
    '--- /x\n+++ /x\n@@ -2,7 +2,7 @@\n b\n c\n d\n-e\n+E\n f\n g\n h',
  );
  assert.equal(textDiff('/x', '', 'a\n'), '--- /x\n+++ /x\n@@ -0,0 +1,1 @@\n+a');
  assert.equal(textDiff('/x', 'a\na\n', 'a\n'), '--- /x\n+++ /x\n@@ -1,2 +1,1 @@\n a\n-a');
});
