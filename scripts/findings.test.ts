import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { KINDS } from '../src/inspect/doctor/kinds.ts';

/** The page of findings is that of the program, and each finding has a test that causes the fault. */

const DOCUMENT = 'docs/operations/findings.md';
/** Faults that no rig and no machine here can have, with the reason. */
const NOT_CAUSED: ReadonlyMap<string, string> = new Map();

interface Row {
  readonly weight: string;
  readonly cause: string;
  readonly shownBy: string;
}

function rows(): ReadonlyMap<string, Row> {
  const lines = readFileSync(DOCUMENT, 'utf8').split('\n');
  return new Map(
    lines
      .filter((line) => line.startsWith('| `'))
      .map((line) => {
        const [, kind = '', weight = '', , cause = '', , , shownBy = ''] = line
          .split('|')
          .map((cell) => cell.trim());
        return [kind.replaceAll('`', ''), { weight, cause, shownBy }] as const;
      }),
  );
}

test('every kind of finding has its row, with its weight and its cause, and no row is of another', () => {
  const documented = rows();
  assert.deepEqual([...documented.keys()].sort(), Object.keys(KINDS).sort());
  for (const [kind, { weight, cause }] of Object.entries(KINDS)) {
    assert.deepEqual([kind, documented.get(kind)?.weight], [kind, weight]);
    assert.equal(documented.get(kind)?.cause, cause);
  }
});

test('every kind of finding has a test in a rig or a machine that causes the fault', () => {
  const missing = [...rows()].flatMap(([kind, { shownBy }]) => {
    const names = [...shownBy.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
    const causing = names.filter((name) => /^(interop|vm)\//.test(name));
    const files = causing.map((name) => `test/${name}.test.ts`).filter((file) => existsSync(file));
    const isCaused = files.some((file) => readFileSync(file, 'utf8').includes(kind));
    return isCaused === NOT_CAUSED.has(kind) ? [`${kind}: ${shownBy}`] : [];
  });
  assert.deepEqual(missing, []);
});
