import { given } from '../../base/given.ts';
import { fail, ok, type Result } from '../../base/result.ts';
import { MAX_HOST_ID, MAX_IO_TIMEOUT_S } from '../../format/limits.ts';
import type { KillAction } from '../../lvmlockd/state.ts';
import type { ManagedLockType } from '../../wire/lvmlockd/requests.ts';
import { meantOption, type Row, rowsText } from '../frame/rows.ts';

/** The command line of lvmlockd (spec 30 §1). */
export interface LvmlockdOptions {
  readonly show: 'help' | 'version' | null;
  readonly test: boolean;
  readonly foreground: boolean;
  /** Log lines go to stderr as well; implies foreground. */
  readonly debug: boolean;
  readonly pidFile: string;
  readonly socketPath: string;
  readonly adoptFile: string;
  readonly globalLockType: ManagedLockType | null;
  /** syslog(3) number. */
  readonly syslogSeverity: number;
  readonly adopt: boolean;
  /** 0: sanlock's default. */
  readonly sanlockTimeoutS: number;
  readonly hostId: number;
  readonly hostIdFile: string | null;
  /** The program sanlock runs when a VG's leases are lost; null: the one beside ours. */
  readonly lvmlockctl: string | null;
  /** What happens to the LVs of a VG that lost the storage of its leases. */
  readonly killAction: KillAction;
}

/** Its options, for its help and its man page. */
export const LVMLOCKD_ROWS: readonly Row[] = [
  ['--help | -h', 'Show this text.'],
  ['--version | -V', 'Show the version.'],
  ['--test | -T', 'Grant every lock without a lock manager, to try things out.'],
  ['--foreground | -f', 'Stay in the foreground.'],
  ['--daemon-debug | -D', 'Stay in the foreground and print the log.'],
  ['--pid-file | -p PATH', '[/run/lvmlockd.pid]'],
  ['--socket-path | -s PATH', '[/run/lvm/lvmlockd.socket]'],
  ['--adopt-file PATH', '[/run/lvm/lvmlockd.adopt]'],
  ['--gl-type | -g sanlock', 'The lock manager of the global lock [the first one asked for]'],
  ['--syslog-priority | -S NAME', 'Log to the system log from this priority on [warning]'],
  ['--adopt | -A 0|1', 'Take over the locks of a lvmlockd that ended unexpectedly [1]'],
  ['--sanlock-timeout | -o SEC', 'The io timeout of sanlock lockspaces [10]'],
  ['--host-id | -i NUM', "This host's number, 1 to 2000 [from lvmlocal.conf, by lvm]"],
  ['--host-id-file | -F PATH', 'A file with a line "host_id = NUM"'],
  [
    '--kill-action none|error|stop',
    'A VG that loses its lease storage: its LVs are left as they are,\nget error tables, or their users are stopped before that [error]',
  ],
  ['--lvmlockctl PATH', 'What sanlock runs when a VG loses its storage [beside lvmlockd]'],
];

const LAYOUT = { indent: 2, column: 31, behindLong: '  ' };

export const USAGE = `lvmlockd: locks shared logical volumes for the hosts of a cluster.
lvmlockd [options]
${rowsText(LVMLOCKD_ROWS, LAYOUT)}`;

const PRIORITIES = ['emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug'];

type Draft = { -readonly [K in keyof LvmlockdOptions]: LvmlockdOptions[K] };

interface Option {
  readonly names: readonly string[];
  /** Returns a sentence when the value cannot be used. */
  readonly set: (draft: Draft, value: string) => string | undefined;
  readonly takesValue: boolean;
}

const OPTIONS: readonly Option[] = [
  flag(['--help', '-h'], (d) => {
    d.show = 'help';
  }),
  flag(['--version', '-V'], (d) => {
    d.show = 'version';
  }),
  flag(['--test', '-T'], (d) => {
    d.test = true;
  }),
  flag(['--foreground', '-f'], (d) => {
    d.foreground = true;
  }),
  flag(['--daemon-debug', '-D'], (d) => {
    d.debug = true;
    d.foreground = true;
  }),
  valued(['--pid-file', '-p'], (d, v) => {
    d.pidFile = v;
    return undefined;
  }),
  valued(['--socket-path', '-s'], (d, v) => {
    d.socketPath = v;
    return undefined;
  }),
  valued(['--adopt-file'], (d, v) => {
    d.adoptFile = v;
    return undefined;
  }),
  valued(['--host-id-file', '-F'], (d, v) => {
    d.hostIdFile = v;
    return undefined;
  }),
  valued(['--lvmlockctl'], (d, v) => {
    d.lvmlockctl = v;
    return undefined;
  }),
  valued(['--kill-action'], (d, v) => {
    if (v !== 'none' && v !== 'error' && v !== 'stop') return 'is none, error or stop';
    d.killAction = v;
    return undefined;
  }),
  valued(['--gl-type', '-g'], (d, v) => {
    if (v !== 'sanlock' && v !== 'dlm' && v !== 'idm') return 'is sanlock, dlm or idm';
    d.globalLockType = v;
    return undefined;
  }),
  valued(['--adopt', '-A'], (d, v) => {
    if (v !== '0' && v !== '1') return 'is 0 or 1';
    d.adopt = v === '1';
    return undefined;
  }),
  numbered(['--sanlock-timeout', '-o'], { from: 0, to: MAX_IO_TIMEOUT_S }, (d, n) => {
    d.sanlockTimeoutS = n;
  }),
  numbered(['--host-id', '-i'], { from: 1, to: MAX_HOST_ID }, (d, n) => {
    d.hostId = n;
  }),
  valued(['--syslog-priority', '-S'], (d, v) => {
    const named = PRIORITIES.indexOf(v);
    const severity = named >= 0 ? named : Number(v);
    const isPriority = Number.isInteger(severity) && severity >= 0 && severity <= 7;
    if (!isPriority) return `is one of ${PRIORITIES.join(', ')}`;
    d.syslogSeverity = severity;
    return undefined;
  }),
];

