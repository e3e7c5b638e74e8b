import { textToName } from '../../base/bytes.ts';
import { DEFAULTS, type SanlockSettings } from '../../sanlock/settings.ts';

/** What only the composition needs: where lines go, and whether to stay in the foreground. */
export interface DaemonLogging {
  readonly foreground: boolean;
  readonly logfilePriority: number;
  readonly syslogPriority: number;
  readonly utc: boolean;
}

export interface DaemonSettings {
  readonly sanlock: SanlockSettings;
  readonly logging: DaemonLogging;
  /** false (SANLOCK_PRIVILEGED=0): no limits lifted, no user changed. */
  readonly privileged: boolean;
}

/** Answers about this host that settings depend on. */
export interface HostFacts {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly nodeName: string;
  readonly newUuid: () => string;
  /** Text of a file, '' when there is none. */
  readonly readText: (path: string) => string;
}

export class UsageError extends Error {
  override readonly name = 'UsageError';
}

const CONF_FILE = '/etc/sanlock/sanlock.conf';
/** The time other hosts give our watchdog to reset us before they take what we held. */
const MAX_FIRE_TIMEOUT_S = 60;
const CONF_LINE_MAX = 127;
const HOST_NAME_MAX = 48;
/**
 * Letters of the one parser all `sanlock` commands share; those of other commands mean nothing
 * here.
 */
const KNOWN_LETTERS = 'QRHLSUtGgwhlobeasrxnmpidfOPuzAZF';

/** Keys of sanlock.conf and the option that overrides each (spec 22 §5). */
export const CONF_KEYS: Readonly<Record<string, string>> = {
  quiet_fail: 'Q',
  debug_renew: 'R',
  logfile_priority: 'L',
  logfile_use_utc: 'logfile_use_utc',
  syslog_priority: 'S',
  use_watchdog: 'w',
  high_priority: 'h',
  mlock_level: 'l',
  sh_retries: 'sh_retries',
  uname: 'U',
  gname: 'G',
  our_host_name: 'e',
  renewal_read_extend_sec: 'renewal_read_extend_sec',
  renewal_history_size: 'H',
  write_init_io_timeout: 'write_init_io_timeout',
  default_num_hosts: 'default_num_hosts', // ours alone; the original skips it
  max_worker_threads: 't',
  watchdog_fire_timeout: 'watchdog_fire_timeout',
  io_timeout: 'o',
  kill_grace_seconds: 'g',
};

/** Options over sanlock.conf over the defaults. @throws UsageError for options C refuses. */
export function daemonSettings(args: readonly string[], host: HostFacts): DaemonSettings {
  const given = new Map([...confValues(host.readText(CONF_FILE)), ...optionValues(args)]);
  const { uid, gid } = ownerOf(given, host);
  const extend = given.get('renewal_read_extend_sec');
  const fireTimeoutS = fireTimeoutOf(given);
  const hostName = given.get('e') ?? `${host.newUuid()}.${host.nodeName}`;
  return {
    sanlock: {
      ourHostName: textToName(hostName).slice(0, HOST_NAME_MAX),
      runDir: textToName(host.environment['SANLOCK_RUN_DIR'] ?? DEFAULTS.runDir),
      useWatchdog: numberOf(given, 'w', Number(DEFAULTS.useWatchdog)) !== 0,
      watchdogSocket: textToName(`${host.environment['WDMD_RUN_DIR'] ?? '/run/wdmd'}/wdmd.sock`),
      highPriority: numberOf(given, 'h', Number(DEFAULTS.highPriority)) !== 0,
      mlockLevel: mlockLevelOf(numberOf(given, 'l', DEFAULTS.mlockLevel, { min: 0, max: 2 })),
      quietFail: numberOf(given, 'Q', Number(DEFAULTS.quietFail)) !== 0,
      debugRenew: numberOf(given, 'R', DEFAULTS.debugRenew),
      shRetries: numberOf(given, 'sh_retries', DEFAULTS.shRetries, { min: 0 }),
      maxWorkerThreads: Math.max(2, numberOf(given, 't', DEFAULTS.maxWorkerThreads)),
      watchdogFireTimeoutS: fireTimeoutS,
      killGraceS: numberOf(given, 'g', graceFor(fireTimeoutS), { min: 0, max: 60 }),
      setBitmapS: numberOf(given, 'b', DEFAULTS.setBitmapS, { min: 0 }),
      renewalHistorySize: numberOf(given, 'H', DEFAULTS.renewalHistorySize, {
        min: 0,
        max: 10_000,
      }),
      renewalReadExtendS: extend === undefined ? null : Math.max(0, wholeNumber(extend)),
      writeInitIoTimeoutS: numberOf(given, 'write_init_io_timeout', DEFAULTS.writeInitIoTimeoutS, {
        min: 1,
      }),
      defaultNumHosts: numberOf(given, 'default_num_hosts', DEFAULTS.defaultNumHosts, {
        min: 0,
        max: 2000,
      }),
      ioTimeoutS: numberOf(given, 'o', DEFAULTS.ioTimeoutS, { min: 1 }),
      uid,
      gid,
    },
    logging: {
      foreground: given.has('D'),
      logfilePriority: numberOf(given, 'L', 4),
      syslogPriority: numberOf(given, 'S', 3),
      utc: numberOf(given, 'logfile_use_utc', 0) !== 0,
    },
    privileged: (host.environment['SANLOCK_PRIVILEGED'] ?? '1') === '1',
  };
}

