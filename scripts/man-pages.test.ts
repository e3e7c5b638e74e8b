import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseAgent } from '../src/cli/fence-sanlock/agent-options.ts';
import { parseFenced } from '../src/cli/fence-sanlock/daemon-options.ts';
import { type ManPage, manText } from '../src/cli/frame/man.ts';
import { COMMANDS } from '../src/cli/holdfast/main.ts';
import { parseOptions as parseLvmlockctl } from '../src/cli/lvmlockctl/options.ts';
import { parseOptions as parseLvmlockd } from '../src/cli/lvmlockd/options.ts';
import { parseReset, parseResetd } from '../src/cli/sanlk-reset/options.ts';
import { readDaemonOptions } from '../src/cli/sanlock-daemon/daemon-options.ts';
import { parseOptions as parseWdmd } from '../src/cli/wdmd/options.ts';
import { allManPages, manFile } from './manual.ts';

/** The pages of the manual: that there is one of everything, and that readers can show them. */

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const pages = await allManPages(ROOT);

function pageOf(name: string): ManPage {
  const page = pages.find((one) => one.name === name);
  assert.ok(page !== undefined, `there is no page of ${name}`);
  return page;
}

/** Every word of a page. */
function wordsOf({ sections }: ManPage): string {
  const parts = sections.flatMap((section) => section.parts);
  return parts
    .map((part) => {
      if (typeof part === 'string') return part;
      if ('heading' in part) return part.heading;
      return 'lines' in part ? part.lines.join('\n') : part.rows.flat().join('\n');
    })
    .join('\n');
}

test('every program and every command has a page, and package.json names them all', () => {
  const programs = readdirSync(`${ROOT}/bin`).filter((name) => !name.includes('.'));
  const commands = Object.keys(COMMANDS);
  const names = [...programs, ...commands.map((name) => `holdfast-${name}`)];
  for (const name of names) assert.equal(pageOf(name).section, 8);
  for (const name of ['sanlock.conf', 'holdfast-guard.conf']) {
    assert.equal(pageOf(name).section, 5);
  }
  const { man } = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8')) as {
    readonly man: readonly string[];
  };
  const written = pages.map((page) => `./dist/man/${manFile(page)}`);
  assert.deepEqual(
    [...man].sort(),
    written.sort(),
    'npm installs the pages of "man": npm run build enters them',
  );
});

/** Of other packages. */
const ELSEWHERE = ['lvm(8)', 'lvm.conf(5)'];

test('what a page refers to is there', () => {
  const known = [...pages.map(({ name, section }) => `${name}(${section})`), ...ELSEWHERE];
  for (const { name, seeAlso } of pages) {
    assert.deepEqual(
      seeAlso.filter((other) => !known.includes(other)),
      [],
      name,
    );
  }
});

const daemonOf = (args: readonly string[]) => {
  try {
    return { ok: !JSON.stringify(readDaemonOptions(args)).includes('another sanlock command') };
  } catch {
    return { ok: false };
  }
};

/** How each program reads its options, and words that make any one of them whole. */
const READERS: Readonly<Record<string, (args: readonly string[]) => { readonly ok: boolean }>> = {
  wdmd: parseWdmd,
  lvmlockd: (args) => parseLvmlockd(args, {}),
  lvmlockctl: (args) => parseLvmlockctl([...args, '--kill', 'vg', '--lv-uuid=u', '--lock-mode=ex']),
  'sanlk-reset': (args) => parseReset(['reset', 'LS:1', ...args]),
  'sanlk-resetd': parseResetd,
  fence_sanlock: (args) => parseAgent(['-o', 'on', '-p', '/d', '-i', '1', ...args]),
  fence_sanlockd: (args) => parseFenced(['-p', '/d', '-i', '1', ...args]),
  sanlock: daemonOf,
};

/** One of them suits. */
const VALUES = ['1', '0', 'ex', '/x', 'sanlock', 'error', 'debug', 'LS:1', 'on'];
/** The help of the daemon is printed before its options are read. */
const BEFORE = ['--help', '--check'];
/** Taken and left, as by the original. */
const IGNORED: Readonly<Record<string, string>> = { fence_sanlock: 'n', sanlock: 'oa' };

test('the options of a page are those that the program takes', () => {
  for (const [name, read] of Object.entries(READERS)) {
    const takes = (option: string) =>
      read([option]).ok || VALUES.some((value) => read([option, value]).ok);
    const text = wordsOf(pageOf(name));
    const sections = pageOf(name).sections.filter(({ title }) => title.startsWith('OPTIONS'));
    const own = wordsOf({ ...pageOf(name), sections }).split('\n');
    const named = own.flatMap((line) => (line.startsWith('-') ? (line.match(OPTION) ?? []) : []));
    assert.ok(named.length >= 4, `${name}: ${named.join(' ')}`);
    for (const option of named) {
      const isTaken = takes(option) || (name === 'sanlock' && BEFORE.includes(option));
      assert.ok(isTaken, `${name} does not take ${option}`);
    }
    const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ1';
    for (const letter of letters) {
      if (!takes(`-${letter}`) || (IGNORED[name] ?? '').includes(letter)) continue;
      assert.match(text, new RegExp(`(^|[\\s,|])-${letter}\\b`, 'm'), `${name} -${letter}`);
    }
  }
});

const OPTION = /(?<=^|[\s,])-{1,2}[A-Za-z0-9][\w-]*/g;

/** What a checker says of each page. */
function complaints(program: string, options: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-man-'));
  try {
    return pages
      .map((page) => {
        const path = join(folder, `${page.name}.${page.section}`);
        writeFileSync(path, manText(page));
        const env = { ...process.env, MANWIDTH: '80', LC_ALL: 'C.UTF-8' };
        const ran = spawnSync(program, [...options, path], { env, encoding: 'utf8' });
        assert.equal(ran.error, undefined);
        return program === 'man' ? ran.stderr : `${ran.stdout}${ran.stderr}`;
      })
      .join('');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function without(program: string): { readonly skip?: string } {
  const ran = spawnSync(program, ['--version'], { timeout: 10_000 });
  return ran.error === undefined ? {} : { skip: `${program} is not installed` };
}

test('groff shows every page without a complaint', without('man'), () => {
  assert.equal(complaints('man', ['--warnings', '-E', 'UTF-8', '-l']), '');
});

test('mandoc shows every page, and misses nothing but a date', without('mandoc'), () => {
  const lines = complaints('mandoc', ['-T', 'lint', '-W', 'warning']).split('\n').filter(Boolean);
  assert.deepEqual(
    lines.filter((line) => !line.includes('missing date')),
    [],
  );
});

test('a page has its signs as they stand, whatever they mean to a formatter', () => {
  const text = manText({
    ...{ name: 'x', section: 8, about: "a-b 'c'", synopsis: ['.x \\n'], seeAlso: [] },
    sections: [{ title: 'A', parts: ['.B "q" ^~ – é', "'s"] }],
  });
  assert.ok(text.includes('x \\- a\\-b \\(aqc\\(aq\n'));
  assert.ok(text.includes('\n\\&.x \\en\n'));
  assert.ok(text.includes('\n\\&.B \\(dqq\\(dq \\(ha\\(ti \\[u2013] \\[u00E9]\n'));
  assert.match(text, /^[\n\x20-\x7e]*$/);
});
