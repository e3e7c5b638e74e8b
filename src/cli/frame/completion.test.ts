import assert from 'node:assert/strict';
import { test } from 'node:test';
import { completionOfCommands, optionsOf } from './completion.ts';
import { bashText } from './completion-bash.ts';
import { quoted } from './completion-shell.ts';
import { JSON_OPTION } from './page.ts';

test('options and their values are read from the heads of a help', () => {
  const options = optionsOf([
    ['--dump, -d', 'x'],
    ['--wait | -w 0|1', 'x'],
    ['--help | -h, --version | -V', 'x'],
    ['--set VGNAME --uuid UUID --mode ex|sh', 'x'],
    ['-o off', 'x'],
    ['-o on', 'x'],
    ['[-D] [-s LOCKSPACE | -r RESOURCE] [-f <path>]', 'x'],
  ]);
  assert.deepEqual(
    options.map(({ names, value }) => [names.join(), value]),
    [
      ['--dump,-d', null],
      ['--wait,-w', ['0', '1']],
      ['--help,-h', null],
      ['--version,-V', null],
      ['--set', 'vg'],
      ['--uuid', 'text'],
      ['--mode', ['ex', 'sh']],
      ['-o', ['off', 'on']],
      ['-D', null],
      ['-s', 'lockspace'],
      ['-r', 'text'],
      ['-f', 'file'],
    ],
  );
});

test('commands, those within them, and what they name', () => {
  const common = { forms: [], text: [], examples: [], exits: {} };
  const inner = { ...common, name: 'p a b', about: 'inner', operands: 'vg', options: [] } as const;
  const page = {
    ...common,
    name: 'p a',
    about: 'outer',
    options: [JSON_OPTION],
    commands: [inner],
  };
  const { nodes } = completionOfCommands('p', [page]);
  assert.deepEqual([...nodes.keys()], ['', 'help', 'a', 'a b']);
  assert.equal(nodes.get('a b')?.operands, 'vg');
  assert.deepEqual(nodes.get('a')?.options[0]?.names, ['--json']);
  assert.match(bashText({ program: 'p-q', nodes }), /\ncomplete -F _holdfast_start_p_q p-q\n$/);
});

test('a word of a shell stays one word, whatever is in it', () => {
  assert.equal(quoted("it's $(x) `y`"), "'it'\\''s $(x) `y`'");
});
