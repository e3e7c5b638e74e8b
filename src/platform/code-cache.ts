import { readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';
import { compiledKoffi } from './compiled-koffi.ts';

/** The build writes it as the last line of a program: a hash of what stands above. */
const IDENTITY = /\n\/\/# code ([0-9a-f]{16})\n$/;
const IDENTITY_CHARACTERS = 40;
/** What Node, too, has around a program. */
const wrapped = (text: string) =>
  `(function (exports, require, module, __filename, __dirname) {${text}\n})`;

type Program = (
  exports: object,
  require: (name: string) => unknown,
  module: NodeJS.Module,
  file: string,
  folder: string,
) => void;

/**
 * Runs a program of `dist` as `require` would, from the code that V8 compiled at build time, where
 * that is of this text and this Node; compiled anew elsewhere. For commands that show something:
 * V8 does not check the bytes of a cache, so nothing that holds or writes a lease runs from one
 * (decision 0025).
 * @returns whether the compiled code was used.
 */
export function runFromCodeCache(
  file: string,
  given: { readonly require: NodeJS.Require; readonly module: NodeJS.Module },
): boolean {
  const text = readFileSync(file, 'utf8');
  const cachedData = compiledCode(file, text);
  const script = new Script(wrapped(text), {
    filename: file,
    ...(cachedData === null ? {} : { cachedData }),
  });
  const folder = dirname(file);
  let koffi: unknown = null;
  const require = (name: string) => {
    if (name !== 'koffi') return given.require(name);
    koffi ??= compiledKoffi(folder) ?? given.require(name);
    return koffi;
  };
  (script.runInThisContext() as Program)({}, require, given.module, file, folder);
  return cachedData !== null && script.cachedDataRejected === false;
}

/**
 * V8 compares its version, its flags and the length of the text; the text itself is compared by
 * the name of the cache, and a change by hand, which leaves the last line, by the time of the file.
 */
function compiledCode(file: string, text: string): Buffer | null {
  const identity = IDENTITY.exec(text.slice(-IDENTITY_CHARACTERS))?.[1];
  if (identity === undefined) return null;
  const cache = file.replace(/\.cjs$/, `.${identity}.v8cache`);
  try {
    return statSync(cache).mtimeMs < statSync(file).mtimeMs ? null : readFileSync(cache);
  } catch {
    return null; // built elsewhere, without one
  }
}

/**
 * Has V8 compile every program of a folder that may run from such code, for this Node: packages
 * bring none, as it fits the Node that made it alone. Throws why it cannot be written.
 */
export function compileAll(folder: string): void {
  const names = readdirSync(folder);
  for (const name of names.filter((one) => one.endsWith('.v8cache'))) rmSync(join(folder, name));
  for (const name of names.filter((one) => one.endsWith('.cjs'))) {
    const file = join(folder, name);
    const text = readFileSync(file, 'utf8');
    const identity = IDENTITY.exec(text.slice(-IDENTITY_CHARACTERS))?.[1];
    if (identity === undefined) continue;
    const cache = file.replace(/\.cjs$/, `.${identity}.v8cache`);
    writeFileSync(`${cache}.new`, compiled(file, text));
    renameSync(`${cache}.new`, cache);
  }
}

/** Of all functions, not only of those that run first; V8 notes the flags of the end. */
function compiled(file: string, text: string): Buffer {
  setFlagsFromString('--no-lazy');
  try {
    const script = new Script(wrapped(text), { filename: file });
    setFlagsFromString('--lazy');
    return script.createCachedData();
  } finally {
    setFlagsFromString('--lazy');
  }
}
