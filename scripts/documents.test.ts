import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type CommandPage, wordOf } from '../src/cli/frame/page.ts';
import { readWords } from '../src/cli/frame/words.ts';
import { COMMANDS } from '../src/cli/holdfast/main.ts';
import { KINDS } from '../src/inspect/doctor/kinds.ts';
import {
  anchorOf,
  anchorsIn,
  codeSpansIn,
  commandLinesIn,
  documents,
  linksIn,
  readDocument,
  targetOf,
} from './documents.ts';

/** What the documents refer to is there: other documents, their chapters, commands, events. */

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const DOCUMENTS = documents(ROOT);

const helps = new Map<string, CommandPage | string>();
for (const [name, { help }] of Object.entries(COMMANDS)) helps.set(name, await help());

test('every link leads to a file, and to a chapter of it', () => {
  const anchors = new Map(DOCUMENTS.map((document) => [document.path, anchorsIn(document)]));
  const links = DOCUMENTS.flatMap((document) =>
    linksIn(document).map((link) => ({ ...link, ...targetOf(document.path, link.name) })),
  );
  assert.ok(links.length > 80, `${links.length} links were found`);
  const broken = links.filter(({ path, anchor }) => {
    if (!existsSync(join(ROOT, path))) return true;
    return anchor !== '' && anchors.get(path)?.has(anchor) !== true;
  });
  assert.deepEqual(
    broken.map(({ place, name }) => `${place}: ${name}`),
    [],
  );
});

test('every page for administrators is in their index', () => {
  const index = DOCUMENTS.find(({ path }) => path === 'docs/operations/README.md');
  assert.ok(index !== undefined);
  const listed = new Set(linksIn(index).map(({ name }) => targetOf(index.path, name).path));
  const pages = DOCUMENTS.map(({ path }) => path).filter(
    (path) => path.startsWith('docs/operations/') && path !== index.path,
  );
  assert.ok(pages.length > 15, `${pages.length} pages were found`);
  assert.deepEqual(
    pages.filter((path) => !listed.has(path)),
    [],
  );
});

/** As a shell divides them, as far as documents need it. */
function shellWords(line: string): readonly string[] {
  const words = [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, bare]) => double ?? single ?? bare ?? '',
  );
  const end = words.findIndex((word) => /^(\||\|\||&&|;|>|>>|2>|&)$/.test(word));
  return end < 0 ? words : words.slice(0, end);
}

/** What is wrong with a command line; null: nothing. @param isPart words may be missing at its end */
function wrongIn(line: string, isPart: boolean): string | null {
  const [, command = '', ...args] = shellWords(line);
  if (['help', 'version', '--help', '--version', 'COMMAND', '<command>'].includes(command))
    return null;
  const help = helps.get(command);
  if (help === undefined) return `there is no command ${command}`;
  if (args.includes('--help')) return null;
  if (typeof help === 'string') {
    const unknown = args.find((word) => word.startsWith('--') && !help.includes(word));
    return unknown === undefined ? null : `${unknown} is not in its help`;
  }
  const inner = help.commands?.find((page) => wordOf(page) === args[0]);
  if (help.commands !== undefined && inner === undefined && args.length > 0) {
    return `${help.name} has no command ${args[0]}`;
  }
  if (help.commands !== undefined && inner === undefined) return null;
  const words = readWords(inner ?? help, inner === undefined ? args : args.slice(1));
  if (words.ok || (isPart && words.error.startsWith('a word is missing'))) return null;
  return words.error;
}

/** What was, with the commands of its time. */
const isHistory = ({ path }: { readonly path: string }) =>
  path === 'CHANGELOG.md' || path.startsWith('docs/decisions/');

test('every command line of holdfast in the documents is one that the command takes', () => {
  const current = DOCUMENTS.filter((document) => !isHistory(document));
  const lines = current.flatMap((document) => commandLinesIn(document, 'holdfast'));
  assert.ok(lines.length > 10, `${lines.length} lines were found`);
  const spans = current
    .flatMap(codeSpansIn)
    .filter(({ name }) => /^holdfast [a-z<-]/.test(name) && !name.includes('…'))
    .map(({ place, name }) => ({ place, name: name.replace(/[[\]]/g, '') }));
  assert.ok(spans.length > 40, `${spans.length} names of commands were found`);
  const wrongOf =
    (isPart: boolean) => (named: { readonly place: string; readonly name: string }) => {
      const wrong = wrongIn(named.name, isPart);
      return wrong === null ? [] : [`${named.place}: ${named.name}: ${wrong}`];
    };
  assert.deepEqual([...lines.flatMap(wrongOf(false)), ...spans.flatMap(wrongOf(true))], []);
});

test('the readme names every command', () => {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
  const missing = Object.keys(COMMANDS).filter((name) => !readme.includes(`\`holdfast ${name}`));
  assert.deepEqual(missing, []);
});

/** A command of a text that has options behind: `holdfast leave --dry-run`. */
const ADVICE = /\bholdfast ([a-z-]+)(?: ([a-z]+))?((?: --[a-z-]+(?:[= ][A-Z]+)?)+)/g;

/** Which of the words of an advice its command does not take. */
function wrongAdvice([text, command = '', inner = '', options = '']: RegExpMatchArray): string[] {
  const help = helps.get(command);
  if (help === undefined) return [`${text}: there is no command ${command}`];
  if (typeof help === 'string') return [];
  const page = help.commands?.find((own) => wordOf(own) === inner) ?? help;
  const known = new Set([...page.options.map(({ name }) => `--${name}`), '--help']);
  return [...options.matchAll(/--[a-z-]+/g)]
    .filter(([option]) => !known.has(option))
    .map(([option]) => `${text}: there is no ${option}`);
}

