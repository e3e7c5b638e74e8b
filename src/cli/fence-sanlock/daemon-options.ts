import { fail, ok, type Result } from '../../base/result.ts';
import { type FenceStart, pathOf } from '../../fence/start-message.ts';
import { hostIdOf } from '../../fence/storage.ts';
import { type Row, rowsText } from '../frame/rows.ts';

/** What it does, by the options given. */
export const FENCED_FORMS: readonly Row[] = [
  ['fence_sanlockd -p PATH -i HOST_ID [-D]', 'Hold the lease of host HOST_ID.'],
  ['fence_sanlockd -w [-D]', 'Wait until -s says for which host, on which storage.'],
  ['fence_sanlockd -s -p PATH -i HOST_ID', 'Say so to the one that waits.'],
  ['fence_sanlockd -1', 'Tell the running one that this host is being fenced.'],
];

/** Its options, for its help and its man page. */
export const FENCED_ROWS: readonly Row[] = [
  ['-p PATH', 'The storage that fence_sanlock -o sanlock_init made.'],
  ['-i HOST_ID', "This host's number there, 1 to 128."],
  ['-D', 'Stay in the foreground and log to stderr.'],
  ['-h, --help', 'This text; -V, --version: the version.'],
];

const FORMS = { indent: 0, column: 43 };
const OPTIONS = { indent: 2, column: 15 };

export const FENCED_USAGE = [
  'fence_sanlockd: lets other hosts fence this one by its watchdog.\n',
  rowsText(FENCED_FORMS, FORMS),
  rowsText(FENCED_ROWS, OPTIONS),
  "Signals: HUP or INT ends it in order. TERM is sanlock's: the lockspace failed, the host is reset.\n",
].join('');

export type FencedTask =
  | { readonly kind: 'usage' | 'version' | 'signal' }
  | { readonly kind: 'send'; readonly start: FenceStart }
  | {
      readonly kind: 'serve';
      readonly foreground: boolean;
      /** null: wait for it. */
      readonly start: FenceStart | null;
    };

/** The failure is one sentence; the program ends with status 1. */
export function parseFenced(args: readonly string[]): Result<FencedTask, string> {
  const given = new Map<string, string>();
  const words = args.flatMap(splitLetters);
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    if (word === '-h' || word === '--help') return ok({ kind: 'usage' });
    if (word === '-V' || word === '--version') return ok({ kind: 'version' });
    const takesValue = word === '-p' || word === '-i';
    if (!takesValue && !['-D', '-w', '-s', '-1'].includes(word)) {
      return fail(`unknown option ${word}`);
    }
    if (takesValue) at++;
    const value = takesValue ? words[at] : '';
    if (value === undefined) return fail(`${word} wants a value`);
    given.set(word, value);
  }
  if (given.has('-1')) return ok({ kind: 'signal' });
  return taskOf(given);
}

function taskOf(given: ReadonlyMap<string, string>): Result<FencedTask, string> {
  const [waits, sends] = [given.has('-w'), given.has('-s')];
  if (waits && sends) return fail('-w and -s do not go together: one waits, the other sends');
  const start = startOf(given);
  if (!start.ok) return start;
  if (sends && start.value !== null) return ok({ kind: 'send', start: start.value });
  if (!waits && start.value === null) return fail('-p PATH and -i HOST_ID are wanted');
  return ok({ kind: 'serve', foreground: given.has('-D'), start: waits ? null : start.value });
}

function startOf(given: ReadonlyMap<string, string>): Result<FenceStart | null, string> {
  const [word, number] = [given.get('-p'), given.get('-i')];
  const hostId = number === undefined ? null : hostIdOf(number);
  if (number !== undefined && hostId === null) {
    return fail(`-i wants a host id 1 to 128, found '${number}'`);
  }
  const path = word === undefined ? null : pathOf(word);
  if (word !== undefined && path === null) {
    return fail(`-p wants a path of 1 to 1023 bytes, found '${word}'`);
  }
  return ok(path === null || hostId === null ? null : { path, hostId });
}

/** `-Dw` and `-i2` are taken apart, as getopt does. */
function splitLetters(word: string): string[] {
  const match = /^-([Dws1]*)([piDws1hV])(.*)$/s.exec(word);
  if (match === null) return [word];
  const [, flags = '', letter = '', rest = ''] = match;
  const isValued = letter === 'p' || letter === 'i';
  if (!isValued && rest !== '') return [word];
  const split = [...flags].map((flag) => `-${flag}`);
  return [...split, `-${letter}`, ...(isValued && rest !== '' ? [rest] : [])];
}
