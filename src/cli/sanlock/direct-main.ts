import { isDirectAction, runDirectAction, takesPath } from './direct.ts';
import { wrongNameOnDisk } from './direct-names.ts';
import { sentence } from './explain.ts';
import { readOptions, unknownAction } from './read-options.ts';
import { complain, print } from './say.ts';

/** `sanlock direct ACTION …`: works on the disk, without a daemon. @returns the status */
export function runDirect(action: string, args: readonly string[]): number {
  const command = 'direct';
  if (!isDirectAction(action)) return unknownAction(command, action);
  const place = takesPath(action) ? args[0] : undefined;
  const line = readOptions(action, place === undefined ? args : args.slice(1));
  if (line === null) return 1;
  const noted: { known: string | null } = { known: null };
  const code = runDirectAction(action, { line, place: place ?? null, print, noted });
  const { known } = noted;
  if (code < 0) {
    const found = wrongNameOnDisk(line, code);
    complain(sentence({ command, action, line, code, unreached: false, known }, found));
  } else if (code > 0) {
    const todo = 'PATH[:OFFSET[:SIZE]] is wanted, and the sizes (-Z, -A) where no lease has them';
    complain(`sanlock direct ${action}: ${known ?? 'it failed'}; ${todo}`);
  }
  return code === 0 ? 0 : 1;
}
