import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

/** The map names files and functions that exist. */

const MAP = 'ARCHITECTURE.md';

function names(): readonly string[] {
  return [...readFileSync(MAP, 'utf8').matchAll(/`([^`\n]+)`/g)].map(([, name = '']) => name);
}

/** `wire/{sanlock,wdmd}`: both. */
function expanded(path: string): readonly string[] {
  const [, before = '', choices, after = ''] = /^(.*)\{(.*)\}(.*)$/.exec(path) ?? [];
  if (choices === undefined) return [path];
  return choices.split(',').map((choice) => `${before}${choice}${after}`);
}

const files = ['src', 'scripts', 'docs', 'test'].flatMap((folder) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((file) => `${folder}/${file}`),
);

/** A path from the root or from `src`, with or without `.ts`; a file's name stands alone too. */
function exists(path: string): boolean {
  const wanted = path.replace(/\/$/, '');
  const ends = [wanted, `${wanted}.ts`].map((end) => `/${end}`);
  return files.some((file) => ends.some((end) => `/${file}`.endsWith(end)));
}

test('every file and folder that the map names exists', () => {
  const paths = names().filter((name) => /^[\w-]+\/[^ ]*$|^[\w-]+\.ts$/.test(name));
  assert.ok(paths.length > 60, `${paths.length} paths`);
  assert.deepEqual(
    paths.flatMap(expanded).filter((path) => !exists(path)),
    [],
  );
});

test('every function and type that the map names is declared', () => {
  const identifiers = names().flatMap(
    (name) => /^(?:[A-Z]\w+\.)?([a-z]+[A-Z]\w*|[A-Z][a-z]+[A-Z]\w*)$/.exec(name)?.[1] ?? [],
  );
  assert.ok(identifiers.length > 8, `${identifiers.length} identifiers`);
  const sources = files
    .filter((file) => file.startsWith('src/') && /(?<!\.test)\.ts$/.test(file))
    .map((file) => readFileSync(file, 'utf8'))
    .join('\n');
  const isDeclared = (name: string) =>
    new RegExp(`^(?:export )?(?:function\\*?|interface|class|type|const) ${name}\\b`, 'm').test(
      sources,
    ) || new RegExp(`^  ${name}\\(`, 'm').test(sources);
  assert.deepEqual(
    identifiers.filter((name) => !isDeclared(name)),
    [],
  );
});
