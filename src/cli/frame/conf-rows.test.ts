import assert from 'node:assert/strict';
import { test } from 'node:test';
import { confMan, readConf } from './conf-rows.ts';

const TEXT =
  '# /etc/a: a file\n# of keys\n\n# It is new.\n\n# first,\n# and on\n# one = 1\n\n# two of them\n# a = "x"\n# b_c = 0\n';

test('a file of settings is read as what it says of itself, and of each key', () => {
  assert.deepEqual(readConf(TEXT), {
    paragraphs: ['/etc/a: a file of keys', 'It is new.'],
    rows: [
      ['one = 1', 'first, and on'],
      ['a = "x"', 'two of them'],
      ['b_c = 0', 'two of them'],
    ],
  });
});

test('its page has its path, its paragraphs and its keys', () => {
  const page = confMan({ name: 'a.conf', about: 'of a', seeAlso: [] }, TEXT, ['More.']);
  assert.deepEqual(page.synopsis, ['/etc/a']);
  const [description] = page.sections;
  assert.deepEqual(description?.parts, ['A file of keys', 'It is new.', 'More.']);
});
