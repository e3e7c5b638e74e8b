import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

/** The tables of the operations pages: the tests that they name exist, and no row is there twice. */

const FOLDER = 'docs/operations';
/** Heading of the column that names the tests of a row. */
const SHOWN_BY = 'shown by';

interface Naming {
  /** The page and the line, for the reader of a failure. */
  readonly place: string;
  /** The whole cell. */
  readonly cell: string;
}

const cellsOf = (row: string) => row.split('|').map((cell) => cell.trim());

/** The cells of every column "shown by". */
function namings(): readonly Naming[] {
  return readdirSync(FOLDER).flatMap((page) => {
    let column = -1;
    return readFileSync(`${FOLDER}/${page}`, 'utf8')
      .split('\n')
      .flatMap((line, index) => {
        const cells = line.startsWith('|') ? cellsOf(line) : [];
        if (cells.length === 0) column = -1;
        else if (column === -1) column = cells.indexOf(SHOWN_BY);
        else return [{ place: `${page}:${index + 1}`, cell: cells[column] ?? '' }];
        return [];
      });
  });
}

/** Tests by path, without the folder that holds them all and the ending; scenarios by name. */
function tests(): ReadonlySet<string> {
  const files = ['src', 'test', 'scripts'].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' }),
  );
  return new Set([
    ...files.map((file) => /^(.*)\.test\.ts$/.exec(file)?.[1] ?? ''),
    ...files.map((file) => /([^/]*)\.scenario$/.exec(file)?.[1] ?? ''),
  ]);
}

test('every test and scenario that the operations pages name exists', () => {
  const known = tests();
  const found = namings();
  assert.ok(found.length > 100, `${found.length} rows have such a column`);
  const missing = found.flatMap(({ place, cell }) =>
    [...cell.matchAll(/`([^`]+)`/g)]
      .filter(([, name = '']) => !known.has(name))
      .map(([, name]) => `${place}: ${name}`),
  );
  assert.deepEqual(missing, []);
});

test('no table of the operations pages has two rows about one thing', () => {
  const twice = readdirSync(FOLDER).flatMap((page) => {
    let seen = new Set<string>();
    return readFileSync(`${FOLDER}/${page}`, 'utf8')
      .split('\n')
      .flatMap((line, index) => {
        if (!line.startsWith('|')) seen = new Set();
        else if (seen.has(cellsOf(line)[1] ?? '')) return [`${page}:${index + 1}: ${line}`];
        seen.add(cellsOf(line)[1] ?? '');
        return [];
      });
  });
  assert.deepEqual(twice, []);
});
