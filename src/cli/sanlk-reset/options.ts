import { type ByteString, textToName } from '../../base/bytes.ts';
import { fail, ok, type Result } from '../../base/result.ts';
import { MAX_HOST_ID } from '../../format/limits.ts';
import type { ResetRequest } from '../../reset/command.ts';
import type { ControlAction } from '../../reset/control-message.ts';
import { MAX_LOCKSPACES, type ResetdSettings } from '../../reset/state.ts';
import type { Target } from '../../reset/target-watch.ts';
import { MAX_NAME_BYTES } from '../../wire/sanlock/socket.ts';
import { meantOption, type Row, rowsText } from '../frame/rows.ts';

/** Of `reset`. */
export const RESET_ROWS: readonly Row[] = [
  ['--host-id | -i NUM', 'The host, after a single LOCKSPACE.'],
  [
    '--generation | -g NUM',
    'Only that generation of it, with a single lockspace [the current one].',
  ],
  ['--watchdog | -w 0|1', 'Reset by its watchdog [1].'],
  ['--sysrq-reboot | -b 0|1', 'Reboot by /proc/sysrq-trigger [0].'],
  [
    '--resource-mode | -R 0|1',
    'Resource leases protect the storage: dead is dead without a reply [0].',
  ],
  ['--native-timeout | -t 0|1', '90 s after its reply the watchdog has fired [1].'],
];

/** What it takes besides `reset`. */
export const RESET_COMMANDS: readonly Row[] = [
  ['sanlk-reset reg LOCKSPACE ...', 'The local sanlk-resetd listens in these lockspaces too.'],
  ['sanlk-reset end LOCKSPACE ...', 'It does not any more.'],
  ['sanlk-reset clear all', 'It listens in none.'],
];

const COMMANDS = { indent: 0, column: 32 };
const OPTIONS = { indent: 2, column: 29 };

export const RESET_USAGE = [
  'sanlk-reset: asks sanlk-resetd of another host to reset that host.\n',
  'sanlk-reset reset [options] LOCKSPACE:HOST_ID ...\n',
  rowsText(RESET_ROWS, OPTIONS),
  rowsText(RESET_COMMANDS, COMMANDS),
  'sanlk-reset --help | -h, --version | -V\n',
  'Exit status: 0 when the host has been reset, 1 when it has not, 2 when the command is not valid.\n',
].join('');

/** Its options, for its help and its man page. */
export const RESETD_ROWS: readonly Row[] = [
  ['--foreground | -f', 'Stay in the foreground.'],
  ['--debug | -D', 'Stay in the foreground and log to stderr.'],
  ['--watchdog | -w 0|1', 'Serve resets by the watchdog [1].'],
  ['--sysrq-reboot | -b 0|1', 'Serve reboots by /proc/sysrq-trigger [0].'],
  ['--sysrq-delay | -d SEC', 'So long after the request [25].'],
  [
    '--resource-mode | -R 0|1',
    'Resource leases protect the storage: a lockspace need not be kept [0].',
  ],
  ['--help | -h, --version | -V', ''],
];

export const RESETD_USAGE = [
  'sanlk-resetd: lets other hosts reset this one through wdmd.\n',
  'sanlk-resetd [options] LOCKSPACE ...\n',
  rowsText(RESETD_ROWS, OPTIONS),
  'Exit status: 0 at its orderly end, 1 when it cannot serve, 2 when the command is not valid.\n',
].join('');

export type ResetTask =
  | { readonly kind: 'usage' | 'version' }
  | { readonly kind: ControlAction; readonly names: readonly ByteString[] }
  | ({ readonly kind: 'reset' } & ResetRequest);

export type ResetdTask =
  | { readonly kind: 'usage' | 'version' }
  | {
      readonly kind: 'serve';
      readonly foreground: boolean;
      readonly debug: boolean;
      readonly settings: ResetdSettings;
      readonly names: readonly ByteString[];
    };

const MAX_U64 = 0xffffffffffffffffn;

/** Letters that take a value, and their long names. */
const RESET_OPTIONS: Readonly<Record<string, string>> = {
  '--host-id': 'i',
  '--generation': 'g',
  '--watchdog': 'w',
  '--sysrq-reboot': 'b',
  '--resource-mode': 'R',
  '--native-timeout': 't',
};
const RESETD_OPTIONS: Readonly<Record<string, string>> = {
  '--watchdog': 'w',
  '--sysrq-reboot': 'b',
  '--sysrq-delay': 'd',
  '--resource-mode': 'R',
};
const RESETD_FLAGS: Readonly<Record<string, string>> = {
  '--foreground': 'f',
  '-f': 'f',
  '--debug': 'D',
  '-D': 'D',
};

/** The failure is one sentence; the program ends with status 2. */
export function parseReset(args: readonly string[]): Result<ResetTask, string> {
  const read = readWords(args, RESET_OPTIONS, {});
  if (!read.ok) return read;
  const { task, words, values } = read.value;
  if (task !== null) return ok({ kind: task });
  const [action = '', ...names] = words;
  if (action === 'reg' || action === 'end' || action === 'clear') {
    const bad = names.find((name) => !isName(name));
    if (bad !== undefined) return fail(`'${bad}' is no lockspace name`);
    if (names.length === 0) return fail(`${action} wants a lockspace name`);
    return ok({ kind: action, names: names.map(textToName) });
  }
  if (action !== 'reset') return fail(`'${action}' is none of reset, reg, end, clear`);
  return resetOf(names, values);
}

