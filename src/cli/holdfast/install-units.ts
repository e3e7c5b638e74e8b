import { spawnSync } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  readdirSync,
  readFileSync,
  realpathSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { plain, plainJson, shown } from '../../base/plain-text.ts';
import { fail, ok, type Result } from '../../base/result.ts';
import { accountIds } from '../../platform/accounts.ts';
import { compileAll } from '../../platform/code-cache.ts';
import { reasonOf } from '../../platform/system-error.ts';
import {
  createFile,
  makeFolder,
  removeFile,
  replaceFile,
  seeFile,
} from '../../platform/whole-file.ts';
import { mistakeText } from '../frame/help.ts';
import { type CommandPage, JSON_OPTION } from '../frame/page.ts';
import { readWords } from '../frame/words.ts';
import {
  binOf,
  isOurs,
  type Programs,
  programsIn,
  SYSTEMD_PATH,
  unitFor,
} from './install-units/units.ts';

const UNITS = [
  ...['wdmd', 'sanlock', 'lvmlockd', 'lvmlocks'],
  ...['sanlk-resetd', 'fence_sanlockd', 'holdfast-guard', 'holdfast-serve'],
] as const;
/** Which the others are in. */
const SLICE = 'holdfast.slice';

export const INSTALL_UNITS_PAGE = {
  name: 'holdfast install-units',
  about: 'writes the units of systemd for the programs that npm has installed',
  forms: ['[--prefix PREFIX] [UNIT ...]', '--remove'],
  operands: UNITS,
  counts: { least: 0, most: 20 },
  options: [
    {
      name: 'prefix',
      value: 'PREFIX',
      operand: 'file',
      about: 'the programs are in PREFIX/bin; by default where this one is',
    },
    { name: 'to', value: 'FOLDER', operand: 'file', about: 'instead of /etc/systemd/system' },
    { name: 'remove', about: 'remove the units of holdfast from there instead' },
    { name: 'dry-run', about: 'only say what would be done' },
    JSON_OPTION,
  ],
  text: [
    'For an installation by npm; the Debian package has its units. They are written to ' +
      '/etc/systemd/system, where they take the place of units of the same names that Debian has in ' +
      '/lib/systemd/system, and name this prefix and this Node.js. A unit there that is not of holdfast ' +
      'is left alone, and nothing is written.',
    'Nothing is started or enabled. /etc/sanlock/sanlock.conf is written, with every setting as it is ' +
      'by default, if there is none.',
  ],
  examples: [
    {
      line: 'holdfast install-units --dry-run',
      about: 'which units, and which programs they start',
    },
    { line: 'holdfast install-units', about: 'behind "npm install -g", also after an upgrade' },
    {
      line: 'holdfast install-units holdfast-guard',
      about: 'this one alone, where the originals serve',
    },
    { line: 'holdfast install-units --remove', about: 'on the way back to the originals' },
  ],
  exits: { 0: 'done', 1: 'not done, for the reason that is printed', 2: 'a mistake in the words' },
  schema: 'holdfast.install-units/1',
} as const satisfies CommandPage;

const UNIT_FOLDER = '/etc/systemd/system';
const CONF = '/etc/sanlock/sanlock.conf';
const MODE = 0o644;
const UNIT = /\.(service|slice)$/;
const OF_THE_PACKAGE = '/usr/lib/holdfast';
const MAX_SHOWN = 80;
const SYSTEMCTL_MS = 60_000;

/** @returns the exit status */
export function installUnits(args: readonly string[]): number {
  const words = readWords(INSTALL_UNITS_PAGE, args);
  if (!words.ok) return complain(mistakeText(INSTALL_UNITS_PAGE, words.error), 2);
  const { value } = words;
  const unknown = value.operands.find((name) => !UNITS.some((unit) => unit === name));
  if (unknown !== undefined) {
    const found = shown(unknown, MAX_SHOWN);
    return complain(
      mistakeText(INSTALL_UNITS_PAGE, `"${found}" is none of ${UNITS.join(', ')}`),
      2,
    );
  }
  const isDry = value.has('dry-run');
  const folder = value.value('to') ?? UNIT_FOLDER;
  try {
    const home = dirname(__dirname);
    const plan = value.has('remove')
      ? planRemoval(folder)
      : planInstallation({ home, folder, prefix: value.value('prefix'), units: value.operands });
    if (!plan.ok) return complain(`holdfast install-units: ${plan.error}\n`, 1);
    if (!isDry) perform(plan.value, folder);
    const text = value.has('json') ? planJson(plan.value, isDry) : planText(plan.value, isDry);
    process.stdout.write(text);
    return 0;
  } catch (thrown) {
    return complain(`holdfast install-units: ${plain(reasonOf(thrown))}\n`, 1);
  }
}

function complain(text: string, status: 1 | 2): 1 | 2 {
  process.stderr.write(text);
  return status;
}

interface Step {
  readonly kind: 'write' | 'keep' | 'remove';
  readonly path: string;
  /** What is written. */
  readonly text: string;
}

