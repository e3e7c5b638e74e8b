import { fail, ok, type Result } from '../../base/result.ts';
import { NAME_BYTES } from '../../format/leader.ts';
import { MAX_IO_TIMEOUT_S } from '../../format/limits.ts';

/**
 * Every setting of the daemon: its key in sanlock.conf, its option, and what may stand there. A
 * value reaches the daemon by its row alone, so that none is read without a check (spec 22 §5).
 */
interface Row {
  /** null: an option alone. */
  readonly key: string | null;
  readonly letter: string | null;
  /**
   * It decides which host may have a lease, or as which user the daemon runs: a mistake keeps the
   * daemon from starting. Mistakes in other settings are reported, and the setting counts as not
   * given, as in the original.
   */
  readonly strict: boolean;
}

export interface NumberRow extends Row {
  readonly kind: 'number';
  readonly min: number;
  readonly max: number;
  readonly otherwise: number;
  /** Which number is meant by one beyond the limits. */
  readonly beyond: 'otherwise' | 'nearest';
  /** Why the limits are what they are, where that is no matter of course. */
  readonly because?: string;
}

export interface WordRow extends Row {
  readonly kind: 'word';
  readonly maxBytes: number;
}

type SettingRow = NumberRow | WordRow;

type NumberWish = Partial<Omit<NumberRow, 'kind' | 'key' | 'letter'>>;

const MANY = 2 ** 31 - 1;

function number(
  key: string | null,
  letter: string | null,
  otherwise: number,
  wish: NumberWish,
): NumberRow {
  const limits = { min: 0, max: MANY, beyond: 'otherwise', strict: false } as const;
  return { kind: 'number', key, letter, otherwise, ...limits, ...wish };
}

/** 0 or 1; any other number is on, as in the original. */
function flag(
  key: string,
  letter: string | null,
  otherwise: 0 | 1,
  wish: NumberWish = {},
): NumberRow {
  return number(key, letter, otherwise, { max: 1, beyond: 'nearest', ...wish });
}

function word(key: string, letter: string, maxBytes: number): WordRow {
  return { kind: 'word', key, letter, maxBytes, strict: true };
}

/** The time other hosts give our watchdog to reset us before they take what we held. */
export const MAX_FIRE_TIMEOUT_S = 60;
const USER_NAME_BYTES = 120;

export const SETTINGS = {
  quietFail: flag('quiet_fail', 'Q', 1),
  debugRenew: number('debug_renew', 'R', 0, { max: 2, beyond: 'nearest' }),
  logfilePriority: number('logfile_priority', 'L', 4, { min: -1, max: 7, beyond: 'nearest' }),
  syslogPriority: number('syslog_priority', 'S', 3, { min: -1, max: 7, beyond: 'nearest' }),
  logfileUtc: flag('logfile_use_utc', null, 0),
  useWatchdog: flag('use_watchdog', 'w', 1, { strict: true }),
  highPriority: flag('high_priority', 'h', 0),
  mlockLevel: number('mlock_level', 'l', 1, { max: 2 }),
  shRetries: number('sh_retries', null, 8, { max: 1000, beyond: 'nearest' }),
  user: word('uname', 'U', USER_NAME_BYTES),
  group: word('gname', 'G', USER_NAME_BYTES),
  hostName: word('our_host_name', 'e', NAME_BYTES),
  renewalReadExtendS: number('renewal_read_extend_sec', null, 10, { max: 3600 }),
  renewalHistorySize: number('renewal_history_size', 'H', 180, { max: 10_000, beyond: 'nearest' }),
  writeInitIoTimeoutS: number('write_init_io_timeout', null, 60, { min: 1 }),
  /** Ours alone; the original skips it. */
  defaultNumHosts: number('default_num_hosts', null, 0, { max: 2000 }),
  maxWorkerThreads: number('max_worker_threads', 't', 8, { min: 2, beyond: 'nearest' }),
  fireTimeoutS: number('watchdog_fire_timeout', null, MAX_FIRE_TIMEOUT_S, {
    min: 1,
    max: MAX_FIRE_TIMEOUT_S,
    strict: true,
    because: 'other hosts wait no longer before they take the leases of a lost host',
  }),
  ioTimeoutS: number('io_timeout', 'o', 10, { min: 1, max: MAX_IO_TIMEOUT_S, strict: true }),
  killGraceS: number('kill_grace_seconds', 'g', 40, { max: 60 }),
  setBitmapS: number(null, 'b', 0, {}),
} as const satisfies Readonly<Record<string, SettingRow>>;

export type SettingId = keyof typeof SETTINGS;

/** The values given; absent where a default holds. */
export type SettingValues = {
  -readonly [Id in SettingId]?: (typeof SETTINGS)[Id] extends NumberRow ? number : string;
};

/** Keys of the original without an effect here, and of its later generation (spec 21 §6). */
const WITHOUT_EFFECT: ReadonlySet<string> = new Set([
  'use_aio',
  'names_log_priority',
  'paxos_debug_all',
  'debug_io',
  'debug_clients',
  'debug_cmd',
  'max_sectors_kb',
  'debug_hosts',
  'use_hugepages',
  'use_compare_and_write',
  'create_old_delta_disk_version',
  'create_old_paxos_disk_version',
  'caw_fua',
  'caw_dpo',
]);

const IDS = Object.keys(SETTINGS) as SettingId[]; // its own keys

export function settingOfKey(key: string): SettingId | null {
  return IDS.find((id) => SETTINGS[id].key === key) ?? null;
}

export function settingOfLetter(letter: string): SettingId | null {
  return IDS.find((id) => SETTINGS[id].letter === letter) ?? null;
}

export function isWithoutEffect(key: string): boolean {
  return WITHOUT_EFFECT.has(key);
}

/** Every key that a sanlock.conf may have. */
export function knownKeys(): readonly string[] {
  return [...IDS.flatMap((id) => SETTINGS[id].key ?? []), ...WITHOUT_EFFECT];
}

export function effectiveKeys(): readonly string[] {
  return IDS.flatMap((id) => SETTINGS[id].key ?? []);
}

/** What may stand there, for an administrator who wrote something else. */
export function wantedText(row: SettingRow): string {
  if (row.kind === 'word') return `1 to ${row.maxBytes} bytes`;
  const { min, max } = row;
  if (min === 0 && max === 1) return '0 or 1';
  if (max === MANY) return `a number from ${min} up`;
  const because = row.because === undefined ? '' : `, as ${row.because}`;
  return `a number from ${min} to ${max}${because}`;
}

/** A mistake, with the value that is used where the setting is not strict; null: none. */
export type Misread = { readonly instead: number | null };

export function readNumber(row: NumberRow, text: string): Result<number, Misread> {
  const digits = /^[+-]?[0-9]+/.exec(text)?.[0];
  if (digits === undefined) return fail({ instead: null });
  const value = Number(digits);
  if (value < row.min || value > row.max) {
    const nearest = Math.min(row.max, Math.max(row.min, value));
    return fail({ instead: row.beyond === 'nearest' ? nearest : null });
  }
  // The original reads the digits and leaves the rest.
  return digits === text ? ok(value) : fail({ instead: value });
}
