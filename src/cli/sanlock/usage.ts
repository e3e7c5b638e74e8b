import { type Row, rowsText } from '../frame/rows.ts';

/** What `sanlock help` prints, in our words; actions and options are those of sanlock 3.8.5. */

/** The first word. */
export const COMMANDS: readonly Row[] = [
  ['daemon', 'run the lease daemon of this host'],
  ['client', 'ask the daemon (taken for granted when the first word is an action)'],
  ['direct', 'work on storage without the daemon; nothing coordinates it'],
  ['help', 'show this text (defaults in parentheses)'],
  ['version', 'show the version'],
];

/** Behind `sanlock daemon`. */
export const DAEMON_ROWS: readonly Row[] = [
  ['--check', 'say what is wrong with these options and sanlock.conf, and end'],
  ['--help', 'show this text'],
  ['-D', 'stay in the foreground, log everything to stderr'],
  ['-Q 0|1', 'keep quiet about ordinary contention (1)'],
  ['-R 0|1', 'log each renewal (0)'],
  ['-H <num>', 'renewals remembered per lockspace (180)'],
  ['-L <pri>', 'log this level and worse to the log file; -1 never (4, warning)'],
  ['-S <pri>', 'log this level and worse to syslog; -1 never (3, error)'],
  ['-U <user>', 'run as this user, a name or a number'],
  ['-G <group>', 'run as this group, a name or a number'],
  ['-t <num>', 'at most this many commands at work (8)'],
  ['-g <sec>', 'seconds a process gets to stop by itself in recovery (40)'],
  ['-w 0|1', 'use the watchdog through wdmd (1)'],
  ['-h 0|1', 'run with real-time priority (0)'],
  ['-l <num>', 'lock memory: 0 none, 1 current, 2 current and future (1)'],
  ['-b <sec>', "seconds a host's bit stays set in our delta lease (6 * io timeout)"],
  ['-e <str>', 'name of this host in delta leases (a new uuid)'],
];

/** Each action behind `sanlock client`, with what it takes. */
export const CLIENT_FORMS: readonly string[] = [
  'status [-D] [-o p|s]',
  'gets [-h 0|1]',
  'host_status [-s LOCKSPACE] [-D]',
  'renewal -s LOCKSPACE',
  'set_event -s LOCKSPACE -i <host_id> [-g <gen>] -e <event> -d <data>',
  'set_host -s LOCKSPACE -i <host_id> [-g <gen>] -F DEAD_EXT',
  'set_config -s LOCKSPACE [-u 0|1] [-O 0|1]',
  'log_dump',
  'shutdown [-f 0|1] [-w 0|1]',
  'init -s LOCKSPACE | -r RESOURCE [-z 0|1] [-Z 512|4096 -A 1M|2M|4M|8M]',
  'read -s LOCKSPACE | -r RESOURCE [-D] [-h 0|1]',
  'align -s LOCKSPACE',
  'add_lockspace -s LOCKSPACE [-o <io_timeout>]',
  'inq_lockspace -s LOCKSPACE',
  'rem_lockspace -s LOCKSPACE',
  'command -r RESOURCE -c <path> <args>',
  'acquire -r RESOURCE -p <pid>',
  'convert -r RESOURCE -p <pid>',
  'release -r RESOURCE -p <pid>',
  'inquire -p <pid>',
  'request -r RESOURCE -f <force_mode>',
  'examine -r RESOURCE | -s LOCKSPACE',
  'format -x RINDEX [-Z 512|4096 -A 1M|2M|4M|8M]',
  'create -x RINDEX -e <resource_name>',
  'delete -x RINDEX -e <resource_name>[:<offset>]',
  'lookup -x RINDEX [-e <resource_name>:<offset>]',
  'update -x RINDEX -e <resource_name>[:<offset>] [-z 0|1]',
  'rebuild -x RINDEX',
  'version',
];

/** Each action behind `sanlock direct`. */
export const DIRECT_FORMS: readonly string[] = [
  'init -s LOCKSPACE | -r RESOURCE [-z 0|1]',
  'read_leader -s LOCKSPACE | -r RESOURCE',
  'dump <path>[:<offset>[:<size>]] [-f 1|2]',
  'next_free <path>[:<offset>]',
  'acquire | release -r RESOURCE -i <host_id> -g <gen>',
  'acquire_id | renew_id | release_id -s LOCKSPACE [-e <host_name>]',
  'format -x RINDEX',
  'lookup -x RINDEX [-e <resource_name>:<offset>]',
  'update -x RINDEX -e <resource_name>[:<offset>] [-z 0|1]',
  'rebuild -x RINDEX',
];

/** What every action of `sanlock direct` takes. */
export const DIRECT_OPTIONS = '[-a 0|1] [-o <io_timeout>] [-Z 512|4096 -A 1M|2M|4M|8M]';

/** How a lease, or a place for leases, is written. */
export const STRINGS: readonly Row[] = [
  ['LOCKSPACE', '<lockspace_name>:<host_id>:<path>:<offset>'],
  ['RESOURCE', '<lockspace_name>:<resource_name>:<path>:<offset>[:<lver>|:SH]'],
  ['RINDEX', '<lockspace_name>:<path>:<offset>'],
];

/** The parts of those. */
export const STRING_PARTS: readonly Row[] = [
  ['<host_id>', 'number of this host in the lockspace, 1 and up'],
  ['<path>', 'storage set aside for leases; write : and blanks as \\: and \\<blank>'],
  ['<offset>', 'bytes, or <n>M'],
  ['<lver>', 'acquire only this lease version; SH acquires shared'],
];

/** Sizes and lengths. */
export const LIMITS: readonly Row[] = [
  ['sector/area sizes', '512/1M, 4K/1M, 4K/2M, 4K/4M, 4K/8M'],
  ['highest host_id for each', '2000, 250, 500, 1000, 2000'],
  ['longest lockspace or resource name', '48 bytes'],
  ['longest path', '1023 bytes'],
  ['leases per acquire', '8'],
];

const LAYOUT = { indent: 2, column: 16 };

export const USAGE = `Usage:
sanlock <command> <action> ...

commands:
${rowsText(COMMANDS, LAYOUT)}
sanlock daemon [options]
${rowsText(DAEMON_ROWS, LAYOUT)}
sanlock client <action> [options]
${lines(CLIENT_FORMS, 'sanlock client ')}
sanlock direct <action> ${DIRECT_OPTIONS}
${lines(DIRECT_FORMS, 'sanlock direct ')}
${STRINGS.map(([name, form]) => `${name.padEnd(9)} = ${form}\n`).join('')}${rowsText(STRING_PARTS, LAYOUT)}
Limits:
${LIMITS.map(([of, limit]) => `${of}: ${limit}\n`).join('')}`;

function lines(forms: readonly string[], before: string): string {
  return forms.map((form) => `${before}${form}\n`).join('');
}