test('what programs and units advise are commands and options that are there', () => {
  const folders = ['src', 'packaging'];
  const files = folders.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter(
        (name) => /\.(ts|tsx|service|yml|json)$/.test(name) && !/\.test\.|testing\//.test(name),
      )
      .map((name) => `${folder}/${name}`),
  );
  const found = files.flatMap((file) =>
    [...readFileSync(join(ROOT, file), 'utf8').matchAll(ADVICE)].map((match) => ({ file, match })),
  );
  assert.ok(found.length > 20, `${found.length} were found`);
  const wrong = found.flatMap(({ file, match }) =>
    wrongAdvice(match).map((why) => `${file}: ${why}`),
  );
  assert.deepEqual(wrong, []);
});

test('a wrong command line is found', () => {
  assert.equal(wrongIn('holdfast statsu', false), 'there is no command statsu');
  assert.match(wrongIn('holdfast status --wacth', false) ?? '', /did you mean --watch/);
  assert.match(wrongIn('holdfast guard chek', false) ?? '', /has no command chek/);
  assert.match(wrongIn('holdfast repair', false) ?? '', /a word is missing/);
  assert.equal(wrongIn('holdfast status --json | jq .lockspaces', false), null);
  const advised =
    'try holdfast leave --dry-rnu, or holdfast guard check --json, or holdfast lave --vg VG';
  assert.deepEqual([...advised.matchAll(ADVICE)].flatMap(wrongAdvice), [
    'holdfast leave --dry-rnu: there is no --dry-rnu',
    'holdfast lave --vg VG: there is no command lave',
  ]);
});

/** Names with a point that are no events: files, hosts, file systems, fields of other programs. */
const NO_EVENT =
  /^(fuse|node|npm|session|com|www|nodejs)\.|\.(cjs|conf|json|js|pid|sock|socket|holders|duties|exit|title|service|slice|timer|md|ts|log|rules|default|mount|target|org|tgz|deb|xz|gz|sh|py|so|ko|css|html|d|h|c|o|key|pem)$/;

test('every event that an administrators’ page names is in the list of events', () => {
  const page = DOCUMENTS.find(({ path }) => path === 'docs/operations/events.md');
  assert.ok(page !== undefined);
  const events = new Set(codeSpansIn(page).map(({ name }) => name));
  const named = DOCUMENTS.filter(({ path }) => path.startsWith('docs/operations/'))
    .flatMap(codeSpansIn)
    .filter(({ name }) => /^[a-z][A-Za-z]*\.[a-z][A-Za-z]*$/.test(name) && !NO_EVENT.test(name));
  assert.ok(named.length > 100, `${named.length} events were found`);
  assert.deepEqual(
    named.filter(({ name }) => !events.has(name)).map(({ place, name }) => `${place}: ${name}`),
    [],
  );
});

test('every kind of finding that is named beside the doctor is one of his', () => {
  const named = DOCUMENTS.filter((document) => !isHistory(document)).flatMap((document) =>
    codeSpansIn({ ...document, lines: document.lines.filter(({ text }) => /doctor`/.test(text)) }),
  );
  const kinds = named.filter(({ name }) => /^[a-z]+[A-Z][A-Za-z]*$/.test(name));
  assert.ok(kinds.length >= 4, `${kinds.length} kinds were found`);
  assert.deepEqual(
    kinds
      .filter(({ name }) => !Object.hasOwn(KINDS, name))
      .map(({ place, name }) => `${place}: ${name}`),
    [],
  );
});

test('every metric that a document names is one that holdfast serve has', () => {
  const source = readFileSync(join(ROOT, 'src/web/metrics.ts'), 'utf8');
  const metrics = DOCUMENTS.flatMap(codeSpansIn)
    .map(({ place, name }) => ({ place, name: /^holdfast_[a-z_]+/.exec(name)?.[0] ?? '' }))
    .filter(({ name }) => name !== '');
  assert.ok(metrics.length > 20, `${metrics.length} names were found`);
  assert.deepEqual(
    metrics
      .filter(({ name }) => !source.includes(`'${name}'`))
      .map(({ place, name }) => `${place}: ${name}`),
    [],
  );
});

test('documents: what is code, which chapter a heading makes, where a link leads', () => {
  const text = [
    '# A *b*, `c-d`: e',
    '- text',
    '      goes on',
    '',
    '    alpha# holdfast who vg/lv   # whose',
    '    holdfast guard: refused',
    '```',
    '# no heading',
    '```',
    '[x](../y.md#z) `holdfast who`',
    '# A b c-d e',
  ].join('\n');
  const document = readDocument('docs/a/b.md', text);
  assert.deepEqual(
    document.lines.filter(({ isCode }) => isCode).map(({ number }) => number),
    [5, 6, 8],
  );
  assert.deepEqual([...anchorsIn(document)], ['a-b-c-d-e', 'a-b-c-d-e-1']);
  assert.equal(
    anchorOf('4. Acquire, convert, release; error mapping'),
    '4-acquire-convert-release-error-mapping',
  );
  assert.deepEqual(commandLinesIn(document, 'holdfast'), [
    { place: 'docs/a/b.md:5', name: 'holdfast who vg/lv' },
  ]);
  assert.deepEqual(linksIn(document), [{ place: 'docs/a/b.md:10', name: '../y.md#z' }]);
  assert.deepEqual(targetOf('docs/a/b.md', '../y.md#z'), { path: 'docs/y.md', anchor: 'z' });
  assert.deepEqual(targetOf('docs/a/b.md', '#z'), { path: 'docs/a/b.md', anchor: 'z' });
});
