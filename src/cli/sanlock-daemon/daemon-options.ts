import type { Given } from './config-file.ts';
import type { Finding } from './finding.ts';
import { settingOfLetter } from './setting-table.ts';

/**
 * Letters of the one parser all `sanlock` commands share (spec 22 §1); those of other commands mean
 * nothing to the daemon.
 */
const KNOWN_LETTERS = 'QRHLSUtGgwhlobeasrxnmpidfOPuzAZF';

/** An option that no `sanlock` command has: printed on stdout, as by the C program. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export interface DaemonOptions {
  readonly given: readonly Given[];
  readonly findings: readonly Finding[];
  /** -D */
  readonly foreground: boolean;
}

/** @throws UsageError for options C refuses. */
export function readDaemonOptions(args: readonly string[]): DaemonOptions {
  const given: Given[] = [];
  const findings: Finding[] = [];
  let foreground = false;
  for (let i = 0; i < args.length; i++) {
    const word = args[i] ?? '';
    if (!word.startsWith('-') || word.length < 2) throw new UsageError(`unknown option ${word}`);
    if (word.length > 2) {
      throw new UsageError(`unknown option ${word}\nspace required before option value`);
    }
    const letter = word.charAt(1);
    if (letter === 'D') {
      foreground = true;
      continue;
    }
    const text = args[++i];
    if (text === undefined) throw new UsageError(`option '${letter}' requires arg`);
    if (!KNOWN_LETTERS.includes(letter)) throw new UsageError(`unknown option: ${letter}`);
    const id = settingOfLetter(letter);
    const place = `option ${word}`;
    if (id !== null) given.push({ id, place, key: word, text, flaw: null });
    else findings.push(foreign(place, word));
  }
  return { given, findings, foreground };
}

function foreign(place: string, key: string): Finding {
  const wanted = 'an option of the daemon';
  const found = 'one of another sanlock command';
  return { verdict: 'questionable', place, key, found, wanted, used: 'it is skipped' };
}