/** @param home the folder of this installation */
function planInstallation(of: {
  readonly home: string;
  readonly folder: string;
  readonly prefix: string | null;
  /** Without their ending; none: all of them. */
  readonly units: readonly string[];
}): Result<readonly Step[], string> {
  const { home, folder } = of;
  if (realpathSync(home) === OF_THE_PACKAGE) {
    return fail(
      'these programs are of the Debian package, which has its units in /lib/systemd/system',
    );
  }
  const wanted = of.units.length === 0 ? UNITS : of.units;
  const names = [SLICE, ...wanted.map((name) => `${name}.service`)];
  const texts = names.map((name) => readFileSync(join(home, 'packaging', name), 'utf8'));
  const programs = programsFor(of.prefix ?? dirname(dirname(process.argv[1] ?? '')), texts);
  if (!programs.ok) return programs;
  const units = names.map((name, at) => {
    return { path: join(folder, name), text: unitFor(texts[at] ?? '', programs.value) };
  });
  const foreign = units.find(({ path }) => isForeign(path));
  if (foreign !== undefined) {
    return fail(`${plain(foreign.path)} is not a unit of holdfast: move it away first`);
  }
  const conf = { path: CONF, text: readFileSync(join(home, 'packaging', 'sanlock.conf'), 'utf8') };
  const isConfigured = existsSync(CONF) || folder !== UNIT_FOLDER;
  return ok([
    ...units.map((unit) => ({ ...unit, kind: isThere(unit) ? 'keep' : 'write' }) as const),
    ...(isConfigured ? [] : [{ ...conf, kind: 'write' } as const]),
  ]);
}

function planRemoval(folder: string): Result<readonly Step[], string> {
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => UNIT.test(name)) : [];
  const ours = names.filter((name) => {
    const seen = seeFile(join(folder, name));
    return seen.kind === 'file' && isOurs(seen.text);
  });
  if (ours.length === 0) return fail(`no unit of holdfast is in ${plain(folder)}`);
  return ok(ours.map((name) => ({ kind: 'remove', path: join(folder, name), text: '' }) as const));
}

function isForeign(path: string): boolean {
  const seen = seeFile(path);
  return seen.kind === 'other' || (seen.kind === 'file' && !isOurs(seen.text));
}

function isThere({ path, text }: { readonly path: string; readonly text: string }): boolean {
  const seen = seeFile(path);
  return seen.kind === 'file' && seen.text === text;
}

/** Each of them is there, and can be executed. */
function programsFor(prefix: string, texts: readonly string[]): Result<Programs, string> {
  const bin = binOf(prefix);
  if (!bin.ok) return bin;
  const missing = programsIn(texts).find((name) => !isExecutable(join(bin.value, name)));
  if (missing !== undefined) {
    return fail(
      `there is no program ${bin.value}/${missing}: which prefix does npm have? (npm prefix -g)`,
    );
  }
  const node = nodeFolder();
  if (!node.ok) return node;
  const hasGroup = accountIds({ user: null, group: 'sanlock' }).ok;
  return ok({ bin: bin.value, node: node.value, hasGroup });
}

/** null: the first `node` that systemd finds is the one that runs this. */
function nodeFolder(): Result<string | null, string> {
  const own = realpathSync(process.execPath);
  const found = SYSTEMD_PATH.map((folder) => join(folder, 'node')).find(isExecutable);
  if (found !== undefined && realpathSync(found) === own) return ok(null);
  if (basename(process.execPath) === 'node') return ok(dirname(process.execPath));
  return fail(
    `the Node.js that runs this is ${plain(own)}: its name has to be "node" for the units`,
  );
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function perform(steps: readonly Step[], folder: string): void {
  for (const { kind, path, text } of steps) {
    const draft = join(dirname(path), `.${basename(path)}.new`);
    if (kind === 'remove') removeFile(path);
    if (kind !== 'write') continue;
    makeFolder(dirname(path));
    if (path === CONF) createFile({ path, text, mode: MODE, draft });
    else replaceFile({ path, text, mode: MODE, draft });
  }
  if (folder !== UNIT_FOLDER) return;
  // What the package does as well, once it is installed: its commands start faster.
  if (steps.some(({ kind }) => kind === 'write')) compileAll(__dirname);
  if (!existsSync('/run/systemd/system')) return;
  const reload = spawnSync('systemctl', ['daemon-reload'], { timeout: SYSTEMCTL_MS });
  if (reload.status !== 0) throw new Error('systemctl daemon-reload failed: run it by hand');
}

const DONE = { write: 'wrote', keep: 'is there already:', remove: 'removed' } as const;
const TO_DO = { write: 'would write', keep: 'is there already:', remove: 'would remove' } as const;

function planText(steps: readonly Step[], isDry: boolean): string {
  const lines = steps.map(({ kind, path }) => `${(isDry ? TO_DO : DONE)[kind]} ${plain(path)}\n`);
  const isRemoved = steps.some(({ kind }) => kind === 'remove');
  const next = isRemoved
    ? 'Units of the originals with the same names count again.'
    : 'Start them, now and at each boot: systemctl enable --now wdmd sanlock lvmlockd lvmlocks';
  return `${lines.join('')}${isDry ? '' : `${next}\n`}`;
}

function planJson(steps: readonly Step[], isDry: boolean): string {
  const files = steps.map(({ kind, path }) => ({ kind, path: plain(path) }));
  return `${plainJson({ schema: INSTALL_UNITS_PAGE.schema, isDry, files })}\n`;
}
