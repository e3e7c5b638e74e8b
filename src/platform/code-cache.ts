import { readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { compileFunction } from 'node:vm';

/** The build writes it as the last line of a program: a hash of what stands above. */
const IDENTITY = /\n\/\/# code ([0-9a-f]{16})\n$/;
const IDENTITY_CHARACTERS = 40;
const PARAMETERS = ['exports', 'require', 'module', '__filename', '__dirname'];

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
  const options = { filename: file, ...(cachedData === null ? {} : { cachedData }) };
  const program = compileFunction(text, PARAMETERS, options);
  program({}, given.require, given.module, file, dirname(file));
  const isRejected = Reflect.get(program, 'cachedDataRejected') === true;
  return cachedData !== null && !isRejected;
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
    const options = { filename: file, produceCachedData: true };
    const { cachedData } = compileFunction(text, PARAMETERS, options) as { cachedData?: Buffer };
    if (cachedData === undefined) continue;
    const cache = file.replace(/\.cjs$/, `.${identity}.v8cache`);
    writeFileSync(`${cache}.new`, cachedData);
    renameSync(`${cache}.new`, cache);
  }
}