function flag(names: readonly string[], set: (draft: Draft) => void): Option {
  return {
    names,
    takesValue: false,
    set: (draft) => {
      set(draft);
      return undefined;
    },
  };
}

function valued(
  names: readonly string[],
  set: (draft: Draft, value: string) => string | undefined,
): Option {
  return {
    names,
    takesValue: true,
    set: (draft, value) => (value === '' ? 'wants a value' : set(draft, value)),
  };
}

function numbered(
  names: readonly string[],
  range: { readonly from: number; readonly to: number },
  set: (draft: Draft, value: number) => void,
): Option {
  return valued(names, (draft, value) => {
    const number = Number(value);
    if (!/^[0-9]+$/.test(value) || number < range.from || number > range.to) {
      return `is a number from ${range.from} to ${range.to}`;
    }
    set(draft, number);
    return undefined;
  });
}

/** The failure is one sentence for the terminal. */
export function parseOptions(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Result<LvmlockdOptions, string> {
  const draft: Draft = {
    show: null,
    test: false,
    foreground: false,
    debug: false,
    pidFile: given(environment['LVM_LVMLOCKD_PIDFILE']) ?? '/run/lvmlockd.pid',
    socketPath: given(environment['LVM_LVMLOCKD_SOCKET']) ?? '/run/lvm/lvmlockd.socket',
    adoptFile: '/run/lvm/lvmlockd.adopt',
    globalLockType: null,
    syslogSeverity: 4,
    adopt: true,
    sanlockTimeoutS: 0,
    hostId: 0,
    hostIdFile: null,
    lvmlockctl: null,
    killAction: 'error',
  };
  const left = splitArguments(args);
  for (let arg = left.shift(); arg !== undefined; arg = left.shift()) {
    const option = OPTIONS.find(({ names }) => names.includes(arg));
    if (option === undefined) {
      return fail(`lvmlockd: unknown option ${arg}${meantOption(arg, LVMLOCKD_ROWS)}`);
    }
    const value = option.takesValue ? left.shift() : '';
    if (value === undefined) return fail(`lvmlockd: option ${arg} wants a value`);
    const refused = option.set(draft, value);
    if (refused !== undefined) return fail(`lvmlockd: ${arg} ${refused}, not "${value}"`);
  }
  return ok(draft);
}

/** `--name=value`, `-o5` and `-fD` become separate words, as getopt takes them. */
function splitArguments(args: readonly string[]): string[] {
  const words: string[] = [];
  for (const arg of args) {
    const long = /^(--[a-z-]+)=(.*)$/.exec(arg);
    if (long !== null) {
      words.push(long[1] ?? '', long[2] ?? '');
      continue;
    }
    if (!/^-[A-Za-z]./.test(arg)) {
      words.push(arg);
      continue;
    }
    let rest = arg.slice(1);
    while (rest !== '') {
      const name = `-${rest[0]}`;
      rest = rest.slice(1);
      words.push(name);
      if (OPTIONS.find(({ names }) => names.includes(name))?.takesValue !== true) continue;
      if (rest !== '') words.push(rest);
      break;
    }
  }
  return words;
}

/** `host_id = N`, `#` begins a comment. The failure has the text found and the text wanted. */
export function hostIdOfFile(path: string, text: string): Result<number, string> {
  for (const [index, line] of text.split('\n').entries()) {
    const found = /^\s*host_id\s*=\s*(.*)$/.exec(line.replace(/#.*/, ''));
    if (found === null) continue;
    const word = (found[1] ?? '').trim();
    const hostId = /^[0-9]{1,4}$/.test(word) ? Number(word) : 0;
    if (hostId >= 1 && hostId <= MAX_HOST_ID) return ok(hostId);
    return fail(
      `${path}:${index + 1}: host_id is a number from 1 to ${MAX_HOST_ID}, not "${word}"`,
    );
  }
  return fail(`${path}: found no line "host_id = NUM", wanted one`);
}
