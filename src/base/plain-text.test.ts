import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasControl, plain, plainJson, shellWord, shown } from './plain-text.ts';

test('a foreign text has no commands to a terminal, no line ends, and nothing that is not seen', () => {
  const hostile: readonly (readonly [string, string])[] = [
    ['a\u001b[2Jb', 'a?[2Jb'],
    ['a\nb\r\u0085c\u2028d', 'a?b??c?d'],
    // An override: the text behind it would be read from right to left.
    ['vm\u202egnp.exe', 'vm?gnp.exe'],
    ['\u2066a\u2069\u200f\u061c', '?a???'],
    ['no\u200b\u200d\ufeff\u00ad\u2060width', 'no?????width'],
    ['tag\u{e0041}\u{e007f}', 'tag??'],
    ['half\ud800', 'half?'],
  ];
  for (const [text, line] of hostile) assert.equal(plain(text), line);
  for (const fine of ['vg0/lv-1', 'größe 磁盘 🐘', '<b>&amp;"\'`', 'שלום', '\ufffd']) {
    assert.equal(plain(fine), fine);
  }
});

test('in a sentence it is cut, and never within a character', () => {
  assert.equal(shown('abc', 3), 'abc');
  assert.equal(shown('abcd', 3), 'abc…');
  assert.equal(shown('ab🐘d', 3), 'ab…');
});

test('whether it has control characters', () => {
  assert.equal(hasControl('a\tb'), true);
  assert.equal(hasControl('größe'), false);
});

test('a command in a sentence is one word, and JSON has no commands to a terminal', () => {
  assert.equal(shellWord('vg1/lv:/dev/x:0'), 'vg1/lv:/dev/x:0');
  assert.equal(shellWord(''), "''");
  assert.equal(shellWord('a b'), "'a b'");
  assert.equal(shellWord("$(x)'\u009b"), "'$(x)'\\''?'");
  assert.equal(plainJson({ a: ['\u009b\u202e'], n: 1 }, 0), '{"a":["??"],"n":1}');
});
