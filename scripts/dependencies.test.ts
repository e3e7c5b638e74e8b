import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

/** What the programs need of others: exact versions, and the licences of what is bundled. */
const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
/** Installed beside the programs, with its own licence. */
const INSTALLED: ReadonlySet<string> = new Set(['koffi']);

type Versions = Readonly<Record<string, string>>;

interface Locked {
  readonly version: string;
  readonly dependencies?: Versions;
}

function json(file: string): unknown {
  return JSON.parse(readFileSync(`${ROOT}/${file}`, 'utf8'));
}

/** Packages that a source of a program imports. */
function imported(): ReadonlySet<string> {
  const files = readdirSync(`${ROOT}/src`, { recursive: true, encoding: 'utf8' });
  const sources = files.filter((file) => /\.tsx?$/.test(file) && !/\.test\.ts$/.test(file));
  const names = sources.flatMap((file) => {
    const text = readFileSync(`${ROOT}/src/${file}`, 'utf8');
    const all = [...text.matchAll(/ from '([^'.][^']*)'|require\('([^'.][^']*)'\)/g)];
    return all.map(([, from, required]) => from ?? required ?? '');
  });
  // `preact/hooks` is a part of a package.
  const packages = names.map((name) => name.replace(/^([^@/][^/]*)\/.*/, '$1'));
  return new Set(packages.filter((name) => !/^(node:|holdfast$)/.test(name)));
}

test('every version is exact', () => {
  const { dependencies, devDependencies } = json('package.json') as Record<string, Versions>;
  for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
    assert.match(version, /^\d+\.\d+\.\d+$/, name);
  }
});

test('NOTICE has the licence of each package that is bundled', () => {
  const { packages } = json('package-lock.json') as { readonly packages: Record<string, Locked> };
  const bundled = new Set([...imported()].filter((name) => !INSTALLED.has(name)));
  for (const name of bundled) {
    for (const one of Object.keys(packages[`node_modules/${name}`]?.dependencies ?? {})) {
      bundled.add(one);
    }
  }
  const headings = readFileSync(`${ROOT}/NOTICE`, 'utf8').matchAll(/^(\S+) \(https:.*\)$/gm);
  assert.deepEqual([...headings].map(([, name]) => name).sort(), [...bundled].sort());
});
