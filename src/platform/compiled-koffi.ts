import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** What dlopen fills as require does. */
interface Loaded {
  exports: object;
}

/**
 * The compiled part of koffi, which is what `require('koffi')` returns after it has looked for the
 * C library and the processor: 4 ms of processor time, of a command that has 60. Null where npm has
 * put it elsewhere, or where it does not load: on a machine with another C library.
 * @param folder of the programs; the packages that they need are beside it
 */
export function compiledKoffi(folder: string): object | null {
  const machine = process.arch;
  const packages = join(folder, '..', 'node_modules', '@koromix');
  const file = join(packages, `koffi-linux-${machine}`, `linux_${machine}`, 'koffi.node');
  if (!existsSync(file)) return null;
  const loaded: Loaded = { exports: {} };
  try {
    process.dlopen(loaded, file);
  } catch {
    return null;
  }
  return loaded.exports;
}
