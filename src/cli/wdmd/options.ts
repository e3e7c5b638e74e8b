import { fail, ok, type Result } from '../../base/result.ts';
import { meantOption, type Row, rowsText } from '../frame/rows.ts';

/** The command line of wdmd (spec 25 §5). */
export interface WdmdOptions {
  readonly action: 'help' | 'version' | 'dump' | 'probe' | 'softdog' | 'fire' | 'serve';
  readonly foreground: boolean;
  readonly highPriority: number;
  readonly groupName: string;
  readonly allowScripts: number;
  readonly scriptsDirectory: string;
  readonly killScriptS: number;
  /** The device to try first. */
  readonly watchdogPath: string | null;
  /** What a probed device must take. */
  readonly tryTimeoutS: number | null;
}

/** Its options, for its help and its man page. */
export const WDMD_ROWS: readonly Row[] = [
  ['--help, -h', 'show this text'],
  ['--version, -V', 'show the version'],
  ['--dump, -d', 'show what a running wdmd knows of its clients and scripts'],
  ['--probe, -p', 'show the watchdog device that would be used, and disarm it'],
  ['--trytimeout, -t <num>', 'the same for a device that can wait num seconds'],
  ['--forcefire, -F', 'start the watchdog and do not ping it: it resets this machine'],
  ['--softdog', "load the kernel's softdog where no watchdog device can be used"],
  ['-D', 'stay in the foreground, log everything to stderr'],
  ['-H 0|1', 'run with real-time priority (0)'],
  ['-G <name>', 'group that may use the socket (sanlock)'],
  ['-S 0|1', 'run test scripts (0)'],
  ['-s <path>', 'where the scripts are (/etc/wdmd.d)'],
  ['-k <num>', 'kill a script that takes longer than num seconds; 0 never (0)'],
  ['-w <path>', 'the watchdog device to try before all others'],
];

export const USAGE = `Usage:
wdmd [options]

${rowsText(WDMD_ROWS, { indent: 0, column: 22 })}`;

type Draft = { -readonly [K in keyof WdmdOptions]: WdmdOptions[K] };
/** Returns a sentence when the value cannot be used. */
type Setter = (draft: Draft, value: string) => string | null;

const LONG: Readonly<Record<string, string>> = {
  '--help': '-h',
  '--version': '-V',
  '--dump': '-d',
  '--probe': '-p',
  '--trytimeout': '-t',
  '--forcefire': '-F',
};

const FLAGS: Readonly<Record<string, (draft: Draft) => void>> = {
  '-h': (draft) => act(draft, 'help'),
  '-V': (draft) => act(draft, 'version'),
  '-d': (draft) => act(draft, 'dump'),
  '-p': (draft) => act(draft, 'probe'),
  '-F': (draft) => act(draft, 'fire'),
  '--softdog': (draft) => act(draft, 'softdog'),
  '-D': (draft) => {
    draft.foreground = true;
  },
};

const VALUED: Readonly<Record<string, Setter>> = {
  '-H': numbered(1, (draft, n) => {
    draft.highPriority = n;
  }),
  '-S': numbered(1, (draft, n) => {
    draft.allowScripts = n;
  }),
  '-k': numbered(3600, (draft, n) => {
    draft.killScriptS = n;
  }),
  '-t': numbered(3600, (draft, n) => {
    draft.tryTimeoutS = n;
    act(draft, 'probe');
  }),
  '-G': text((draft, value) => {
    draft.groupName = value;
  }),
  '-s': text((draft, value) => {
    draft.scriptsDirectory = value;
  }),
  '-w': text((draft, value) => {
    draft.watchdogPath = value;
  }),
};

/** The earlier of these wins, wherever it stands; of -h, -V and -d the first given. */
const RANK = ['help', 'version', 'dump', 'fire', 'softdog', 'probe', 'serve'];

function act(draft: Draft, action: WdmdOptions['action']): void {
  const isShown = ['help', 'version', 'dump'].includes(draft.action); // what stands first
  if (!isShown && RANK.indexOf(action) < RANK.indexOf(draft.action)) draft.action = action;
}

function text(set: (draft: Draft, value: string) => void): Setter {
  return (draft, value) => {
    if (value === '') return 'wants a value';
    set(draft, value);
    return null;
  };
}

function numbered(most: number, set: (draft: Draft, value: number) => void): Setter {
  return (draft, value) => {
    if (!/^[0-9]+$/.test(value) || Number(value) > most) {
      return `is ${most === 1 ? '0 or 1' : `a number from 0 to ${most}`}, not "${value}"`;
    }
    set(draft, Number(value));
    return null;
  };
}

/** The failure is one sentence for the administrator who typed it. */
export function parseOptions(args: readonly string[]): Result<WdmdOptions, string> {
  const draft: Draft = {
    action: 'serve',
    foreground: false,
    highPriority: 0,
    groupName: 'sanlock',
    allowScripts: 0,
    scriptsDirectory: '/etc/wdmd.d',
    killScriptS: 0,
    watchdogPath: null,
    tryTimeoutS: null,
  };
  const left = splitArguments(args);
  for (let word = left.shift(); word !== undefined; word = left.shift()) {
    const name = LONG[word] ?? word;
    const flag = FLAGS[name];
    if (flag !== undefined) {
      flag(draft);
      continue;
    }
    const set = VALUED[name];
    if (set === undefined) {
      const meant = meantOption(word, WDMD_ROWS) || '; wdmd -h lists them all';
      return fail(`wdmd: unknown option ${word}${meant}`);
    }
    const value = left.shift();
    if (value === undefined) return fail(`wdmd: option ${word} wants a value`);
    const refused = set(draft, value);
    if (refused !== null) return fail(`wdmd: ${word} ${refused}`);
  }
  return ok(draft);
}

/** `--name=value`, `-S1` and `-Dp` become separate words, as getopt takes them. */
function splitArguments(args: readonly string[]): string[] {
  const words: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? '';
    const long = /^(--[a-z]+)=(.*)$/s.exec(arg);
    if (long !== null) {
      words.push(long[1] ?? '', long[2] ?? '');
      continue;
    }
    let rest = /^-[A-Za-z]/.test(arg) ? arg.slice(1) : '';
    if (rest === '') words.push(arg);
    while (rest !== '') {
      const name = `-${rest[0]}`;
      rest = rest.slice(1);
      words.push(name);
      if (VALUED[name] === undefined) continue;
      const value = rest === '' ? args[++i] : rest;
      if (value !== undefined) words.push(value); // never read as an option
      rest = '';
    }
  }
  return words;
}