/** Lines of `key = value` or `key=value`; unknown keys, comments and overlong lines are skipped. */
function confValues(text: string): Map<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^\s*([a-z_]+)\s*=\s*(\S+)/.exec(line);
    const letter = CONF_KEYS[match?.[1] ?? ''];
    const value = match?.[2];
    if (line.length > CONF_LINE_MAX || letter === undefined || value === undefined) continue;
    values.set(letter, value);
  }
  return values;
}

function optionValues(args: readonly string[]): Map<string, string> {
  const values = new Map<string, string>();
  for (let i = 0; i < args.length; i++) {
    const word = args[i] ?? '';
    if (!word.startsWith('-') || word.length < 2) throw new UsageError(`unknown option ${word}`);
    if (word.length > 2) {
      throw new UsageError(`unknown option ${word}\nspace required before option value`);
    }
    const letter = word.charAt(1);
    if (letter === 'D') {
      values.set('D', '');
      continue;
    }
    const value = args[++i];
    if (value === undefined) throw new UsageError(`option '${letter}' requires arg`);
    if (!KNOWN_LETTERS.includes(letter)) throw new UsageError(`unknown option: ${letter}`);
    values.set(letter, value);
  }
  return values;
}

/** Outside its range a number counts as not given, as in C. */
function numberOf(
  given: ReadonlyMap<string, string>,
  key: string,
  otherwise: number,
  range: { readonly min?: number; readonly max?: number } = {},
): number {
  const text = given.get(key);
  if (text === undefined) return otherwise;
  const value = wholeNumber(text);
  if (value < (range.min ?? -Infinity) || value > (range.max ?? Infinity)) return otherwise;
  return value;
}

/** @throws UsageError for more than others give us: they would take what we still use. */
function fireTimeoutOf(given: ReadonlyMap<string, string>): number {
  const seconds = numberOf(given, 'watchdog_fire_timeout', MAX_FIRE_TIMEOUT_S, { min: 1 });
  if (seconds <= MAX_FIRE_TIMEOUT_S) return seconds;
  throw new UsageError(
    `${CONF_FILE}: watchdog_fire_timeout is ${seconds}, at most ${MAX_FIRE_TIMEOUT_S} is safe: ` +
      'other hosts wait no longer before they take the leases of a lost host',
  );
}

/** The users' time to end in order has to be over before the watchdog fires (spec 22 §5). */
function graceFor(fireTimeoutS: number): number {
  if (fireTimeoutS >= MAX_FIRE_TIMEOUT_S) return 40;
  return fireTimeoutS >= 30 ? 15 : 0;
}

/** As C's atoi: leading digits count, anything else is 0; 0x is understood as well. */
function wholeNumber(text: string): number {
  const value = Number.parseInt(text, /^0x/i.test(text) ? 16 : 10);
  return Number.isNaN(value) ? 0 : value;
}

function mlockLevelOf(level: number): 0 | 1 | 2 {
  return level === 0 || level === 2 ? level : 1;
}

/** User and group sanlock if both exist, else root; a named one that is unknown is 0, as in C. */
function ownerOf(
  given: ReadonlyMap<string, string>,
  host: HostFacts,
): { readonly uid: number; readonly gid: number } {
  const userId = (name: string) => idIn(host.readText('/etc/passwd'), name);
  const groupId = (name: string) => idIn(host.readText('/etc/group'), name);
  const user = given.get('U');
  const group = given.get('G');
  const both = userId('sanlock') !== null && groupId('sanlock') !== null;
  return {
    uid: user !== undefined ? (userId(user) ?? 0) : both ? (userId('sanlock') ?? 0) : 0,
    gid: group !== undefined ? (groupId(group) ?? 0) : both ? (groupId('sanlock') ?? 0) : 0,
  };
}

/** The third field of `name`'s line in a passwd or group file. */
export function idIn(file: string, name: string): number | null {
  for (const line of file.split('\n')) {
    const fields = line.split(':');
    if (fields[0] === name && fields[2] !== undefined) return Number(fields[2]);
  }
  return null;
}
