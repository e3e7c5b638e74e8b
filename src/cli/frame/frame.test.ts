import assert from 'node:assert/strict';
import { test } from 'node:test';
import { helpText } from './help.ts';
import { type CommandPage, JSON_OPTION, pageFor } from './page.ts';
import { readCommand, readWords } from './words.ts';

const PAGE = {
  name: 'holdfast try',
  about: 'a command to try the frame with',
  forms: ['NAME', '--path PATH'],
  counts: { least: 0, most: 1 },
  options: [
    JSON_OPTION,
    { name: 'path', value: 'PATH', about: `where it is, and ${'many words '.repeat(12)}` },
    { name: 'skip', short: 's', value: 'KIND', isRepeated: true, about: 'leaves out a kind' },
  ],
  text: ['It does nothing.'],
  examples: [{ line: 'holdfast try --json', about: 'for programs' }],
  exits: { 0: 'fine', 1: 'not', 2: 'wrong words' },
  schema: 'holdfast.try/1',
} as const satisfies CommandPage;

test('words: options, values, and what is no option', () => {
  const words = readWords(PAGE, ['--path=/a', 'x', '--json', '-s', 'one', '--skip', 'two']);
  assert.ok(words.ok);
  assert.deepEqual(words.value.operands, ['x']);
  assert.equal(words.value.value('path'), '/a');
  assert.deepEqual(words.value.values('skip'), ['one', 'two']);
  assert.deepEqual([words.value.has('json'), words.value.has('skip')], [true, true]);
  const behind = readWords(PAGE, ['--', '--json']);
  assert.ok(behind.ok && behind.value.operands[0] === '--json' && !behind.value.has('json'));
});

test('words: each mistake has its sentence, and the name that was meant', () => {
  const mistakes: readonly (readonly [readonly string[], RegExp])[] = [
    [['--jsno'], /^there is no option --jsno: did you mean --json\?$/],
    [['--frobnicate'], /^there is no option --frobnicate: holdfast try --help lists them$/],
    [['-x'], /^there is no option -x/],
    [['--json=1'], /^--json has no value, "1" is one$/],
    [['--path'], /^--path wants PATH behind it$/],
    [['--path', '--json'], /^--path wants PATH behind it$/],
    [['--path', 'a', '--path', 'b'], /^--path is given twice$/],
    [['a', 'b\u001b[2J'], /^"b\?\[2J" is a word too much$/],
    [['-5'], /^there is no option -5/],
  ];
  for (const [args, sentence] of mistakes) {
    const words = readWords(PAGE, args);
    assert.match(words.ok ? 'fine' : words.error, sentence, args.join(' '));
  }
  const least = readWords({ ...PAGE, counts: { least: 1, most: 1 } }, []);
  assert.match(least.ok ? '' : least.error, /^a word is missing: holdfast try NAME$/);
});

test('words: where a page has numbers, a number with its sign is no option', () => {
  const words = readWords({ ...PAGE, hasNumbers: true }, ['-223', '--json']);
  assert.deepEqual(words.ok && words.value.operands, ['-223']);
});

test('help: everything of the page, 80 columns wide', () => {
  const help = helpText(PAGE);
  for (const line of help.split('\n')) assert.ok(line.length <= 80, line);
  assert.match(
    help,
    /^Usage: holdfast try \[options\] NAME\n {7}holdfast try \[options\] --path PATH\n/,
  );
  for (const part of ['-s, --skip KIND', '-h, --help', 'holdfast.try/1', '  1  not', 'It does']) {
    assert.ok(help.includes(part), part);
  }
});

test('a command within another: its words, its help, and the one that was meant', () => {
  const inner = { ...PAGE, name: 'holdfast try again', about: 'a second time', forms: ['[NAME]'] };
  const group: CommandPage = { ...PAGE, forms: [], options: [], commands: [inner] };
  const read = readCommand(group, ['again', '--json', 'x']);
  assert.ok(read.ok);
  assert.deepEqual([read.value.word, read.value.rest], ['again', ['--json', 'x']]);
  const sentence = (args: readonly string[]) => {
    const wrong = readCommand(group, args);
    return wrong.ok ? 'fine' : wrong.error;
  };
  assert.equal(
    sentence(['agian']),
    'there is no command "agian": did you mean holdfast try again?',
  );
  assert.equal(sentence(['x\n']), 'there is no command "x?": holdfast try --help lists them');
  assert.equal(sentence([]), 'it wants one of its commands: again');
  assert.match(
    helpText(group),
    /^Usage: holdfast try again \[options\] \[NAME\]\n[\s\S]*\n {2}again {2}a second time\n/,
  );
  assert.equal(pageFor(group, ['--help', 'again']).name, inner.name);
  assert.equal(pageFor(group, ['other']).name, group.name);
});
