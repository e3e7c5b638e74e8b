import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tidy } from './tidy.ts';

const USED_BY_ALL = "import './x.ts';\n";

function complaints(path: string, text: string): string[] {
  // A program that imports it keeps the rule on unused files out of the way.
  const user = { path: 'src/bin/user.ts', text: `import '../${path.slice(4)}';\n` };
  return tidy([{ path, text }, user]).filter((line) => line.startsWith(path));
}

const BREACHES: readonly (readonly [string, string, string])[] = [
  [
    'an arrow the table does not have',
    'src/wire/a.ts',
    "import { b } from '../format/leader.ts';\n",
  ],
  [
    'a daemon that imports another',
    'src/lvmlockd/a.ts',
    "import { b } from '../sanlock/token.ts';\n",
  ],
  ['node in a lease procedure', 'src/lease/a.ts', "import { readFile } from 'node:fs';\n"],
  ['a clock read above the platform', 'src/sanlock/a.ts', 'export const now = () => Date.now();\n'],
  ['a timer above the platform', 'src/programs/a.ts', 'setTimeout(() => {}, 1);\n'],
  ['chance that is not handed in', 'src/lease/a.ts', 'export const r = Math.random();\n'],
  ['waiting in a lease procedure', 'src/lease/a.ts', 'export async function f() {}\n'],
  ['a shell', 'src/platform/a.ts', "spawn('ls', { shell: true });\n"],
  ['any', 'src/platform/a.ts', 'export const x: any = 1;\n'],
  ['a default export', 'src/base/a.ts', 'export default 1;\n'],
  [
    'a decision by what was attempted',
    'src/sanlock/a.ts',
    "export const isOpen = error.during === 'device open';\n",
  ],
  [
    'a decision by a part of a text',
    'src/sanlock/a.ts',
    "export const isWrite = during.startsWith('write');\n",
  ],
  [
    'a decision by a message',
    'src/platform/a.ts',
    "export const isGone = error.message.includes('gone');\n",
  ],
  ['an unknown room', 'src/attic/a.ts', 'export const x = 1;\n'],
  ['a line too long', 'src/base/a.ts', `// ${'x'.repeat(100)}\n`],
  ['a file too long', 'src/base/a.ts', '// x\n'.repeat(501)],
  ['a function too long', 'src/base/a.ts', `export function f() {\n${'  g();\n'.repeat(60)}}\n`],
];

for (const [what, path, text] of BREACHES) {
  test(`tidy refuses ${what}`, () => {
    assert.notDeepEqual(complaints(path, text), []);
  });
}

test('tidy accepts what the table allows, and words in comments and strings', () => {
  const text =
    "import { b } from '../base/assert.ts';\n// Date.now and setTimeout\nexport const s = 'process.exit';\n";
  assert.deepEqual(complaints('src/lease/a.ts', text), []);
});

test('tidy finds a file nobody imports', () => {
  assert.deepEqual(tidy([{ path: 'src/base/lost.ts', text: USED_BY_ALL }]), [
    'src/base/lost.ts: nobody imports it',
  ]);
});
