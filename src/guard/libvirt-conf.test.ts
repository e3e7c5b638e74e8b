import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLibvirtConf } from './libvirt-conf.ts';

function values(text: string): unknown {
  const parsed = parseLibvirtConf(text);
  return parsed.ok ? Object.fromEntries(parsed.value) : parsed.error;
}

test('numbers, texts, lists and comments', () => {
  const text = `# a comment
host_id = 3  # behind a value
user="sanlock"
a = 'it is'
  b=[ "x", # within
      'y' , 7,
  ]
c = []
d = -1
e = """two
lines"""
host_id = 4
`;
  assert.deepEqual(values(text), {
    host_id: 4,
    user: 'sanlock',
    a: 'it is',
    b: ['x', 'y', 7],
    c: [],
    d: -1,
    e: 'two\nlines',
  });
  assert.deepEqual(values(''), {});
  assert.deepEqual(values('a = 1'), { a: 1 });
  assert.deepEqual(values('a = 1\r\nb = 2\r\n'), { a: 1, b: 2 });
});

test('what is wrong is said with its line', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['a = 1\n= 2\n', 'line 2: found "= 2", wanted a key'],
    ['a 1\n', 'line 1: found "1", wanted "=" behind a'],
    ['a = yes\n', 'line 1: found "yes", wanted a number, a text or a list for a'],
    ['a = "x\n', 'line 1: found "x", wanted a number, a text or a list for a'],
    ['a = 1 b = 2\n', 'line 1: found "b = 2", wanted the end of the line behind a'],
    ['a = [ 1 2 ]\n', 'line 1: found "2 ]", wanted a number, a text or a list for a'],
    ['a = [ 1\n', 'line 2: found "", wanted a number, a text or a list for a'],
  ];
  for (const [text, sentence] of cases) assert.equal(values(text), sentence);
});
