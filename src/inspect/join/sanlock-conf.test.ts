import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sanlockSetting, withSanlockSetting } from './sanlock-conf.ts';

const KEY = 'our_host_name';

test('a setting of sanlock.conf is changed in its place, or comes behind its comment', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['', 'our_host_name = b\n'],
    ['x = 1', 'x = 1\nour_host_name = b\n'],
    ['our_host_name=a # old\nx = 1\n', 'our_host_name=b # old\nx = 1\n'],
    ['our_host_name =\n', 'our_host_name =b\n'],
    ['# our_host_name = uuid\nx = 1\n', '# our_host_name = uuid\nour_host_name = b\nx = 1\n'],
    [' our_host_name = a\n', ' our_host_name = a\nour_host_name = b\n'],
  ];
  for (const [before, after] of cases) {
    assert.equal(withSanlockSetting(before, KEY, 'b'), after, before);
    assert.equal(sanlockSetting(after, KEY), 'b', before);
    assert.equal(withSanlockSetting(after, KEY, 'b'), after, before);
  }
  for (const text of ['', '#our_host_name = a\n', 'our_host_name =\n', ' our_host_name = a\n']) {
    assert.equal(sanlockSetting(text, KEY), null, text);
  }
});
