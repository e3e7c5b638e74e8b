import { fail, ok, type Result } from '../../base/result.ts';

/** The command line of wdmd (spec 25 §5). */
export interface WdmdOptions {
  readonly action: 'help' | 'version' | 'dump' | 'probe' | 'fire' | 'serve';
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

export const USAGE = `Usage:
wdmd [options]

--version, -V         print version
--help, -h            print usage
--dump, -d            print debug from daemon
--probe, -p           print path of functional watchdog device
-D                    debug: no fork and print all logging to stderr
-H 0|1                use high priority features (1 yes, 0 no, default 0)
-G <name>             group ownership for the socket
-S 0|1                allow script tests (default 0)
-s <path>             path to scripts dir (default /etc/wdmd.d)
-k <num>              kill unfinished scripts after num seconds (default 0)
-w /dev/watchdog      path to the watchdog device to try first
--trytimeout, -t <num> like --probe, for a device that can wait num seconds
--forcefire, -F       start the watchdog and do not ping it: it resets this machine
`;

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

/** The earlier of these wins, wherever it stands; among -h and -V the first given. */
const RANK = ['help', 'version', 'dump', 'fire', 'probe', 'serve'];

function act(draft: Draft, action: WdmdOptions['action']): void {
  const isShown = draft.action === 'help' || draft.action === 'version';
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

/** The failure is one sentence for the person who typed it. */
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
    if (set === undefined) return fail(`wdmd: unknown option ${word}; wdmd -h lists them all`);
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
