import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tidy } from './tidy.ts';

function complaints(path: string, text: string): string[] {
  // A program that imports it keeps the rule on unused files out of the way.
  const user = { path: 'src/bin/user.ts', text: `import '../${path.slice(4)}';\n` };
  return tidy([{ path, text }, user]).filter((line) => line.startsWith(path));
}

function importing(target: string): string {
  return `import { b } from '${target}';\n`;
}

const SWITCH =
  'export function f(x: X): number {\n  switch (x.kind) {\n    case 1:\n      return 1;\n';

/** What, where, the text that is refused, and, where it is not plain, one like it that is not. */
const RULES: readonly (readonly [string, string, string, string?])[] = [
  [
    'an arrow the table does not have',
    'src/wire/sanlock/a.ts',
    importing('../../format/leader.ts'),
    importing('../../codec/struct.ts'),
  ],
  [
    'a protocol that imports another',
    'src/wire/lvmlockd/a.ts',
    importing('../sanlock/codes.ts'),
    importing('./numbers.ts'),
  ],
  ['a daemon that imports another', 'src/lvmlockd/a.ts', importing('../sanlock/token.ts')],
  [
    'a daemon that imports more of the lease process than its messages',
    'src/sanlock/commands/a.ts',
    importing('../../lease-process/host-table.ts'),
    importing('../../lease-process/messages.ts'),
  ],
  [
    "another program's protocol in lvmlockd",
    'src/lvmlockd/a.ts',
    importing('../wire/sanlock/codes.ts'),
    importing('../wire/lvmlockd/numbers.ts'),
  ],
  [
    'a lock manager by name in the core of lvmlockd',
    'src/lvmlockd/a.ts',
    importing('./managers/sanlock/manager.ts'),
    importing('./managers/manager.ts'),
  ],
  [
    'the simulator in a program for use',
    'src/cli/sanlock/a.ts',
    importing('../../sim/world.ts'),
    importing('../../programs/run-steps.ts'),
  ],
  [
    'the command lines of others below them',
    'src/programs/a.ts',
    importing('../cli/sanlock/texts.ts'),
    importing('../sanlock/front.ts'),
  ],
  [
    'code for tests in production',
    'src/lease/a.ts',
    importing('./testing/host.ts'),
    importing('./ballot.ts'),
  ],
  ['node in a lease procedure', 'src/lease/a.ts', importing('node:fs')],
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
  [
    'a switch without a default',
    'src/wdmd/a.ts',
    `${SWITCH}  }\n}\n`,
    `${SWITCH}    default:\n      return unreachable(x);\n  }\n}\n`,
  ],
  [
    'a switch over a union with a default for what is to come',
    'src/wdmd/a.ts',
    `${SWITCH}    default:\n      return 0;\n  }\n}\n`,
    `${SWITCH}    default:\n      return 0;\n  }\n}\n`.replace('x.kind', 'x.number'),
  ],
  [
    'a switch that names what is unreachable before its end',
    'src/wdmd/a.ts',
    `${SWITCH}    default:\n      unreachable(x);\n    case 2:\n      return 2;\n  }\n}\n`,
  ],
  [
    'a multiple of an io timeout',
    'src/sanlock/a.ts',
    'export const endMs = (s: Space) => 8 * s.ioTimeoutMs;\n',
    'export const ms = (s: Space) => s.ioTimeoutS * 1000;\n',
  ],
  [
    'a part of a time of a lease',
    'src/programs/a.ts',
    'export const halfMs = (s: Space) => s.times.renewalFailMs / HALF;\n',
    'export const s = (s: Space) => s.times.renewalFailMs / SECOND_MS;\n',
  ],
  [
    'an export that does not say what it is, where others build on it',
    'src/format/a.ts',
    '// A sector.\nexport const SECTOR = 0;\n',
    '/** The sector of the leader. */\nexport const SECTOR = 0;\nconst OTHER = 1;\n',
  ],
  [
    'a procedure whose comment belongs to the file',
    'src/ports/a.ts',
    '/** Times. */\n\nexport interface A {}\n',
    '/**\n * Times.\n */\nexport interface A {}\n',
  ],
];

for (const [what, path, bad, good] of RULES) {
  test(`tidy refuses ${what}`, () => {
    assert.notDeepEqual(complaints(path, bad), []);
    if (good !== undefined) assert.deepEqual(complaints(path, good), []);
  });
}

test('tidy accepts what the table allows, and words in comments and strings', () => {
  const text =
    "import { b } from '../base/assert.ts';\n// Date.now and setTimeout\nexport const s = 'process.exit';\n";
  assert.deepEqual(complaints('src/wdmd/a.ts', text), []);
});

test('code for tests may use code for tests, and Node', () => {
  const text = `${importing('./testing/host.ts')}${importing('node:test')}`;
  assert.deepEqual(complaints('src/lease/a.test.ts', text), []);
});

test('the simulator may be used by the holdfast command, and by no program before it', () => {
  assert.deepEqual(complaints('src/cli/holdfast/a.ts', importing('../../sim/world.ts')), []);
});

test('tidy finds a file that no file imports', () => {
  assert.deepEqual(tidy([{ path: 'src/base/lost.ts', text: "import './x.ts';\n" }]), [
    'src/base/lost.ts: no file imports it',
  ]);
});

test('files that import each other in a circle are named, also where it is for types alone', () => {
  const file = (name: string, ...targets: string[]) => ({
    path: `src/wdmd/${name}.ts`,
    text: targets.map((target) => `import type { X } from './${target}.ts';\n`).join(''),
  });
  const circlesOf = (...files: ReturnType<typeof file>[]) =>
    tidy(files).filter((line) => line.includes('circle'));
  const d = file('d');
  assert.deepEqual(circlesOf(file('a', 'b', 'c'), file('b', 'c', 'd'), file('c', 'd'), d), []);
  const [b, c] = [file('b', 'c', 'd'), file('c', 'd')];
  assert.deepEqual(circlesOf(file('a', 'b'), b, c, file('d', 'b'), file('e', 'a')), [
    'src/wdmd/b.ts: a circle of imports: src/wdmd/b.ts src/wdmd/c.ts src/wdmd/d.ts',
  ]);
  const two = [file('a', 'b'), file('b', 'a', 'c'), file('c', 'd'), file('d', 'c')];
  assert.equal(circlesOf(...two).length, 2);
  assert.equal(circlesOf(file('a', 'a')).length, 1);
});
