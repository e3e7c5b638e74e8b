import assert from 'node:assert/strict';
import { test } from 'node:test';
import { strayBackslash } from './backslash.ts';

test('a backslash that would vanish is refused, with the way to write one', () => {
  for (const good of ['LS:1:/a:0', 'LS:1:/a\\:b\\ c\\\\d:0', 'LS:1:/a\\\\\\:b:0']) {
    for (const letter of ['-s', '-r', '-x']) assert.equal(strayBackslash([letter, good]), null);
  }
  for (const bad of ['LS:1:/a\\b:0', 'LS:1:/a\\\\\\b:0', 'LS:1:/a\\']) {
    const sentence = strayBackslash(['-o', '2', '-s', bad]) ?? '';
    assert.ok(sentence.startsWith(`sanlock: -s ${bad}: a backslash stands only before`), sentence);
  }
  assert.equal(strayBackslash(['-e', 'a\\b', '-c', '/bin/x', '-s', 'LS:1:/a\\b:0']), null);
});