function resetOf(
  names: readonly string[],
  values: ReadonlyMap<string, string>,
): Result<ResetTask, string> {
  const [id, generation] = [values.get('i'), values.get('g')];
  if (names.length === 0) return fail('reset wants LOCKSPACE:HOST_ID');
  if (names.length > MAX_LOCKSPACES) return fail(`more than ${MAX_LOCKSPACES} lockspaces`);
  if (names.length > 1 && (id ?? generation) !== undefined) {
    return fail('--host-id and --generation go with a single lockspace');
  }
  const targets: Target[] = [];
  for (const word of names) {
    const target = targetOf(id === undefined ? word : `${word}:${id}`);
    if (target === null) return fail(`'${word}' is no LOCKSPACE:HOST_ID with a host id 1 to 2000`);
    targets.push(target);
  }
  const number = generation === undefined ? 0n : unsigned(generation);
  if (number === null || number > MAX_U64) return fail(`'${generation}' is no generation`);
  const switches = readSwitches(values, { w: true, b: false, R: false, t: true });
  if (!switches.ok) return switches;
  const { w: watchdog, b: sysrqReboot, R: resourceMode, t: nativeTimeout } = switches.value;
  if (!watchdog && !sysrqReboot) return fail('-w 0 without -b 1 asks for nothing');
  const how = { watchdog, sysrqReboot, resourceMode, nativeTimeout };
  return ok({ kind: 'reset', targets, generation: number, ...how });
}

function targetOf(word: string): Target | null {
  const colon = word.lastIndexOf(':');
  const name = word.slice(0, Math.max(colon, 0));
  const hostId = unsigned(word.slice(colon + 1));
  if (!isName(name) || hostId === null || hostId < 1n || hostId > BigInt(MAX_HOST_ID)) return null;
  return { lockspaceName: textToName(name), hostId };
}

export function parseResetd(args: readonly string[]): Result<ResetdTask, string> {
  const read = readWords(args, RESETD_OPTIONS, RESETD_FLAGS);
  if (!read.ok) return read;
  const { task, words, values } = read.value;
  if (task !== null) return ok({ kind: task });
  const bad = words.find((word) => !isName(word));
  if (bad !== undefined) return fail(`'${bad}' is no lockspace name`);
  if (words.length > MAX_LOCKSPACES) return fail(`more than ${MAX_LOCKSPACES} lockspaces`);
  const switches = readSwitches(values, { w: true, b: false, R: false });
  if (!switches.ok) return switches;
  const delay = unsigned(values.get('d') ?? '25');
  if (delay === null || delay > 3600n) return fail('--sysrq-delay wants 0 to 3600 seconds');
  const { w: useWatchdog, b: sysrqReboot, R: resourceMode } = switches.value;
  if (!useWatchdog && !sysrqReboot) return fail('-w 0 without -b 1 serves nothing');
  const debug = values.has('D');
  return ok({
    kind: 'serve',
    foreground: debug || values.has('f'),
    debug,
    settings: { useWatchdog, sysrqReboot, sysrqDelayS: Number(delay), resourceMode },
    names: words.map(textToName),
  });
}

interface Words {
  readonly task: 'usage' | 'version' | null;
  readonly words: readonly string[];
  readonly values: ReadonlyMap<string, string>;
}

function readWords(
  args: readonly string[],
  options: Readonly<Record<string, string>>,
  flags: Readonly<Record<string, string>>,
): Result<Words, string> {
  const words: string[] = [];
  const values = new Map<string, string>();
  for (let at = 0; at < args.length; at++) {
    const [word = '', joined] = splitJoined(args[at] ?? '');
    if (word === '--help' || word === '-h') return ok({ task: 'usage', words, values });
    if (word === '--version' || word === '-V') return ok({ task: 'version', words, values });
    const flag = flags[word];
    if (flag !== undefined) {
      values.set(flag, '1');
      continue;
    }
    if (!word.startsWith('-')) {
      words.push(args[at] ?? '');
      continue;
    }
    const letter = options[word] ?? Object.values(options).find((one) => word === `-${one}`);
    if (letter === undefined) {
      return fail(`unknown option ${word}${meantOption(word, RESET_ROWS, RESETD_ROWS)}`);
    }
    if (joined === undefined) at++;
    const value = joined ?? args[at];
    if (value === undefined) return fail(`${word} wants a value`);
    values.set(letter, value);
  }
  return ok({ task: null, words, values });
}

/** `--watchdog=0` and `-w0`: the option and its value in one word. */
function splitJoined(word: string): [string, string | undefined] {
  if (word.startsWith('--')) {
    const equals = word.indexOf('=');
    return equals < 0 ? [word, undefined] : [word.slice(0, equals), word.slice(equals + 1)];
  }
  return /^-..+$/.test(word) ? [word.slice(0, 2), word.slice(2)] : [word, undefined];
}

function readSwitches<T extends Readonly<Record<string, boolean>>>(
  values: ReadonlyMap<string, string>,
  defaults: T,
): Result<{ readonly [K in keyof T]: boolean }, string> {
  const found: Record<string, boolean> = { ...defaults };
  for (const letter of Object.keys(defaults)) {
    const value = values.get(letter);
    if (value === undefined) continue;
    if (value !== '0' && value !== '1') return fail(`-${letter} wants 0 or 1, found '${value}'`);
    found[letter] = value === '1';
  }
  return ok(found as { readonly [K in keyof T]: boolean }); // the same keys
}

function isName(word: string): boolean {
  const { length } = textToName(word);
  return length > 0 && length <= MAX_NAME_BYTES && !word.includes(' ');
}

function unsigned(word: string): bigint | null {
  return /^[0-9]{1,20}$/.test(word) ? BigInt(word) : null;
}
