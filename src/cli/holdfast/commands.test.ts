import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { helpText } from '../frame/help.ts';
import { type CommandPage, pageFor, wordOf } from '../frame/page.ts';
import { readCommand, readWords } from '../frame/words.ts';
import { COMMANDS, unknownCommand } from './main.ts';

/** What every command of `holdfast` has. */

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';

/** Of each command, and of each command within one. */
async function allPages(): Promise<readonly CommandPage[]> {
  const pages: CommandPage[] = [];
  for (const [name, { help, about }] of Object.entries(COMMANDS)) {
    const page = await help();
    assert.ok(typeof page !== 'string', `${name} has a page`);
    assert.equal(page.name, `holdfast ${name}`);
    assert.equal(page.about, about, `the list of commands says of ${name} what its page says`);
    pages.push(page, ...(page.commands ?? []));
  }
  return pages;
}

/** What they run is on the terminal. */
const FOREGROUND = new Set(['holdfast demo', 'holdfast rig enter', 'holdfast guard serve']);

/** As a shell would, of what examples have: blanks, double quotes, and other commands behind. */
function shellWords(line: string): readonly string[] {
  const words = [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(
    ([, quoted, bare]) => quoted ?? bare ?? '',
  );
  const end = words.findIndex((word) => word === '|' || word === '&&');
  return end < 0 ? words : words.slice(0, end);
}

test('every command has a page: what it is, examples, exit statuses, a schema for --json', async () => {
  const pages = await allPages();
  assert.ok(pages.length >= 15, `${pages.length}`);
  for (const page of pages) {
    const { name, about, examples, exits, options, schema, commands = [] } = page;
    assert.match(about, /^[a-z].{10,}[^.]$/, name);
    assert.ok(examples.length >= 1, name);
    assert.deepEqual(Object.keys(exits), ['0', '1', '2'], name);
    for (const said of [...Object.values(exits), ...options.map((option) => option.about)]) {
      assert.match(said, /^[^\s].*[^.\s]$/s, name);
    }
    const hasJson = options.some((option) => option.name === 'json');
    assert.equal(hasJson, schema !== undefined, `${name}: --json and its schema`);
    assert.ok(hasJson || commands.length > 0 || FOREGROUND.has(name), `${name} has --json`);
    const words = name.split(' ').slice(1).join('-');
    if (schema !== undefined) assert.match(schema, new RegExp(`^holdfast\\.${words}/\\d+$`));
    for (const own of commands) assert.equal(own.name, `${name} ${wordOf(own)}`);
  }
});

test('the examples are words that the command takes', async () => {
  for (const page of await allPages()) {
    for (const { line } of page.examples) {
      const [program = '', word = '', ...args] = shellWords(line);
      assert.deepEqual([program, word], page.name.split(' ').slice(0, 2), line);
      const outer = await COMMANDS[word]?.help();
      assert.ok(outer !== undefined, line);
      const inner = pageFor(outer, args);
      assert.ok(inner === page || page.commands?.includes(inner), line);
      const read = readWords(inner, inner === outer ? args : args.slice(1));
      assert.equal(read.ok ? '' : read.error, '', line);
    }
  }
});

test('no line of a help is wider than a terminal', async () => {
  for (const page of await allPages()) {
    for (const line of helpText(page).split('\n')) {
      assert.ok(line.length <= 80, `${page.name}: ${line}`);
    }
  }
});

test('docs/operations/json.md describes every schema, and no other', async () => {
  const text = readFileSync(`${ROOT}/docs/operations/json.md`, 'utf8');
  const described = [...text.matchAll(/^## `([^`]+)`$/gm)].map(([, name]) => name);
  const printed = (await allPages()).flatMap(({ schema }) => schema ?? []);
  assert.deepEqual([...described].sort(), [...printed].sort());
});

/** Two letters in its middle change places; a short one gets one more. */
function misspelt(word: string): string {
  const at = Math.max(1, Math.floor(word.length / 2) - 1);
  const swapped = word.slice(0, at) + word.charAt(at + 1) + word.charAt(at) + word.slice(at + 2);
  return swapped === word ? `${word}${word.at(-1)}` : swapped;
}

test('a misspelt command or option names the one that was meant', async () => {
  for (const name of Object.keys(COMMANDS)) {
    assert.match(unknownCommand(misspelt(name)), new RegExp(`did you mean holdfast ${name}\\?`));
  }
  for (const page of await allPages()) {
    for (const { name, value } of page.options) {
      const args = [`--${misspelt(name)}`, ...(value === undefined ? [] : ['x'])];
      const read = readWords(page, args);
      const wrong = read.ok ? 'fine' : read.error;
      assert.ok(wrong.endsWith(`did you mean --${name}?`), `${page.name} ${args[0]}: ${wrong}`);
    }
    for (const own of page.commands ?? []) {
      const read = readCommand(page, [misspelt(wordOf(own))]);
      assert.ok(!read.ok && read.error.endsWith(`did you mean ${own.name}?`), own.name);
    }
  }
});

/** They make keys and notes of their own. */
const NOT_SHOWN: ReadonlySet<string> = new Set([
  ...['doctor/fix.ts', 'guard/see-host.ts', 'install-units/units.ts', 'rig.ts'],
  ...['serve/known-lvs.ts', 'who/look.ts'],
]);

test('every command prints its JSON without control characters', () => {
  const folder = `${ROOT}/src/cli/holdfast`;
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const sources = files.filter((name) => name.endsWith('.ts') && !/\.test\.|testing\//.test(name));
  assert.ok(sources.length > 50, `${sources.length} files`);
  const others = sources.filter((name) => {
    const text = readFileSync(`${folder}/${name}`, 'utf8');
    return text.includes('JSON.stringify(') && !NOT_SHOWN.has(name);
  });
  assert.deepEqual(others, [], 'plainJson is for them');
});
